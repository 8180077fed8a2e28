"""How fast a page of the viewer is in a browser with software WebGL, on this machine.

    python -m pipeline view --scan SCAN.ply --out view.html
    python tests/benchmarks/viewer.py view.html

prints the size of the file, the times to the first and to the complete picture after the page was
opened, how long a complete picture takes, and pictures a second while the view turns.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.helpers.chromium import chromium
from tests.helpers.viewed import Viewed

_COMPLETE = """async () => {
  const {stats} = await viewer, begin = performance.now();
  document.getElementById('reset').click();
  while (!stats.still) await new Promise(done => setTimeout(done, 5));
  return performance.now() - begin;
}"""
_TURNING = """async seconds => {
  const {stats} = await viewer, canvas = document.getElementById('canvas');
  const frames = stats.frames, end = performance.now() + 1000 * seconds;
  while (performance.now() < end) {
    canvas.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowLeft'}));
    await new Promise(requestAnimationFrame);
  }
  return [(stats.frames - frames) / seconds, stats.drawn];
}"""


def main() -> None:
    """Print the figures of one page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("page", type=Path)
    parser.add_argument("--panels", default="0.1", help="as in the address: 0 colour, 1 ...")
    chosen = parser.parse_args()
    with chromium() as browser:
        page = Viewed(browser, f"{chosen.page.resolve().as_uri()}#p={chosen.panels}")
        stats = page.evaluate("viewer.then(v => v.stats)")
        complete = min(page.evaluate(_COMPLETE) for _ in range(3))
        rate, drawn = page.evaluate(_TURNING, 6)
    print(f"{chosen.page}: {chosen.page.stat().st_size / 1e6:.1f} MB, panels {chosen.panels}")
    print(f"after opening: first picture {stats['first']:.0f} ms, complete {stats['full']:.0f} ms")
    print(f"a complete picture: {complete:.0f} ms")
    print(f"turning: {rate:.0f} pictures a second of {drawn:,} points")


if __name__ == "__main__":
    main()
