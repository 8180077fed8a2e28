"""The page of the viewer in a test: what its scripts know, and what is seen in a panel."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Browser

from tests.helpers.chromium import Opened, picture

BACKGROUND = (244, 245, 246)

# Of each class of ground truth, by the page's own numbers: the mean place of its points' heat in
# the order of all heats, from 0 (the coldest) to 1.
_PLACES = """layer => viewer.then(({asked, points, meta}) => {
  const heat = Array.from(points.label[layer], (_, i) => asked.value[asked.voxel[i]]);
  const order = [...heat.keys()].sort((a, b) => heat[a] - heat[b]);
  const sum = {}, count = {};
  order.forEach((point, place) => {
    const name = meta.palettes[meta.layers[layer].palette].classes[points.label[layer][point]];
    sum[name] = (sum[name] || 0) + place / order.length;
    count[name] = (count[name] || 0) + 1;
  });
  return Object.fromEntries(Object.keys(sum).map(name => [name, sum[name] / count[name]]));
})"""


class Viewed(Opened):
    """The page of the viewer, once its points are drawn."""

    def __init__(self, browser: Browser, url: str, width: int = 1280, height: int = 800) -> None:
        super().__init__(browser, url, width, height)
        self.settle()

    def settle(self) -> None:
        """Wait until all points are drawn."""
        still = "viewer.then(v => v.stats.still && v.stats.drawn === v.points.count)"
        self.page.wait_for_timeout(50)  # for what has just been asked to begin
        self.wait_for(still)
        self.page.wait_for_timeout(300)  # for the link to be up to date

    @property
    def state(self) -> dict[str, Any]:
        """What the page shows."""
        found: dict[str, Any] = self.evaluate(
            "viewer.then(({state, camera}) => ({...state, off: [...state.off],"
            " camera: camera.state}))"
        )
        return found

    def ask(self, words: str, negatives: str = "") -> str:
        """Type words, and wait for the answer: the sentence about it."""
        self.page.fill("#words", words)
        self.page.fill("#negatives", negatives)
        self.page.press("#words", "Enter")
        self.wait_for("document.getElementById('said').textContent !== ''")
        self.settle()
        return self.page.locator("#said").inner_text()

    def place_of_classes(self, layer: int) -> dict[str, float]:
        """How hot the points of each class are, from 0 to 1."""
        found: dict[str, float] = self.evaluate(_PLACES, layer)
        return found

    def panel(self, number: int) -> NDArray[np.uint8]:
        """What is seen in a panel (h, w, 3)."""
        return picture(self.page.locator("#titles > div").nth(number))

    def click_panel(self, number: int, x: float, y: float) -> None:
        """Click at a place in a panel, in pixels from its corner."""
        box = self.page.locator("#titles > div").nth(number).bounding_box()
        assert box
        self.page.mouse.click(box["x"] + x, box["y"] + y)
        self.settle()

    def click_scan(self, number: int) -> None:
        """Click at the place of a panel that shows points and is nearest to its middle."""
        seen = self.panel(number)
        rows, columns = np.nonzero((np.abs(seen.astype(int) - BACKGROUND) > 4).any(axis=2))
        away = np.hypot(rows - seen.shape[0] / 2, columns - seen.shape[1] / 2)
        place = int(away.argmin())
        self.click_panel(number, float(columns[place]) + 0.5, float(rows[place]) + 0.5)

    def picked(self) -> list[list[str]]:
        """The rows (layer, class, confidence) of what was clicked."""
        rows = self.page.locator("#picked tr").all()
        return [row.locator("th, td").all_inner_texts() for row in rows]
