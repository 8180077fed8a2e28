"""Networks for others, states of trainings, and CLIP models: right ones, and how they are read."""

from pathlib import Path

import numpy as np
import torch

from model.inference import release_folder
from model.inference.network import load as load_release
from model.network.adapter import PRESETS, Adapter, load_adapter, save_adapter
from model.network.release import CONFIG
from model.network.trained import build_network, load
from model.training.checkpoint import Checkpoint
from model.training.curves import Curves
from pipeline.clip.fetch import hub_tokenizer
from pipeline.clip.image_tower import load_image_tower
from pipeline.clip.sound import require_sound
from pipeline.clip.text_tower import load_text_tower
from pipeline.clip.towers import open_clip_vit
from tests.helpers import tiny_clip, tiny_towers
from tests.other_files._written_networks import SIZES
from tests.other_files._written_networks import write as write_network

TEXT = {"hf_tokenizer_name": "some/words", "context_length": 12}


def make_release(folder: Path) -> Path:
    """A release folder."""
    path = write_network(folder / "net.safetensors")
    details = {"colors": {"wall": "#aec7e8"}, "scores": [], "licence": "MIT"}
    trained = load(path, torch.device("cpu"))
    release_folder.write(folder / "release", path, trained, details)
    path.unlink()
    return folder / "release"


def read_release(folder: Path) -> None:
    """Classes have colours, and weights are numbers."""
    net = load_release(folder / "release")
    assert net.colors.shape == (len(net.classes), 3)
    assert all(torch.isfinite(t).all() for t in net.trained.network.state_dict().values())


def make_config(folder: Path) -> Path:
    """The description in a release folder."""
    return make_release(folder) / CONFIG


def make_adapter(folder: Path) -> Path:
    """A fitted adapter."""
    save_adapter(folder / "a", Adapter(16, PRESETS["normalised"]), "entry", {"loss": [1.0, 0.5]})
    return folder / "a"


def read_adapter(folder: Path) -> None:
    """What it makes of embeddings is finite."""
    adapter, _ = load_adapter(folder / "a", torch.device("cpu"))
    assert bool(torch.isfinite(adapter(torch.eye(16))).all())


def checkpoint(folder: Path) -> Checkpoint:
    """A training of a small network after one step."""
    network = build_network(5, SIZES, 0)
    optimiser = torch.optim.Adam(network.parameters())
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimiser.step()
    curves = Curves()
    curves.add(1.0, 0.1, {"cosine": 1.0})
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    path = folder / "checkpoint.safetensors"
    return Checkpoint(path, "mark", network, optimiser, scaler, curves, None)


def make_checkpoint(folder: Path) -> Path:
    """The state of a training."""
    state = checkpoint(folder)
    state.save()
    return state.path


def read_checkpoint(folder: Path) -> None:
    """A training goes on from it with numbers."""
    state = checkpoint(folder)
    state.restore()
    state.optimiser.step()
    assert all(bool(torch.isfinite(each).all()) for each in state.network.parameters())


def make_clip(folder: Path) -> Path:
    """A CLIP model with its configuration and merges."""
    tiny_clip.write(folder / "clip")
    return folder / "clip"


def make_clip_config(folder: Path) -> Path:
    """The configuration of one."""
    return make_clip(folder) / "open_clip_config.json"


def read_clip(folder: Path) -> None:
    """Images and texts have embeddings."""
    name = f"local-dir:{folder / 'clip'}"
    require_sound(name, None)
    load_image_tower(name, None, open_clip_vit)
    assert np.isfinite(load_text_tower(name, None).embed(["chair"])).all()


def make_tokenizer(folder: Path) -> Path:
    """A tokenizer of Hugging Face."""
    tiny_towers.write_tokenizer(folder, ["chair", "table"])
    return folder / "tokenizer.json"


def read_tokenizer(folder: Path) -> None:
    """Texts have numbers."""
    assert hub_tokenizer(f"local-dir:{folder}", TEXT)(["chair"]).shape == (1, 12)
