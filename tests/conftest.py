"""No test is timed, since a busy machine is no fault of the product; and what test files share."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from tests.helpers.tiny_checkout import Checkout
    from tests.helpers.tiny_remotes import Lab

settings.register_profile("untimed", deadline=None, print_blob=True)
settings.load_profile("untimed")


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> "Lab":
    """A store, and a remote that its entries were given to."""
    from tests.helpers.tiny_remotes import Lab

    return Lab(tmp_path_factory.mktemp("lab"))


@pytest.fixture
def lab(honest: "Lab", tmp_path: Path) -> "Lab":
    """The same with a remote that a test may forge."""
    from tests.helpers.forged_remotes import forged

    return forged(honest, tmp_path)


@pytest.fixture(scope="module")
def unmade(tmp_path_factory: pytest.TempPathFactory) -> "Checkout":
    """A checkout with raw scans of which nothing is made, read by the code of now."""
    from tests.helpers.tiny_checkout import Checkout

    made = Checkout(tmp_path_factory.mktemp("unmade") / "checkout")
    made.read_by_this_code()
    return made


@pytest.fixture
def inside(unmade: "Checkout", monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of that checkout, which is the working directory."""
    monkeypatch.chdir(unmade.folder)
    return unmade.folder
