"""Right files of each kind, and the project's way to read them."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import zarr

from model.network.trained import load
from pipeline.plan import config, manifest
from pipeline.readers.features import reader
from tests.damaged import models
from tests.other_files._written_networks import write as write_network

ROOT = Path(__file__).resolve().parents[2]


class Kind(NamedTuple):
    """A file or a folder that is made, and how it is read from there; what is read is valid."""

    make: Callable[[Path], Path]  # into an empty folder; gives the file, or the folder, to damage
    read: Callable[[Path], object]  # from the same folder


def make_network(folder: Path) -> Path:
    """A small network."""
    return write_network(folder / "net.safetensors")


def read_network(folder: Path) -> None:
    """All of its weights are numbers."""
    found = load(folder / "net.safetensors", torch.device("cpu"))
    tensors = found.network.state_dict().values()
    assert all(bool(torch.isfinite(t).all()) for t in tensors if t.is_floating_point())
    assert len(found.classes) == len(found.text_embeddings)
    assert found.voxel_size > 0
    assert found.head.temperature > 0


def make_texts(folder: Path) -> Path:
    """Text embeddings of features."""
    embedding, names = np.eye(3, 16, dtype=np.float32), np.array([*"abc"])
    np.savez(folder / reader.TEXT, embedding=embedding, classes=names)
    return folder / reader.TEXT


def make_npy(folder: Path) -> Path:
    """Features of a frame as an array of NumPy."""
    make_texts(folder)
    (folder / "s").mkdir()
    np.save(folder / "s/0.npy", _grid())
    return folder / "s/0.npy"


def make_zarr(folder: Path) -> Path:
    """The same as an array of zarr."""
    make_texts(folder)
    path = folder / "s/0.zarr"
    zarr.create_array(store=str(path), shape=(6, 8, 16), dtype="f2", chunks=(3, 8, 16))[:] = _grid()
    return path


def read_features(folder: Path) -> None:
    """All vectors are finite."""
    features = reader.open_features(folder, "s", reader.read_texts(folder))
    assert np.isfinite(features.exact(0)).all()


def copied(name: str) -> Callable[[Path], Path]:
    """A file of the repository."""

    def make(folder: Path) -> Path:
        path = folder / Path(name).name
        path.write_bytes((ROOT / name).read_bytes())
        return path

    return make


def make_tags(folder: Path) -> Path:
    """Tags of two scans."""
    (folder / "tags.csv").write_text("scan,classes\nroom1,chair|table\nroom2,wall\n")
    return folder / "tags.csv"


def read_tags(folder: Path) -> None:
    """Tags are names of classes."""
    known = ("chair", "table", "wall")
    found = manifest.read_tags(folder / "tags.csv", [{"name": name} for name in known])
    assert all(name in known for names in found.values() for name in names)


def _grid() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(6, 8, 16)).astype(np.float16)


KINDS: dict[str, Kind] = {
    "network": Kind(make_network, read_network),
    "features .npy": Kind(make_npy, read_features),
    "features .zarr": Kind(make_zarr, read_features),
    "features text.npz": Kind(make_texts, lambda folder: reader.read_texts(folder)),
    "classes.csv": Kind(
        copied("data_manifest/s3dis/classes.csv"),
        lambda folder: manifest.read_classes(folder / "classes.csv"),
    ),
    "scans.csv": Kind(
        copied("data_manifest/demo/scans.csv"),
        lambda folder: manifest.read_scans(folder / "scans.csv"),
    ),
    "tags.csv": Kind(make_tags, read_tags),
    "config.yaml": Kind(
        copied("workflow/config.yaml"), lambda folder: config.load(folder / "config.yaml")
    ),
    "release folder": Kind(models.make_release, models.read_release),
    "config.json": Kind(models.make_config, models.read_release),
    "adapter": Kind(models.make_adapter, models.read_adapter),
    "checkpoint": Kind(models.make_checkpoint, models.read_checkpoint),
    "CLIP": Kind(models.make_clip, models.read_clip),
    "CLIP config": Kind(models.make_clip_config, models.read_clip),
    "tokenizer.json": Kind(models.make_tokenizer, models.read_tokenizer),
}
