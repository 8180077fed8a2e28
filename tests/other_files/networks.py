"""Networks as others send them: whole, in other number types, damaged, and hostile."""

import json
import math
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from hypothesis import strategies as st

from model.network.trained import load
from tests.other_files import Variant
from tests.other_files._written_networks import (
    CLASSES,
    SIZES,
    TOWER,
    Edit,
    as_type,
    content,
    header,
    number,
    size,
    tensor,
    text,
    write,
)

CPU = torch.device("cpu")


def is_read(folder: Path, edit: Edit | None) -> None:
    """The network is read with the numbers that it has."""
    found = load(write(folder / "net.safetensors", edit), CPU)
    assert (found.classes, found.voxel_size, found.head.temperature) == (CLASSES, 0.1, 0.05)
    for name, found_tensor in found.network.state_dict().items():
        expected = content().tensors[f"network.{name}"]
        assert found_tensor.dtype == expected.dtype
        torch.testing.assert_close(found_tensor, expected, rtol=0.01, atol=0.01)


def is_refused(folder: Path, edit: Edit) -> None:
    """It is refused in one sentence."""
    load(write(folder / "net.safetensors", edit), CPU)
    raise AssertionError("it was read")


def bytes_are_refused(folder: Path, change: Callable[[bytes], bytes]) -> None:
    """So is a file whose bytes are changed."""
    path = write(folder / "net.safetensors")
    path.write_bytes(change(path.read_bytes()))
    load(path, CPU)
    raise AssertionError("it was read")


FLOATS = [name for name, t in content().tensors.items() if t.is_floating_point()]
NOT_FINITE = st.sampled_from([math.nan, math.inf, -math.inf])
JUNK = st.sampled_from(
    ["", "{", "null", "[]", "{}", "3", '"a"', "[" * 9999, '{"a":' * 9999, "NaN", "\\ud800"]
)
PARSED = ["classes", "head", "config", "voxel_size", "tower", "curves", "seed"]
NO_LENGTH = st.sampled_from(["NaN", "Infinity", "0", "-0.1", "1e-9", "1e9", '"0.1"', "true", "[1]"])
HUGE = st.sampled_from([0, -1, 10**6, 10**9, 10**30, 1.5, "a", None, True])
SIZE_EDITS = st.one_of(
    st.builds(lambda n, v: size(n, [v] * 8), st.sampled_from(["planes", "layers"]), HUGE),
    st.builds(size, st.sampled_from(["stem_width", "stem_kernel"]), HUGE.filter(bool)),
    st.builds(size, st.sampled_from(["planes", "layers", "head"]), st.just([5] * 9)),
    st.builds(size, st.just("zzz"), st.just(1)),
    st.builds(size, st.just("arch"), st.sampled_from(["99", 1, ["14A"]])),
    st.builds(size, st.just("head"), st.just([])),
)
TEXT_EDITS = st.one_of(
    st.builds(text, st.sampled_from([n for n in PARSED if n != "seed"]), st.none()),
    st.builds(text, st.sampled_from(["classes", "head", "config"]), JUNK),
    st.builds(text, st.sampled_from(["voxel_size", "entry_voxel_size"]), NO_LENGTH),
    st.builds(
        lambda t: text("head", f'{{"normalise": true, "temperature": {t}}}'),
        st.sampled_from(["0", "-1", "NaN", "Infinity", "1e-30", "null", '"1"', "true"]),
    ),
    st.builds(
        lambda names: text("classes", json.dumps(names)),
        st.sampled_from(
            [["a"], [*"abcd"], ["a", "a", "b"], ["a", 1, "b"], ["a", "", "b"], ["a\n", "b", "c"]]
        ),
    ),
    st.builds(text, st.just("classes"), st.just('["a", "b", "\\ud800"]')),
    st.builds(text, st.just("head"), st.just('{"normalise": true}')),
    st.builds(
        lambda key, value: text("tower", json.dumps(TOWER | {key: value})),
        st.sampled_from(["model", "pretrained", "weights", "templates"]),
        st.sampled_from([1, {}, [], [1], True]),
    ),
    st.builds(
        lambda names: text("config", json.dumps({"network": SIZES, "inputs": names})),
        st.sampled_from([[], ["colour"], "color", 3, [["color"]], ["color"]]),
    ),
)
TENSOR_EDITS = st.one_of(
    st.builds(number, st.sampled_from(FLOATS), NOT_FINITE),
    st.just(number("network.stem_norm.running_var", -1.0)),
    st.just(number("text_embeddings", 9.0)),
    st.builds(tensor, st.sampled_from([*content().tensors]), st.just(lambda t: None)),
    st.builds(
        tensor,
        st.sampled_from(FLOATS),
        st.sampled_from(
            [
                lambda t: t[:-1],
                lambda t: t[None],
                lambda t: torch.cat([t, t]),
                lambda t: t.to(torch.int32),
                lambda t: t.bool(),
            ]
        ),
    ),
    st.builds(
        tensor,
        st.sampled_from(["network.more", "more", "by_tags.head.weight", "network.head.weight.x"]),
        st.just(lambda t: t),
    ),
    st.just(tensor("network.head.weight", lambda t: t.T)),
    st.just(as_type(torch.int32)),
)
BYTE_EDITS = st.one_of(
    st.builds(lambda n: lambda b: b[: int(n * len(b))], st.floats(0, 0.999)),
    st.builds(lambda n: lambda b: b + bytes(n), st.integers(1, 9)),
    st.builds(
        lambda n: lambda b: struct.pack("<Q", n) + b[8:],
        st.sampled_from([0, 1, 1 << 40, 2**64 - 1]),
    ),
    st.builds(
        header,
        st.sampled_from(
            [
                lambda h: "[" * 100_000,
                lambda h: '{"a":' * 100_000,
                lambda h: h[:-9],
                lambda h: h.replace("F32", "F99", 1),
                lambda h: h.replace("F32", "F64", 1),
                lambda h: h.replace("[0,", "[1,", 1),
                lambda h: h.replace('"shape":[', '"shape":[9999999999,', 1),
                lambda h: h.replace('"data_offsets"', '"data_offset"', 1),
                lambda h: h.replace('"ess_esgs"', '"\\ud800"', 1),
                lambda h: h.replace('"seed":"3"', '"seed":3', 1),
                lambda h: '{"__metadata__":{"seed":"4"},' + h[1:],
                lambda h: h.replace('"seed":', '"seed":"4","seed":', 1),
            ]
        ),
    ),
)
GOOD = st.one_of(
    st.just(None),
    st.sampled_from([torch.float16, torch.bfloat16, torch.float64]).map(as_type),
    st.just(text("entry_voxel_size", None)),
    st.just(text("trained_on", None)),
    st.just(text("by_somebody", "else")),
    st.just(text("tower", "null")),
)
RIGHT = st.builds(lambda e: Variant("a right network", partial(is_read, edit=e)), GOOD)
BAD = st.one_of(
    *(
        st.builds(
            lambda e, what=what: Variant(what, partial(is_refused, edit=e), may_be_refused=True),
            edits,
        )
        for what, edits in (
            ("a size of the network", SIZE_EDITS),
            ("a text", TEXT_EDITS),
            ("a tensor", TENSOR_EDITS),
        )
    ),
    st.builds(
        lambda change: Variant(
            "bytes", partial(bytes_are_refused, change=change), may_be_refused=True
        ),
        BYTE_EDITS,
    ),
)
VARIANTS = st.integers(0, 4).flatmap(lambda drawn: BAD if drawn else RIGHT)
