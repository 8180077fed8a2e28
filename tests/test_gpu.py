"""What only a GPU does: training steps with mixed precision, and towers on a pool of streams."""

import csv
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from model.data.entries import read_entry
from model.inference.predict import predict
from model.network import files
from model.network.trained import load
from tests.helpers import tiny_clip
from tests.helpers.tiny_entries import train_tiny, write_rooms, write_text

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

STEPS = 20  # the first few may be skipped, until the loss scale fits


@pytest.mark.parametrize("variant", ["esgs", "ess_esgs", "supervised"])
def test_training_with_mixed_precision_has_finite_losses_and_resumes(
    variant: str, tmp_path: Path
) -> None:
    rooms, text = write_rooms(tmp_path, range(3)), write_text(tmp_path)
    path = train_tiny(
        *(variant, rooms, text, tmp_path / "a"), steps=STEPS, checkpoint_every=2, log=tmp_path
    )
    with (tmp_path / "training.csv").open(encoding="utf-8", newline="") as file:
        assert all(float(row["gpu_mb"]) > 0 for row in csv.DictReader(file))
    tensors, metadata = files.read(path)
    losses = json.loads(metadata["curves"])["network"]["loss"]
    assert len(losses) == STEPS
    assert np.isfinite(losses).all()
    assert np.mean(losses[-3:]) < losses[0]
    assert all(tensor.isfinite().all() for tensor in tensors.values())
    checkpoint, state = files.read(tmp_path / "a.scratch" / "checkpoint.safetensors")
    assert len(checkpoint["losses"]) == STEPS - 2
    assert json.loads(state["scaler"])["scale"] > 0
    again = train_tiny(variant, rooms, text, tmp_path / "a", steps=STEPS, checkpoint_every=2)
    resumed = json.loads(files.read(again)[1]["curves"])["network"]["loss"]
    assert resumed[: STEPS - 2] == losses[: STEPS - 2]
    assert np.isfinite(resumed).all()


def test_a_second_pass_predicts_nearly_the_same(tmp_path: Path) -> None:
    (room,), text = write_rooms(tmp_path, [0]), write_text(tmp_path)
    path, voxels = train_tiny("esgs", [room], text, tmp_path / "a"), read_entry(room.path("voxels"))
    found = predict(load(path, torch.device("cuda")), voxels)
    again = predict(load(path, torch.device("cuda")), voxels)
    np.testing.assert_allclose(found.probability, again.probability, atol=1e-3)
    assert (found.label == again.label).mean() > 0.99
    np.testing.assert_allclose(found.probability.sum(axis=1), 1, rtol=1e-4)


def read_batches(model: str, batches: NDArray[np.uint8]) -> NDArray[np.float16]:
    """Embeddings (n, B, h, w, d) of batches of images (n, B, y, x, 3), of several threads."""
    params = {"model": model, "pretrained": None, "recipe": "plain", "image_size": None}
    tower = tiny_clip.embedder(params | {"window": None, "stride": None, "batch": 4})
    with ThreadPoolExecutor(4) as pool:
        return np.stack(list(pool.map(tower.read, batches)))


def test_a_pool_of_streams_embeds_batches_as_a_cpu_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_clip.write(tmp_path / "clip")
    batches = np.random.default_rng(0).integers(0, 256, (12, 4, 48, 64, 3), np.uint8)
    found = read_batches(model, batches)
    assert (found == read_batches(model, batches)).all(), "threads do not mix their batches"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    on_cpu = read_batches(model, batches)
    assert found.shape == on_cpu.shape
    cosine = (found.astype(np.float32) * on_cpu.astype(np.float32)).sum(axis=-1)
    assert np.quantile(cosine, 0.01) > 0.99
