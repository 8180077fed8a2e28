"""What the file of a network says is checked when it is opened, once, whoever asks."""

import json
from pathlib import Path
from typing import Any

import pytest
import safetensors
import torch

from model import load
from model.network.trained import load as load_trained
from model.network.trained import rules
from pipeline.errors import BadInput
from tests.other_files._written_networks import (
    SIZES,
    Edit,
    header,
    number,
    size,
    tensor,
    text,
    write,
)

CPU = torch.device("cpu")
BAD: dict[str, tuple[Edit, str]] = {
    "a weight that is no number": (
        number("network.head.weight", float("nan")),
        "its head.weight has numbers that are not finite",
    ),
    "a config that is no JSON": (text("config", "{"), "its config cannot be read"),
    "a config without a network": (text("config", "{}"), "does not describe a network"),
    "an unknown size": (size("zzz", 1), "has the unknown size 'zzz'"),
    "an unknown arch": (size("arch", "99"), "is of an unknown arch"),
    "a seed that is no number": (text("seed", "x"), "its seed cannot be read"),
    "half a head": (text("head", '{"normalise": true}'), "its head is {'normalise': True}"),
    "curves that nest": (text("curves", "[" * 100_000), "it nests too deeply"),
    "a head that is transposed": (
        tensor("network.head.weight", lambda t: t.T),
        r"its head\.weight has the shape \(6, 5\) and not \(5, 6\)",
    ),
    "more planes than the file can have": (size("planes", [10**6] * 8), "cannot have these planes"),
    "layers without end": (size("layers", [300] * 8), "fewer tensors than its network has layers"),
    "voxels of no size": (text("voxel_size", "NaN"), "its voxel size is nan"),
    "no temperature": (
        text("head", '{"normalise": true, "temperature": 0}'),
        "its temperature is 0",
    ),
    "too few classes": (text("classes", '["a"]'), "has 1 classes and text embeddings of 3"),
    "a class twice": (text("classes", '["a", "b", "a"]'), "names a class twice"),
    "a key twice": (text("head", '{"a": 1, "a": 2}'), "it names 'a' twice"),
}


@pytest.mark.parametrize(("edit", "said"), BAD.values(), ids=BAD.keys())
def test_a_bad_network_is_refused_in_one_sentence(edit: Edit, said: str, tmp_path: Path) -> None:
    path = write(tmp_path / "net.safetensors", edit)
    for read in (load, lambda path: load_trained(path, CPU)):
        with pytest.raises(BadInput, match=said) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path}: is no network of this version")
        assert "\n" not in str(caught.value)


def test_a_header_that_names_a_tensor_twice_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "net.safetensors")
    again = json.dumps({"dtype": "F32", "shape": [], "data_offsets": [0, 0]})
    twice = header(lambda head: head[:1] + f'"text_embeddings":{again},' + head[1:])
    path.write_bytes(twice(path.read_bytes()))
    with pytest.raises(BadInput, match="it names 'text_embeddings' twice"):
        load(path)


def test_the_rules_of_a_file_are_checked_as_well(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="its others cannot be read"):
        rules(write(tmp_path / "net.safetensors", text("others", "{")))


def test_a_network_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    monkeypatch.setattr("model.network.files.safe_open", _noting(opened))
    assert load(write(tmp_path / "net.safetensors")).trained.config["network"] == SIZES
    assert len(opened) == 1


def _noting(opened: list[object]) -> Any:
    def safe_open(path: Path, **options: Any) -> Any:
        opened.append(path)
        return safetensors.safe_open(path, **options)

    return safe_open
