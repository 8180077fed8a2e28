"""The viewer in a real browser: it shows a simulated room and lights up what the words mean."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser

from model.viewer.layers import View
from model.viewer.page import write_page
from model.viewer.server import make_server
from model.viewer.sources import SHIPPED, TRUTH, view_of_scan
from pipeline.demo_clip.pairs import FURNITURE
from pipeline.simulate.scan import simulate_scan
from tests.helpers.chromium import chromium, needs_chromium
from tests.helpers.viewed import BACKGROUND, Viewed

pytestmark = [
    needs_chromium,
    pytest.mark.skipif(
        not FURNITURE.is_dir(), reason="Debian's package sweethome3d-furniture is not installed"
    ),
]
SCAN = "scene9100_00"
PARAMS = {
    "furniture": str(FURNITURE),
    "n_frames": 16,
    "color_size": [160, 120],
    "depth_size": [160, 120],
    "mesh_edge": 0.05,
}
COLOR, GROUND_TRUTH, NETWORK, HEAT = 0, 1, 2, 3  # panels
MARKED = (237, 69, 13)  # points that a mask shows
SITTING, SHELVES = "somewhere to sit", "a place for books"
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> View:
    """A room that no network was trained on, labelled by the network that comes with the demo."""
    raw = tmp_path_factory.mktemp("raw")
    simulate_scan(SCAN, 9100, "val", PARAMS, raw)
    view = view_of_scan(raw / "scans" / SCAN, [SHIPPED], words=[SHELVES], free_words=True)
    view.words = []  # the page shall begin with no query, but know these words
    return view


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def file(room: View, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of the self-contained form."""
    path = tmp_path_factory.mktemp("page") / "view.html"
    write_page(room, path)
    return path.as_uri()


@pytest.fixture(scope="module")
def server(room: View) -> Iterator[str]:
    """The address of the server."""
    with make_server(room, "127.0.0.1", 0) as running:
        thread = Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}/"
        running.shutdown()
        thread.join()


def share_of(color: tuple[int, int, int], seen: NDArray[np.uint8]) -> float:
    return float((np.abs(seen.astype(int) - color).max(axis=2) <= 4).mean())


def test_the_points_are_seen_and_nothing_is_asked_of_anybody(browser: Browser, file: str) -> None:
    page = Viewed(browser, file)
    for panel in (COLOR, GROUND_TRUTH, NETWORK):
        seen = page.panel(panel)
        assert share_of(BACKGROUND, seen) < 0.9, "not blank"
        assert len(np.unique(seen.reshape(-1, 3), axis=0)) > 15
    assert page.requests == [file]
    assert page.errors == []


def test_a_file_for_others_names_no_folder_of_this_machine(file: str) -> None:
    content = Path(url2pathname(urlsplit(file).path)).read_text(encoding="utf-8")
    assert "clip (local)" in content
    assert str(Path.cwd()) not in content


def test_words_that_the_server_embeds_light_up_the_chairs(browser: Browser, server: str) -> None:
    page = Viewed(browser, server)
    assert not any("/query" in request for request in page.requests)
    said = page.ask(SITTING)
    assert "a photo of a somewhere to sit" in said
    assert "text tower: clip (local)" in said
    assert any("/query?" in request for request in page.requests)
    places = page.place_of_classes(GROUND_TRUTH)
    assert places["chair"] > 0.85
    assert places["chair"] > max(v for name, v in places.items() if name != "chair")
    assert places["wall"] < 0.5
    assert all(request.startswith(server) for request in page.requests)
    assert page.errors == []


def test_what_a_mask_marks_is_the_thing_that_was_asked_for(browser: Browser, server: str) -> None:
    page = Viewed(browser, server + "#p=h&c=2.47,2.41,1,-1.5708,1.5708,7")  # from above
    page.ask("bookshelf")
    assert share_of(MARKED, page.panel(0)) == 0
    page.page.check("#mask")
    page.settle()
    seen = page.panel(0)
    assert 0.0005 < share_of(MARKED, seen) < 0.1
    rows, columns = np.nonzero(np.abs(seen.astype(int) - MARKED).max(axis=2) <= 4)
    found = []
    for place in np.linspace(0, len(rows) - 1, 7).astype(int):
        page.click_panel(0, float(columns[place]) + 0.5, float(rows[place]) + 0.5)
        found.append(page.picked()[0])
    assert {layer for layer, _, _ in found} == {TRUTH}
    assert [name for _, name, _ in found].count("bookshelf") >= 4


def test_negatives_take_away_what_is_not_meant(browser: Browser, file: str) -> None:
    page = Viewed(browser, file)
    page.ask("chair")
    alone = page.place_of_classes(GROUND_TRUTH)
    said = page.ask("chair", "floor, table")
    assert "less the highest of those with what it shall not be" in said
    without = page.place_of_classes(GROUND_TRUTH)
    assert without["floor"] < alone["floor"] - 0.1
    assert without["chair"] > max(0.7, without["floor"])


def test_a_file_offers_the_names_of_classes_and_says_what_it_does_not_know(
    browser: Browser, file: str
) -> None:
    page = Viewed(browser, file)
    offered = page.page.locator("#vocabulary option").evaluate_all("all => all.map(o => o.value)")
    assert {"chair", "floor", SHELVES} <= set(offered)
    page.ask("Floor")
    assert page.place_of_classes(GROUND_TRUTH)["floor"] > 0.8
    page.ask(SHELVES)
    assert page.place_of_classes(GROUND_TRUTH)["bookshelf"] > 0.8
    assert "none of the 21 phrases" in page.ask("a purple elephant")
    assert page.requests == [file]


def test_classes_are_switched_off_and_on(browser: Browser, file: str) -> None:
    page = Viewed(browser, file + f"#p={NETWORK}")
    wall, floor = (174, 199, 232), (152, 223, 138)
    before = page.panel(0)
    assert share_of(wall, before) > 0.02
    assert share_of(floor, before) > 0.02
    page.page.get_by_role("checkbox", name="wall", exact=True).uncheck()
    page.settle()
    after = page.panel(0)
    assert share_of(wall, after) == 0
    assert share_of(floor, after) >= share_of(floor, before)
    page.page.get_by_role("button", name="all", exact=True).click()
    page.settle()
    np.testing.assert_array_equal(page.panel(0), before)


def test_a_click_tells_class_confidence_and_nearest_phrases(browser: Browser, file: str) -> None:
    page = Viewed(browser, file + f"#p={GROUND_TRUTH}.{NETWORK}")
    seen = page.panel(0)
    rows, columns = np.nonzero(np.abs(seen.astype(int) - (152, 223, 138)).max(axis=2) <= 4)
    middle = np.argsort(columns)[len(columns) // 2]
    page.click_panel(0, float(columns[middle]) + 0.5, float(rows[middle]) + 0.5)
    truth, network = page.picked()
    assert truth == [TRUTH, "floor", ""]
    assert network[:2] == [SHIPPED.stem, "floor"]
    assert 0.5 < float(network[2]) <= 1
    assert page.page.locator("#picked ol li").first.inner_text().startswith("floor 0.")


def test_the_address_brings_the_same_view_back(browser: Browser, file: str) -> None:
    page = Viewed(browser, file)
    page.ask("chair", "table")
    page.page.check("#mask")
    page.page.get_by_role("checkbox", name="door", exact=True).uncheck()
    page.page.get_by_role("button", name="ground truth", exact=True).click()
    page.page.focus("#canvas")
    for key in ("ArrowLeft", "ArrowUp", "+", "Shift+ArrowRight"):
        page.page.keyboard.press(key)
    page.settle()
    page.click_scan(0)
    before, seen = page.state, page.panel(1)
    again = Viewed(browser, page.page.url)
    again.wait_for("viewer.then(v => v.asked !== null)")
    again.settle()
    after = again.state
    assert (after["words"], after["negatives"]) == ("chair", ["table"])
    assert after["panels"] == [COLOR, NETWORK, "h"]
    np.testing.assert_allclose(after.pop("camera"), before.pop("camera"), atol=1e-4)
    assert after.pop("threshold") == pytest.approx(before.pop("threshold"), abs=1e-4)
    assert after == before
    assert np.abs(again.panel(1).astype(int) - seen).mean() < 1
    for fragment in ("#c=1,2&p=99.x&off=<script>&at=1e9&t=nan&not={&n=-1", "#p="):
        odd = Viewed(browser, file + fragment)
        assert odd.errors == []
        assert odd.state["panels"] == [COLOR, GROUND_TRUTH, NETWORK]


def test_keys_mouse_and_fingers_move_the_one_camera_of_all_panels(
    browser: Browser, file: str
) -> None:
    page = Viewed(browser, file)
    begin = page.state["camera"]
    page.page.mouse.move(200, 400)
    page.page.mouse.down()
    page.page.mouse.move(260, 400, steps=3)
    page.page.mouse.up()
    turned = page.state["camera"]
    assert turned[3] != begin[3]
    assert (turned[:3], turned[4:]) == (begin[:3], begin[4:])
    page.page.mouse.wheel(0, -200)
    page.settle()
    assert page.state["camera"][5] < turned[5]
    page.page.focus("#canvas")
    page.page.keyboard.press("0")
    page.settle()
    assert page.state["camera"] == begin
    touch = page.page.context.new_cdp_session(page.page)
    for kind, gap in (("touchStart", 40), ("touchMove", 80), ("touchMove", 120), ("touchEnd", 0)):
        fingers = [{"x": 200 - gap, "y": 400, "id": 1}, {"x": 200 + gap, "y": 400, "id": 2}]
        points = fingers if gap else []
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    page.settle()
    assert page.state["camera"][5] < 0.6 * begin[5], "two fingers apart zoom in"


def test_hostile_names_stay_text(room: View, browser: Browser, tmp_path: Path) -> None:
    names = [HOSTILE, *room.labels[0].classes[1:]]
    labels = [replace(each, name=HOSTILE, classes=names) for each in room.labels]
    networks = [replace(each, name=HOSTILE, vocabulary=[*names, SHELVES]) for each in room.networks]
    path = tmp_path / "view.html"
    write_page(replace(room, title=HOSTILE, labels=labels, networks=networks), path)
    page = Viewed(browser, path.as_uri())
    page.ask(HOSTILE)
    page.click_scan(0)
    assert page.evaluate("[document.images.length, document.scripts.length]") == [0, 2]
    assert page.page.locator("h1").inner_text() == HOSTILE
    for place in ("#legend", "#picked", "#titles", "#layers"):
        assert HOSTILE in page.page.locator(place).inner_text(), place
    assert page.errors == []
    assert page.requests == [path.as_uri()]


def test_on_a_narrow_screen_the_panels_are_stacked(browser: Browser, file: str) -> None:
    page = Viewed(browser, file, width=400, height=800)
    page.ask("chair")
    boxes = [box.bounding_box() for box in page.page.locator("#titles > div").all()]
    assert all(box and box["x"] >= 0 and box["x"] + box["width"] <= 400.5 for box in boxes)
    assert len({box["y"] for box in boxes if box}) > 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert share_of(BACKGROUND, page.panel(HEAT)) < 0.9
    assert page.page.get_by_role("checkbox", name="floor", exact=True).is_visible()
