"""In a browser, a page asks for nothing but itself and is as wide as the screen."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, sync_playwright

from model.data.entries import read_entry
from model.pages.compare import render as render_comparison
from model.pages.compare import run_of
from model.pages.page import legend_of, render
from model.pages.pictures import ShownScan, draw, input_colors, of_classes
from pipeline.palette import palette
from tests.helpers import scored
from tests.helpers.tiny_entries import write_room

HOSTILE = "room<script>document.title='taken'</script>" + "x" * 80


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    assert chromium, "Debian's package chromium is missing: envs/run installs it"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A page about a run, and one that compares two."""
    folder = tmp_path_factory.mktemp("pages")
    voxels = read_entry(write_room(folder, "room", 0).path("voxels"))
    colors = palette(scored.NAMES)
    label = np.zeros(len(np.asarray(voxels["coords"])), np.int64)
    columns = draw(voxels, [input_colors(voxels), of_classes(HOSTILE, label, colors)])
    scan = ShownScan(HOSTILE, "best of 3", columns, [0])
    legend = legend_of([HOSTILE], colors, [0], judged=True)
    table = scored.table(title=HOSTILE)
    runs = [run_of(HOSTILE, scored.table(gain), scored.asked()) for gain in (0, 2)]
    found = {
        "run": render(table, scored.asked(), [], [scan], legend),
        "comparison": render_comparison(runs),
    }
    paths = {name: folder / f"{name}.html" for name in found}
    for name, path in paths.items():
        path.write_text(found[name], encoding="utf-8")
    return paths


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("name", ["run", "comparison"])
def test_a_page_asks_for_nothing_and_fits_the_screen(
    browser: Browser, pages: dict[str, Path], name: str, width: int
) -> None:
    tab, asked, faults = browser.new_page(viewport={"width": width, "height": 800}), [], []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.goto(pages[name].as_uri())
    tab.wait_for_load_state("networkidle")
    assert [url for url in asked if not url.startswith("data:image/")] == [pages[name].as_uri()]
    assert not faults
    assert tab.title() != "taken"
    assert tab.evaluate("document.documentElement.scrollWidth") <= width, "tables scroll alone"
    whole = "[...document.images].every(image => image.complete && image.naturalWidth > 0)"
    assert tab.evaluate("document.images.length") > 0
    assert tab.evaluate(whole), "each picture can be shown"
    tab.close()
