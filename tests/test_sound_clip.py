"""The files of a CLIP model are looked at before anything is built from them."""

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from pipeline.clip import sound, weights
from pipeline.errors import BadInput
from tests.helpers import tiny_clip


def test_image_towers_with_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    name = tiny_clip.write(tmp_path / "clip")
    sound.require_sound(name, None)
    path = tmp_path / "clip" / weights.WEIGHTS
    tensors = load_file(path)
    tensors["visual.proj"][0, 0] = float("nan")
    save_file(tensors, path)
    with pytest.raises(BadInput, match=r"its visual\.proj has numbers that are not finite") as said:
        sound.require_sound(name, None)
    assert len(str(said.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("part", "key", "value", "said"),
    [
        ("vision_cfg", "width", 10**9, "whose width is 1e[+]09: its weights are not so large"),
        ("vision_cfg", "layers", 4000, "of more layers than its weights"),
        ("text_cfg", "vocab_size", 2000, "token_embedding.weight has the shape"),
        ("text_cfg", "heads", 7, "of which nothing can be built"),
    ],
)
def test_a_configuration_larger_than_its_weights_takes_no_memory(
    tmp_path: Path, part: str, key: str, value: int, said: str
) -> None:
    name = tiny_clip.write(tmp_path)
    config = json.loads((tmp_path / weights.CONFIG).read_text())
    config["model_cfg"][part][key] = value
    (tmp_path / weights.CONFIG).write_text(json.dumps(config))
    with pytest.raises(BadInput, match=said):
        sound.require_sound(name, None)
