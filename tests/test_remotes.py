"""Entries travel: given to a folder or a bucket, and taken from there or from a web server."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import BadInput
from pipeline.plan import digests, missing, rawdata
from pipeline.plan.plan import Plan
from pipeline.remotes.caches import Caches
from pipeline.remotes.connection import Connection
from pipeline.remotes.described import Remote, remotes
from pipeline.remotes.giving import Giver, reachable
from pipeline.remotes.keys import load, make
from pipeline.remotes.taking import look, take
from pipeline.remotes.wanted import Wanted
from pipeline.store import records
from tests.helpers import tiny_store
from tests.helpers.tiny_remotes import SHORT, Lab, served


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """The endpoint of an S3 server with an empty bucket `lab`."""
    import boto3
    from moto.server import ThreadedMotoServer

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "any")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "any")
        server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        server.start()
        endpoint = "http://{}:{}".format(*server.get_host_and_port())
        boto3.client("s3", "us-east-1", endpoint_url=endpoint).create_bucket(Bucket="lab")
        yield endpoint
        server.stop()


def everything(plan: Plan) -> list[Wanted]:
    return [Wanted(plan, list(plan.entries), or_made=False)]


def require_same(lab: Lab, plan: Plan) -> None:
    for what in plan.entries:
        old, new = lab.plan.home(*what), plan.home(*what)
        assert new.read_bytes() == old.read_bytes()
        records.check(new)
        made, taken = (
            json.loads(records.path_for(home, records.digest(home)).read_text())
            for home in (old, new)
        )
        assert taken == {name: made[name] for name in ("bytes", "seconds")}
        assert not new.stat().st_mode & 0o222
    assert not [*Path(plan.facts.store).rglob(".partial-*")]


def test_all_that_was_given_comes_over_http_with_its_records(lab: Lab, tmp_path: Path) -> None:
    plan = tiny_store.plan(tmp_path / "store")
    with served(lab.given.parent) as root:
        url = f"{root}/{lab.given.name}"
        assert take(lab.caches(url), everything(plan)) == len(plan.entries)
        assert not look(lab.caches(url), everything(plan))
    require_same(lab, plan)


def test_all_goes_through_s3_and_the_first_to_give_an_entry_wins(
    lab: Lab, bucket: str, tmp_path: Path
) -> None:
    remote = Remote("s3://lab/some/where", lab.public_key, endpoint=bucket, region="us-east-1")
    assert lab.push(remote) == len(lab.plan.entries)
    assert lab.push(remote) == 0
    other = tiny_store.plan(tmp_path / "other")
    for what in other.entries:
        tiny_store.make(other, what, 1000)
    giver = Giver(remote, lab.private, SHORT)
    assert giver.absent(reachable([other])) == []
    assert giver.give(reachable([other])) == len(other.entries)  # as if both began together
    plan = tiny_store.plan(tmp_path / "store")
    assert take(Caches([remote], SHORT), everything(plan)) == len(plan.entries)
    require_same(lab, plan)


def test_two_that_push_at_once_lose_nothing(lab: Lab, tmp_path: Path) -> None:
    remote = Remote(str(tmp_path / "given"), lab.public_key)
    givers = [Giver(remote, lab.private, SHORT) for _ in range(2)]
    gifts = reachable([lab.plan])
    for giver in givers:
        assert len(giver.absent(gifts)) == len(gifts)  # both have read the empty listings
    pushes = [threading.Thread(target=giver.give, args=(gifts,)) for giver in givers]
    for push in pushes:
        push.start()
    for push in pushes:
        push.join()
    plan = tiny_store.plan(tmp_path / "store")
    assert take(lab.caches(remote.url), everything(plan)) == len(plan.entries)
    parts = [*(tmp_path / "given").glob("scannet/voxels/*/list/*")]
    assert [part.name for part in parts] == ["000000.jsonl"]


def test_a_push_that_was_interrupted_sends_no_bytes_twice(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = Remote(str(tmp_path / "given"), lab.public_key)
    put, sent = Connection.put, list[str]()

    def fail(connection: Connection, path: str, content: bytes) -> bool:
        raise KeyboardInterrupt

    def count(connection: Connection, path: str, file: Path) -> None:
        sent.append(path)
        put(connection, path, file)

    monkeypatch.setattr(Connection, "put", count)
    gifts = reachable([lab.plan])
    with monkeypatch.context() as patch:
        patch.setattr(Connection, "put_new", fail)
        giver = Giver(remote, lab.private, SHORT)
        with pytest.raises(KeyboardInterrupt):
            giver.give(gifts)
    before = len(sent)
    assert before
    giver = Giver(remote, lab.private, SHORT)
    assert giver.give(giver.absent(gifts)) == len(gifts)
    assert len(sent) == len(set(sent)) == len(gifts)


def test_a_damaged_entry_is_not_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = tiny_store.plan(tmp_path / "store")
    home = tiny_store.make(plan, ("voxels", "scene0000_00"))
    home.chmod(0o644)
    home.write_bytes(home.read_bytes()[:-1])
    giver = Giver(Remote(str(tmp_path / "given")), None, SHORT)
    assert giver.give(reachable([plan])) == 0
    assert "not given: " in capsys.readouterr().err
    assert not [path for path in (tmp_path / "given").rglob("*") if path.is_file()]


def test_only_what_the_tables_need_comes(lab: Lab, tmp_path: Path) -> None:
    plan = tiny_store.plan(tmp_path / "store")
    tables = set(missing.tables(plan))
    found = look(lab.caches(str(lab.given)), [Wanted(plan, missing.tables(plan))])
    assert {each.what for each in found} <= tables
    assert not {"frames", "projections", "embeddings"} & {each.what[0] for each in found}


def test_for_another_network_comes_what_it_is_trained_on(lab: Lab, tmp_path: Path) -> None:
    facts = tiny_store.facts(tmp_path / "store")
    facts["section"]["train"]["seeds"] = [7]
    plan = Plan(lab.plan.facts.from_json(facts))
    wanted = [Wanted(plan, missing.tables(plan))]
    found = {each.what for each in look(lab.caches(str(lab.given)), wanted)}
    stages = {stage for stage, _ in found}
    assert "voxels" in stages
    assert "train" not in stages
    assert "frames" not in stages, "embeddings are there, so nobody needs frames"


def test_raw_files_are_needed_only_for_what_nobody_has(lab: Lab, tmp_path: Path) -> None:
    facts = tiny_store.facts(tmp_path / "store")
    facts["section"] |= {"scans_per_job": 1, "raw": str(tmp_path / "nowhere")}
    plan = Plan(lab.plan.facts.from_json(facts))
    with pytest.raises(BadInput, match="there is no scannet data here, and the store lacks"):
        rawdata.require(plan)
    rawdata.require(plan, lab.caches(str(lab.given)))


def test_digests_of_raw_files_come_signed(lab: Lab, tmp_path: Path) -> None:
    plan = tiny_store.plan(tmp_path / "store")
    lab.caches(str(lab.given)).bring_digests(plan)
    known = digests.raw_digests(dict.fromkeys(plan.facts.scans), plan.records)
    assert known == lab.plan.facts.raw_digests
    make(tmp_path / "key.pem")
    other = Caches([Remote(str(lab.given), b"\1" * 32)], SHORT)
    unbelieved = tiny_store.plan(tmp_path / "unbelieved")
    other.bring_digests(unbelieved)
    assert not unbelieved.records.exists()


@pytest.mark.parametrize(
    ("described", "said"),
    [
        ({"url": "/mnt/lab"}, "has neither `public_key:` nor `trusted: true`"),
        ({"url": "http://lab.org/x", "trusted": True}, "can be altered on its way"),
        ({"url": "file:///etc", "trusted": True}, "file:// is no kind of remote"),
        ({"url": "https:///x", "trusted": True}, "is no URL of a folder"),
        ({"url": "https://lab.org/?x", "trusted": True}, "is no URL of a folder"),
        ({"url": "/mnt", "public_key": "abc"}, "has a `public_key:` that is none"),
    ],
)
def test_a_remote_must_say_why_it_is_believed(described: dict[str, object], said: str) -> None:
    with pytest.raises(BadInput) as caught:
        remotes({"remotes": [described]})
    assert said in str(caught.value)


def test_who_gives_must_have_the_key_of_the_remote(lab: Lab, tmp_path: Path) -> None:
    make(tmp_path / "other.pem")
    remote = Remote(str(tmp_path / "given"), lab.public_key)
    for private in (None, load(tmp_path / "other.pem")):
        with pytest.raises(BadInput, match="is not that of your key"):
            Giver(remote, private, SHORT)
    with pytest.raises(BadInput, match="is a web server, which only shows"):
        Giver(Remote("https://lab.org/x", lab.public_key), lab.private, SHORT)


def test_a_private_key_is_its_owners_alone_and_is_not_replaced(tmp_path: Path) -> None:
    make(tmp_path / "key.pem")
    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600
    with pytest.raises(BadInput, match="is there already"):
        make(tmp_path / "key.pem")
    (tmp_path / "text").write_text("-----BEGIN PRIVATE KEY-----\nx\n")
    with pytest.raises(BadInput, match="is no private key"):
        load(tmp_path / "text")
