"""Where images are read makes no difference: threads of this machine, or a cluster of dask's."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any

import dask
import numpy as np
import psutil
import pytest
import torch
import zarr
from distributed import Client, LocalCluster
from PIL import Image

from pipeline.clip import executor, reader
from pipeline.clip.embedder import Embedder
from pipeline.clip.executor import DaskExecutor
from pipeline.errors import BadInput
from pipeline.grids.codecs import fp16
from pipeline.store import arrays
from tests.helpers import tiny_clip, tiny_store

BATCH, FRAMES = 2, 15
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module", params=["inproc", "tcp"])
def cluster(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of two workers in this process; by tcp all that is sent is packed."""
    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=False,
        protocol=request.param,
        dashboard_address=None,
    ) as started:
        yield started.scheduler_address


@pytest.fixture(autouse=True)
def no_client_left() -> Iterator[None]:
    """A run ends with its process; here the next test is in the same one."""
    yield
    for client in list(Client._instances):
        client.close()


@pytest.fixture(scope="module")
def params(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    given = {"model": tiny_clip.write(tmp_path_factory.mktemp("clip")), "pretrained": None}
    given |= {"recipe": "value", "image_size": None, "window": None, "stride": None}
    return given | {"batch": BATCH}


@pytest.fixture(scope="module")
def frames() -> Any:
    blobs = []
    for picture in np.random.default_rng(0).integers(0, 256, (FRAMES, 48, 64, 3), np.uint8):
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "jpeg")
        blobs.append(file.getvalue())
    group = zarr.create_group(zarr.storage.MemoryStore(), attributes={"color_size": [64, 48]})
    arrays.write(group, "color", np.frombuffer(b"".join(blobs), np.uint8))
    arrays.write(group, "color_offsets", np.cumsum([0, *map(len, blobs)]))
    return group


def made(stage: Embedder, frames: Any) -> bytes:
    out: Any = zarr.create_group(zarr.storage.MemoryStore())
    stage.write(out, frames)
    return out["grid"][:].tobytes()


@pytest.fixture(scope="module")
def by_threads(params: dict[str, Any], frames: Any) -> bytes:
    return made(tiny_clip.embedder(params), frames)


def test_a_cluster_gives_the_bytes_of_threads(
    params: dict[str, Any], frames: Any, by_threads: bytes, cluster: str
) -> None:
    with dask.config.set({"scheduler-address": cluster}):
        stage = tiny_clip.embedder(params)
    assert isinstance(stage.executor, DaskExecutor)
    assert made(stage, frames) == by_threads


def with_tower_here(stage: Embedder) -> Embedder:
    """As on a machine with a GPU: the executor decodes, and the tower is this process's."""

    class NoStreams(reader.StreamPool):
        def __init__(self) -> None:
            pass

        def acquire(self) -> Any:
            return nullcontext()

    stage.reader = replace(stage.reader, streams=NoStreams())
    return stage


def test_a_tower_of_this_process_is_given_what_the_executor_decodes(
    params: dict[str, Any], frames: Any, by_threads: bytes, cluster: str
) -> None:
    assert made(with_tower_here(tiny_clip.embedder(params)), frames) == by_threads
    with dask.config.set({"scheduler-address": cluster}):
        assert made(with_tower_here(tiny_clip.embedder(params)), frames) == by_threads


@pytest.mark.parametrize("tower_here", [False, True])
def test_there_are_never_more_images_on_the_way_than_a_batch_for_each_thread(
    params: dict[str, Any],
    frames: Any,
    cluster: str,
    monkeypatch: pytest.MonkeyPatch,
    tower_here: bool,
) -> None:
    lock, on_the_way, most = Lock(), 0, 0

    def count(images: int) -> None:
        nonlocal on_the_way, most
        with lock:
            on_the_way += images
            most = max(most, on_the_way)

    decode, put = reader.decode, fp16.Writer.put

    def counting_decode(blob: bytes, size: Any) -> Any:
        count(1)
        return decode(blob, size)

    def slow_put(writer: Any, first: int, cells: np.ndarray) -> Any:
        time.sleep(0.01)  # what is decoded must wait for it
        put(writer, first, cells)
        count(-len(cells))

    monkeypatch.setattr(reader, "decode", counting_decode)
    monkeypatch.setattr(fp16.Writer, "put", slow_put)
    with dask.config.set({"scheduler-address": cluster}):
        stage = tiny_clip.embedder(params)
    made(with_tower_here(stage) if tower_here else stage, frames)
    assert stage.executor.threads == 4  # two of each worker's
    assert on_the_way == 0
    assert BATCH < most <= BATCH * stage.executor.threads


def test_each_worker_is_given_the_tower_once_for_all_scans(
    params: dict[str, Any], frames: Any, cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared, share = [], DaskExecutor.share

    def counting_share(where: Any, value: Any) -> Any:
        shared.append(value)
        return share(where, value)

    monkeypatch.setattr(DaskExecutor, "share", counting_share)
    with dask.config.set({"scheduler-address": cluster}):
        stage = tiny_clip.embedder(params)
    assert made(stage, frames) == made(stage, frames)
    assert len(shared) == 1


def test_a_damaged_image_is_reported_as_on_this_machine(
    params: dict[str, Any], cluster: str
) -> None:
    frames = zarr.create_group(zarr.storage.MemoryStore(), attributes={"color_size": [64, 48]})
    arrays.write(frames, "color", np.zeros(30, np.uint8))
    arrays.write(frames, "color_offsets", np.array([0, 30]))
    said = []
    for setting in ({}, {"scheduler-address": cluster}):
        with dask.config.set(setting):
            stage = tiny_clip.embedder(params)
        with pytest.raises(OSError, match="cannot identify image file") as caught:
            made(stage, frames)
        said.append(type(caught.value))
    assert said[0] is said[1]


def test_a_worker_that_loaded_other_code_is_refused(
    cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "code_digest", iter(["the run's", "the worker's"]).__next__)
    with pytest.raises(
        BadInput, match="has loaded other code or packages than the run; restart it"
    ):
        DaskExecutor(cluster).call(int, "1")


def test_a_worker_computes_with_one_thread(cluster: str) -> None:
    assert DaskExecutor(cluster).call(torch.get_num_threads) == 1


def test_a_call_that_dask_cancels_is_made_anew(
    cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = DaskExecutor(cluster)
    submit, calls = executor.client.submit, []

    def cancelled_once(*args: Any, **options: Any) -> Any:
        future = submit(*args, **options)
        calls.append(future)
        if len(calls) == 1:
            future.cancel()
        return future

    monkeypatch.setattr(executor.client, "submit", cancelled_once)
    assert executor.call(torch.get_num_threads) == 1
    assert len(calls) == 2


def test_where_no_scheduler_answers_is_reported_in_one_sentence() -> None:
    sentence = "^tcp://127.0.0.1:9: no scheduler of dask answers there; start `dask scheduler`"
    with pytest.raises(BadInput, match=sentence):
        DaskExecutor("tcp://127.0.0.1:9", timeout=1)


def test_a_scheduler_without_workers_is_reported_too() -> None:
    with (
        LocalCluster(n_workers=0, processes=False, dashboard_address=None) as empty,
        pytest.raises(BadInput, match="has no worker"),
    ):
        DaskExecutor(empty.scheduler_address, timeout=1)


def test_a_cluster_is_in_no_key(tmp_path: Path) -> None:
    plain = tiny_store.plan(tmp_path).keys
    with dask.config.set({"scheduler-address": "tcp://somewhere:8786"}):
        assert tiny_store.plan(tmp_path).keys == plain


@pytest.fixture
def commands(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """The address of a scheduler, and its two workers, by the commands that the docs name."""
    known = tmp_path / "scheduler.json"
    dask_ = [sys.executable, "-m", "dask"]
    scheduler = [
        *dask_,
        "scheduler",
        "--port",
        "0",
        "--no-dashboard",
        "--scheduler-file",
        str(known),
    ]
    worker = [*dask_, "worker", "--scheduler-file", str(known), "--nthreads", "1", "--no-dashboard"]
    with (tmp_path / "said.txt").open("wb") as said:
        started = [
            subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=said)
            for command in (scheduler, worker, worker)
        ]
        try:
            end = time.monotonic() + 60
            while not known.exists() and time.monotonic() < end:
                time.sleep(0.1)
            yield json.loads(known.read_text())["address"], started[1:]
        finally:
            for process in reversed(started):
                process.terminate()
                process.wait(30)


def test_the_commands_of_the_docs_give_the_same_bytes_though_a_worker_is_killed(
    params: dict[str, Any],
    frames: Any,
    by_threads: bytes,
    commands: tuple[str, list[subprocess.Popen[bytes]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address, workers = commands
    docs = (ROOT / "docs/cluster.md").read_text("utf-8")
    assert "python -m dask scheduler" in docs
    assert "python -m dask worker" in docs
    with dask.config.set({"scheduler-address": address}):
        stage = tiny_clip.embedder(params)
    assert isinstance(stage.executor, DaskExecutor)
    stage.executor.client.wait_for_workers(2, timeout=60)
    stage._shared = stage.executor.share(stage.reader)  # to both
    put = fp16.Writer.put
    killed: list[int] = []

    def killing(writer: Any, first: int, cells: np.ndarray) -> Any:
        if not killed:
            children = psutil.Process(workers[0].pid).children(recursive=True)
            killed.extend(process.pid for process in children)
            for pid in (*killed, workers[0].pid):
                os.kill(pid, signal.SIGKILL)
        return put(writer, first, cells)

    monkeypatch.setattr(fp16.Writer, "put", killing)
    assert made(stage, frames) == by_threads
    assert killed
