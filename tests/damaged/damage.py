"""Damage to the bytes of a file, drawn from a generator."""

from collections.abc import Callable

import numpy as np

Damage = Callable[[bytes, np.random.Generator], bytes]
EXTREMES = [
    *("0", "-1", "NaN", "Infinity", "1e999", "99999999999999999999", "1.5", "null", '"', "''"),
    *("[", "{" * 5000, "[" * 5000, "\\ud800", "\x00", "\n", "true", "é", "|", ",", ": ", "&a *a"),
]
_HEAD = 4096  # bytes, in which headers are


def cut(data: bytes, rng: np.random.Generator) -> bytes:
    """The end is missing."""
    return data[: _place(data, rng)]


def flip(data: bytes, rng: np.random.Generator) -> bytes:
    """One to eight bits are others."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 9))):
        changed[_place(data, rng)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def overwrite(data: bytes, rng: np.random.Generator) -> bytes:
    """Some bytes in a row are random, all 0, or all 255."""
    begin, count = _place(data, rng), int(rng.integers(1, 65))
    block = [rng.bytes(count), bytes(count), b"\xff" * count][int(rng.integers(3))]
    return data[:begin] + block + data[begin + count :]


def insert(data: bytes, rng: np.random.Generator) -> bytes:
    """Random bytes are put in between."""
    begin = _place(data, rng)
    return data[:begin] + rng.bytes(int(rng.integers(1, 33))) + data[begin:]


def leave_out(data: bytes, rng: np.random.Generator) -> bytes:
    """Some bytes are missing."""
    begin = _place(data, rng)
    return data[:begin] + data[begin + int(rng.integers(1, 65)) :]


def swap(data: bytes, rng: np.random.Generator) -> bytes:
    """Two halves of a part change their places."""
    a, b, c = sorted(_place(data, rng) for _ in range(3))
    return data[:a] + data[b:c] + data[a:b] + data[c:]


def double(data: bytes, rng: np.random.Generator) -> bytes:
    """A part is there twice."""
    a, b = sorted(_place(data, rng) for _ in range(2))
    return data[:b] + data[a:b] + data[b:]


def other_number(data: bytes, rng: np.random.Generator) -> bytes:
    """A number, in digits, is another, or no number."""
    places = [i for i, byte in enumerate(data[:_HEAD]) if 48 <= byte <= 57]
    if not places:
        return flip(data, rng)
    begin = end = places[int(rng.integers(len(places)))]
    while end < len(data) and data[end : end + 1] in b"0123456789." and data[end : end + 1]:
        end += 1
    return data[:begin] + EXTREMES[int(rng.integers(len(EXTREMES)))].encode() + data[end:]


def other_digit(data: bytes, rng: np.random.Generator) -> bytes:
    """A digit is another: what was well formed stays so."""
    places = [i for i, byte in enumerate(data[: 8 * _HEAD]) if 48 <= byte <= 57]
    if not places:
        return flip(data, rng)
    changed = bytearray(data)
    changed[places[int(rng.integers(len(places)))]] = 48 + int(rng.integers(10))
    return bytes(changed)


def other_line(data: bytes, rng: np.random.Generator) -> bytes:
    """A line, or a part between commas, stands twice or not at all."""
    mark = [b"\n", b","][int(rng.integers(2))]
    parts = data.split(mark)
    place = int(rng.integers(len(parts)))
    parts[place : place + 1] = [parts[place]] * (2 * int(rng.integers(2)))
    return mark.join(parts)


def put_text(data: bytes, rng: np.random.Generator) -> bytes:
    """A text that means something in headers is put into the beginning."""
    begin = int(rng.integers(min(len(data), _HEAD)))
    return data[:begin] + EXTREMES[int(rng.integers(len(EXTREMES)))].encode() + data[begin:]


def long_number(data: bytes, rng: np.random.Generator) -> bytes:
    """Eight bytes are a huge length, or a small one."""
    begin = int(rng.integers(min(len(data), 64)))
    value = 1 << int(rng.integers(64))
    return data[:begin] + value.to_bytes(8, "little") + data[begin + 8 :]


DAMAGES: list[Damage] = [
    *(cut, flip, overwrite, insert, leave_out, swap, double, other_number, other_digit),
    *(other_digit, other_line, put_text, long_number),
]


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """The bytes with one to three damages."""
    for _ in range(1 if rng.random() < 0.7 else int(rng.integers(2, 4))):
        if data:
            data = DAMAGES[int(rng.integers(len(DAMAGES)))](data, rng)
    return data


def _place(data: bytes, rng: np.random.Generator) -> int:
    """A place in the file: as often in its first bytes, where headers are, as anywhere."""
    return int(rng.integers(min(len(data), _HEAD) if rng.random() < 0.5 else len(data)))
