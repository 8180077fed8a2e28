"""Pages in a real browser, headless and with software WebGL."""

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, Request, sync_playwright

CHROMIUM = shutil.which("chromium")
ARGUMENTS = ("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader")
SOFTWARE = "--enable-unsafe-swiftshader"

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="Debian's package chromium is not installed"
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A running browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*ARGUMENTS, SOFTWARE], timeout=120_000
        )
        try:
            yield browser
        finally:
            browser.close()


class Opened:
    """A page that is open, with all that it asked for and all errors in it."""

    def __init__(self, browser: Browser, url: str, width: int = 1280, height: int = 800) -> None:
        self.page: Page = browser.new_page(viewport={"width": width, "height": height})
        self.page.set_default_timeout(120_000)
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", self._request)
        self.page.on("dialog", lambda dialog: self.errors.append(f"dialog: {dialog.message}"))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._console)
        self.page.goto(url)

    def _request(self, request: Request) -> None:
        if not request.url.startswith("data:"):
            self.requests.append(request.url)

    def _console(self, message: Any) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def evaluate(self, code: str, argument: object = None) -> Any:
        """The value of a JavaScript expression or function."""
        return self.page.evaluate(code, argument)

    def wait_for(self, code: str, seconds: float = 120) -> None:
        """Wait until an expression is true; playwright's own waiting needs `eval` in the page."""
        for _ in range(int(seconds * 10)):
            if self.evaluate(code):
                return
            self.page.wait_for_timeout(100)
        raise TimeoutError(code)


def picture(place: Locator) -> NDArray[np.uint8]:
    """What is seen there (h, w, 3)."""
    return np.asarray(Image.open(io.BytesIO(place.screenshot())).convert("RGB"))
