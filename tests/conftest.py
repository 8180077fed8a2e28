"""No test is timed, since a busy machine is no fault of the product; and what test files share."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
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
