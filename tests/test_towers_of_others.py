"""A damaged text tower, its configuration or its tokenizer is named in one sentence."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.clip import text_tower
from pipeline.errors import BadInput
from tests.helpers import tiny_clip


def config(change: Callable[[str], str]) -> Callable[[Path], object]:
    def spoil(folder: Path) -> None:
        path = folder / "open_clip_config.json"
        path.write_text(change(path.read_text()))

    return spoil


def not_finite(folder: Path) -> None:
    path = folder / "open_clip_model.safetensors"
    tensors = load_file(path)
    tensors["text_projection"][0, 0] = torch.nan
    save_file(tensors, path)


def cut(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-9])


SPOILT: dict[str, Callable[[Path], object]] = {
    "nested": config(lambda text: "[" * 100_000),
    "no object": config(lambda text: "3"),
    "no towers": config(lambda text: json.dumps({"model_cfg": {"text_cfg": 3}})),
    "towers that are lists": config(lambda text: json.dumps({"model_cfg": [1]})),
    "cut off": cut("open_clip_config.json"),
    "merges cut off": cut("merges.txt.gz"),
    "merges that are text": lambda folder: (folder / "merges.txt.gz").write_text("a b"),
    "weights cut off": cut("open_clip_model.safetensors"),
    "other sizes": config(lambda text: text.replace('"embed_dim": 24', '"embed_dim": 25')),
    "not finite": not_finite,
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT.keys())
def test_a_bad_text_tower_is_named_in_one_sentence(
    spoil: Callable[[Path], object], tmp_path: Path
) -> None:
    model = tiny_clip.write(tmp_path / "clip")
    spoil(tmp_path / "clip")
    with pytest.raises(BadInput) as caught:
        text_tower.load_text_tower(model, None)
    assert str(tmp_path / "clip") in str(caught.value)
    assert "\n" not in str(caught.value)
