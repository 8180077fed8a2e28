"""Images of a recording in any format, mode, number type and EXIF orientation."""

import struct
import zlib
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from pipeline.clip.reader import decode
from pipeline.errors import BadInput
from pipeline.images import check_image
from pipeline.readers.folder import files, frames
from pipeline.scan import Frame
from tests.helpers.planes import Array
from tests.helpers.room_frames import COLOR_SIZE, DEPTH_SIZE, K_COLOR, put
from tests.helpers.room_frames import frames as room
from tests.other_files import Variant

# How pixels have to be stored so that a viewer that turns them by the tag shows them upright.
TURNS: dict[int, Any] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a, -1),
}
# Mode, endings, how far decoded colours may be from the picture, and whether they are grey.
MODES: list[tuple[str, list[str], int, bool]] = [
    ("RGB", ["png", "jpg", "webp"], 40, False),
    ("RGBA", ["png"], 0, False),
    ("RGBA", ["webp"], 40, False),
    ("P", ["png"], 40, False),
    ("L", ["png", "jpg"], 40, True),
    ("LA", ["png"], 1, True),
    ("CMYK", ["jpg"], 60, False),
    ("1", ["png"], 255, True),
    ("RGB;16", ["png"], 1, False),
    ("I;16", ["png"], 2, True),
    ("I;16, 12 bits", ["png"], 2, True),
    ("I;16, 10 bits", ["png"], 2, True),
]
KINDS = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP"}


@cache
def recorded() -> list[Frame]:
    """Three frames of the room of planes."""
    return room(3, whole=True)


def picture(grey: bool) -> NDArray[np.uint8]:
    """A smooth picture (H, W, 3), bright at the top left."""
    (width, height), channels = COLOR_SIZE, np.arange(3)
    v, u = np.mgrid[:height, :width]
    shade = 250 - 4 * v - 3 * u
    rgb = np.stack([shade - 20 * (0 if grey else c) for c in channels], 2)
    return rgb.clip(0, 255).astype(np.uint8)


def stored(pixels: NDArray[np.uint8], mode: str, kind: str, turn: int) -> bytes:
    """A picture (H, W, 3) as a file of that mode, which its EXIF tag turns upright."""
    pixels = np.ascontiguousarray(TURNS[turn](pixels))
    if mode == "RGB;16":
        return _png_of_16_bits(pixels, turn)
    if mode.startswith("I;16"):
        deep = pixels[..., 0].astype(np.uint16)
        bits = {"I;16": 257.0, "I;16, 12 bits": 4095 / 255, "I;16, 10 bits": 1023 / 255}[mode]
        image = Image.fromarray(np.rint(deep * bits).astype(np.uint16))
    else:
        image = Image.fromarray(pixels)
        image = image.quantize(256) if mode == "P" else image.convert(mode)
    tags, file = Image.Exif(), BytesIO()
    tags[0x0112] = turn
    quality = {"quality": 95} if kind in ("jpg", "webp") else {}
    image.save(file, KINDS[kind], exif=tags, **quality)
    return file.getvalue()


def _png_of_16_bits(pixels: NDArray[np.uint8], turn: int) -> bytes:
    """A PNG of three channels of 16 bits, which Pillow reads but does not write."""
    height, width, _ = pixels.shape
    rows = (pixels.astype(">u2") * 257).astype(">u2")
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    tags = Image.Exif()
    tags[0x0112] = turn

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    exif = tags.tobytes().removeprefix(b"Exif\0\0")
    parts = [(b"IHDR", header), (b"eXIf", exif), (b"IDAT", zlib.compress(raw)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def write(folder: Path, color: bytes, kind: str, k: Array = K_COLOR) -> Path:
    """A scan in the layout of this project whose colour images are all the same."""
    for f in recorded():
        depth = BytesIO()
        Image.fromarray(f.depth).save(depth, "PNG")
        put(folder / f"scan/color/{f.frame_id}.{kind}", color)
        put(folder / f"scan/depth/{f.frame_id}.png", depth.getvalue())
        put(folder / f"scan/pose/{f.frame_id}.txt", f.camera_to_world)
    put(folder / "scan/intrinsics.txt", k)
    return folder


def opened(raw: Path) -> frames.FolderFrames:
    """The frames of the one scan in `raw`."""
    return frames.open_frames(files.scan_files(raw, "scan")["frames"])


@st.composite
def colors(draw: st.DrawFn) -> Variant:
    """A colour image is read as a viewer shows it, also by what reads it from the store."""
    mode, kinds, near, grey = draw(st.sampled_from(MODES))
    kind, turn = draw(st.sampled_from(kinds)), draw(st.sampled_from([1, 1, 2, 3, 4]))

    def check(folder: Path) -> None:
        wanted = picture(grey)
        if mode == "1":
            wanted = np.where(wanted > 127, 255, 0).astype(np.uint8)
        raw = opened(write(folder, stored(wanted, mode, kind, turn), kind))
        assert raw.color_size == COLOR_SIZE
        frame = raw.read(1)
        check_image(frame.color, COLOR_SIZE, "color")
        found = decode(frame.color, COLOR_SIZE).astype(int)
        error = abs(found - wanted)
        assert error.mean() < near / 8 + 0.6, f"{error.mean():.1f} off, {found[0, 0]}"
        if near <= 2:
            assert error.max() <= near, f"{error.max()} off"

    return Variant(f"{mode} as {kind}, orientation {turn}", check)


@st.composite
def on_their_side(draw: st.DrawFn) -> Variant:
    """A portrait of a camera whose intrinsics are those of a portrait is read; else refused."""
    turn, kind = draw(st.sampled_from([5, 6, 7, 8])), draw(st.sampled_from(["jpg", "png", "webp"]))
    fits = draw(st.booleans())

    def check(folder: Path) -> None:
        tall = np.ascontiguousarray(picture(False).swapaxes(0, 1))
        k = K_COLOR.copy()
        if fits:
            k[[0, 1], 2] = K_COLOR[[1, 0], 2]
        raw = write(folder, stored(tall, "RGB", kind, turn), kind, k)
        for path in raw.rglob("depth/*.png"):
            Image.fromarray(np.full((DEPTH_SIZE[0], DEPTH_SIZE[1]), 900, np.uint16)).save(path)
        if not fits:
            with pytest.raises(BadInput, match="EXIF") as sentence:
                opened(raw)
            raise sentence.value
        frame = opened(raw).read(1)
        error = abs(decode(frame.color, COLOR_SIZE[::-1]).astype(int) - tall)
        assert error.mean() < 6, error.mean()

    return Variant(f"turned by {turn}, {kind}, its intrinsics {fits}", check, not fits)


def _depth_file(depth: NDArray[np.uint16], kind: str) -> tuple[str, bytes]:
    """Depth in millimetres as a file, and its ending."""
    file = BytesIO()
    metres = depth.astype(np.float32) / 1000
    with_holes = np.where(depth == 0, np.float32(np.nan), metres)
    if kind.startswith("npy"):
        values: Any = {
            "npy u2": depth,
            "npy i4": depth.astype(np.int32),
            "npy f4 m": with_holes,
            "npy f8 m": metres.astype(np.float64),
            "npy f4 mm": with_holes * 1000,
            "npy f2 m": metres.astype(np.float16),
            "npy of one channel": depth[..., None],
            "npy by columns": np.asfortranarray(metres),
        }[kind]
        np.save(file, values)
        return "npy", file.getvalue()
    if kind == "png with a tag":
        tags = Image.Exif()
        tags[0x0112] = 3
        Image.fromarray(np.ascontiguousarray(depth[::-1, ::-1])).save(file, "PNG", exif=tags)
        return "png", file.getvalue()
    image = Image.fromarray(with_holes if "f4" in kind else depth)
    options = {"compression": "tiff_lzw"} if "lzw" in kind else {}
    image.save(file, kind.split()[0].upper(), **options)
    return {"tiff": "tif", "png": "png"}[kind.split()[0]], file.getvalue()


DEPTHS = [
    *("npy u2", "npy i4", "npy f4 m", "npy f8 m", "npy f4 mm", "npy f2 m", "npy of one channel"),
    *("npy by columns", "tiff u2", "tiff u2 lzw", "tiff f4 m", "tiff f4 lzw"),
    *("png", "png with a tag"),
]


@st.composite
def depths(draw: st.DrawFn) -> Variant:
    """Depth in any file is the same depth."""
    kind = draw(st.sampled_from(DEPTHS))

    def check(folder: Path) -> None:
        write(folder, stored(picture(False), "RGB", "png", 1), "png")
        for path in sorted(folder.rglob("depth/*.png")):
            with Image.open(path) as image:
                ending, blob = _depth_file(np.asarray(image), kind)
            path.unlink()
            path.with_suffix(f".{ending}").write_bytes(blob)
        raw = opened(folder)
        assert raw.depth_size == DEPTH_SIZE
        for wanted in recorded():
            found = raw.read(wanted.frame_id).depth.astype(float) / raw.depth_scale
            error = abs(found - wanted.depth / 1000).max()
            assert error < (0.003 if "f2" in kind else 0.0006), f"{error} m off"

    return Variant(f"depth as {kind}", check)


VARIANTS = st.one_of(colors(), colors(), on_their_side(), depths())
