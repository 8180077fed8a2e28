"""Entries travel: given to a folder, a bucket or a web server's folder, and taken elsewhere."""

from pathlib import Path

import pytest

from pipeline.plan.plan import Plan
from pipeline.remotes.taking import look, take
from pipeline.remotes.wanted import Wanted
from pipeline.store import records
from tests.helpers import tiny_store
from tests.helpers.tiny_remotes import Lab, served


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("lab"))


def everything(plan: Plan) -> list[Wanted]:
    return [Wanted(plan, list(plan.entries), or_made=False)]


def test_all_that_was_given_comes_over_http_with_its_record(lab: Lab, tmp_path: Path) -> None:
    plan = tiny_store.plan(tmp_path / "store")
    with served(lab.given) as url:
        assert take(lab.caches(url), everything(plan)) == len(plan.entries)
        assert not look(lab.caches(url), everything(plan))
    for what in plan.entries:
        old, new = lab.plan.home(*what), plan.home(*what)
        assert new.read_bytes() == old.read_bytes()
        records.check(new)
        said = records.path_for(new, records.digest(new))
        assert said.read_bytes() == records.path_for(old, records.digest(old)).read_bytes()
        assert not new.stat().st_mode & 0o222
    assert not [*(tmp_path / "store").rglob(".partial-*")]
