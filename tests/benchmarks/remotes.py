"""How fast entries are given and taken over loopback: a folder, a plain web server and local S3.

    python -m tests.benchmarks.remotes [--entries 32] [--megabytes 16]

Entries are of random bytes, as embeddings are nearly. The servers are Python's own and moto's, in
processes of their own: what they can deliver is the limit. The time to copy and hash the same files
is shown beside it.
"""

import argparse
import multiprocessing
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from pipeline.plan.plan import Plan
from pipeline.remotes.caches import Caches
from pipeline.remotes.described import Remote
from pipeline.remotes.giving import Giver, reachable
from pipeline.remotes.keys import load, make, public
from pipeline.remotes.taking import take
from pipeline.remotes.wanted import Wanted
from pipeline.store import arrays, groups, publish, records
from tests.helpers import tiny_store

PORT = 5995


def main() -> None:
    """Measure; print a line for each way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=32)
    parser.add_argument("--megabytes", type=int, default=16)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), asked.entries, asked.megabytes << 20)


def measure(folder: Path, entries: int, size: int) -> None:
    """Give and take `entries` of `size` bytes through each kind of remote."""
    scans = [f"scene{number:04}_00" for number in range(entries)]
    plan = fill(tiny_store.plan(folder / "store", scans), scans, size)
    make(folder / "key.pem")
    key, private = public(load(folder / "key.pem")), load(folder / "key.pem")
    report("copy and hash", entries * size, lambda: copied(plan, folder / "copy"))
    web = multiprocessing.Process(target=serve, args=(folder / "given",), daemon=True)
    s3 = multiprocessing.Process(target=serve_s3, daemon=True)
    web.start()
    s3.start()
    time.sleep(5)
    at_s3 = Remote("s3://lab/x", key, f"http://127.0.0.1:{PORT + 1}", "us-east-1")
    ways = {
        "folder": (Remote(str(folder / "given"), key), Remote(str(folder / "given"), key)),
        "http": (None, Remote(f"http://127.0.0.1:{PORT}", key)),
        "s3": (at_s3, at_s3),
    }
    for name, (to, source) in ways.items():
        if to:
            giver = Giver(to, private)
            report(f"{name}: push", entries * size, partial(giver.give, reachable([plan])))
        other = tiny_store.plan(folder / name, scans)
        wanted = [Wanted(other, [("voxels", scan) for scan in scans], or_made=False)]
        report(f"{name}: pull", entries * size, partial(take, Caches([source]), wanted))
    web.terminate()
    s3.terminate()


def fill(plan: Plan, scans: list[str], size: int) -> Plan:
    """Make entries of random bytes."""
    random = np.random.default_rng(0)
    for scan in scans:
        with publish.place(plan.home("voxels", scan)) as path, groups.create(path) as out:
            arrays.write(out, "x", random.integers(0, 256, size, np.uint8), 1 << 20, compress=False)
    return plan


def copied(plan: Plan, folder: Path) -> None:
    """Copy all entries and hash the copies."""
    shutil.copytree(plan.facts.store, folder)
    for path in folder.rglob("*.zip"):
        records.digest(path)


def report(what: str, size: int, run: Callable[[], object]) -> None:
    """Run, and print the time and the rate."""
    begin = time.monotonic()
    run()
    seconds = time.monotonic() - begin
    print(
        f"{what:16} {size / 1e6:8.0f} MB {seconds:7.1f} s {size / 1e6 / seconds:8.0f} MB/s",
        flush=True,
    )


def serve(folder: Path) -> None:
    """A web server for a folder."""
    import http.server

    from tests.helpers.tiny_remotes import Shown

    handler = partial(Shown, directory=str(folder))
    http.server.ThreadingHTTPServer(("127.0.0.1", PORT), handler).serve_forever()


def serve_s3() -> None:
    """A server that speaks S3, with a bucket `lab`."""
    import logging

    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").disabled = True
    ThreadedMotoServer("127.0.0.1", PORT + 1, verbose=False).start()
    url = f"http://127.0.0.1:{PORT + 1}"
    boto3.client("s3", "us-east-1", endpoint_url=url).create_bucket(Bucket="lab")
    time.sleep(3600)


if __name__ == "__main__":
    main()
