"""The embeddings stage: geometry of the grid, files of a scan, and what is refused."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import zarr
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file, save_file

from pipeline.clip import embedder, reader
from pipeline.clip.dense import dense
from pipeline.clip.executor import LocalExecutor
from pipeline.errors import BadInput
from pipeline.grids.affine import pixel_to_grid
from pipeline.store import arrays
from tests.helpers import tiny_clip


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_clip.write(tmp_path_factory.mktemp("clip"))


def params(model: str, **changes: Any) -> dict[str, Any]:
    plain = {"model": model, "pretrained": None, "recipe": "plain", "image_size": None}
    return plain | {"window": None, "stride": None, "batch": 4} | changes


def png(pixels: Any) -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


def frames_of(pictures: Any) -> Any:
    """A frames entry with these RGB images."""
    blobs = [png(picture) for picture in pictures]
    group = zarr.create_group(zarr.storage.MemoryStore())
    arrays.write(group, "color", np.frombuffer(b"".join(blobs), np.uint8))
    arrays.write(group, "color_offsets", np.cumsum([0, *map(len, blobs)]).astype(np.int64))
    high, wide = pictures[0].shape[:2]
    group.attrs["color_size"] = [wide, high]
    return group


def noise(count: int, high: int, wide: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed]).integers(0, 256, (count, high, wide, 3), np.uint8)


def run(stage: Any, frames: Any) -> Any:
    out = zarr.create_group(zarr.storage.MemoryStore())
    stage.write(out, frames)
    return out


# Geometry


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 40), st.integers(1, 40))
def test_the_corners_of_image_and_grid_are_one(
    wide: int, high: int, columns: int, rows: int
) -> None:
    (ax, bx), (ay, by) = pixel_to_grid((wide, high), (columns, rows))
    assert ax * -0.5 + bx == pytest.approx(-0.5)
    assert ay * -0.5 + by == pytest.approx(-0.5)
    assert ax * (wide - 0.5) + bx == pytest.approx(columns - 0.5)
    assert ay * (high - 0.5) + by == pytest.approx(rows - 0.5)


@pytest.mark.parametrize(
    ("size", "grid"), [((64, 48), (6, 8)), ((67, 43), (5, 8)), ((68, 44), (6, 9)), ((3, 2), (1, 1))]
)
def test_the_grid_is_the_nearest_number_of_whole_patches(size: Any, grid: Any) -> None:
    assert embedder.grid_of(size, (8, 8)) == grid


@pytest.mark.parametrize(("color_size", "image_size"), [((64, 48), None), ((160, 90), (64, 40))])
@pytest.mark.parametrize("windows", [(None, None), (32, 16), (32, 12)])
def test_a_bright_spot_is_found_where_pixel_to_grid_says(
    model: str,
    color_size: tuple[int, int],
    image_size: Any,
    windows: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a tower that embeds a patch as its brightness, read through the whole stage."""
    stage = tiny_clip.embedder(
        params(model, image_size=image_size, window=windows[0], stride=windows[1])
    )

    def brightness(visual: Any, pixels: Any, recipe: Any) -> Any:
        mean = torch.nn.functional.avg_pool2d(pixels.mean(1, keepdim=True), 8)
        mean = torch.cat([mean, torch.ones_like(mean)], dim=1)
        return torch.nn.functional.normalize(mean, dim=1).permute(0, 2, 3, 1).repeat(1, 1, 1, 12)

    monkeypatch.setattr(reader, "dense", brightness)
    wide, high = color_size
    ratio = [a / b for a, b in zip(color_size, image_size or color_size, strict=True)]
    spots = [(3, 2), (5, 1), (7, 4)]  # cells (column, row)
    pictures = np.full((len(spots), high, wide, 3), 40, np.uint8)
    for picture, (column, row) in zip(pictures, spots, strict=True):
        left, right = (round(8 * c * ratio[0]) for c in (column, column + 1))
        top, bottom = (round(8 * r * ratio[1]) for r in (row, row + 1))
        picture[top:bottom, left:right] = 250
    out = run(stage, frames_of(pictures))
    (ax, bx), (ay, by) = out.attrs["pixel_to_grid"]
    for picture, grid, spot in zip(pictures, out["grid"][:], spots, strict=True):
        row, column = np.unravel_index(grid[..., 0].argmax(), grid.shape[:2])
        assert (column, row) == spot
        v, u = (axis.mean() for axis in np.nonzero(picture[..., 0] == 250))
        assert ax * u + bx == pytest.approx(column, abs=0.02)
        assert ay * v + by == pytest.approx(row, abs=0.04)


# The entry


@pytest.mark.parametrize("windows", [(None, None), (32, 16), (32, 12)])
def test_a_scan_becomes_one_chunk_a_frame_of_unit_vectors(model: str, windows: Any) -> None:
    stage = tiny_clip.embedder(params(model, window=windows[0], stride=windows[1]))
    grid = run(stage, frames_of(noise(7, 48, 64)))["grid"]
    assert (grid.shape, grid.dtype) == ((7, 6, 8, 24), np.float16)
    assert grid.chunks == (1, 6, 8, 24)
    assert grid.compressors == ()
    np.testing.assert_allclose(np.linalg.norm(grid[:].astype(float), axis=-1), 1, atol=2e-3)


@pytest.mark.parametrize("recipe", tiny_clip.RECIPES)
def test_frames_come_out_in_order_as_the_tower_reads_them_alone(model: str, recipe: Any) -> None:
    pictures = noise(9, 32, 40)
    grid = run(tiny_clip.embedder(params(model, recipe=recipe)), frames_of(pictures))["grid"][:]
    view = tiny_clip.view()
    mean, std = torch.tensor(tiny_clip.MEAN), torch.tensor(tiny_clip.STD)
    for picture, found in zip(pictures, grid, strict=True):
        pixels = ((torch.from_numpy(picture) / 255 - mean) / std).permute(2, 0, 1)[None]
        alone = dense(view, pixels, tiny_clip.RECIPES[recipe])[0]
        np.testing.assert_allclose(found, alone.numpy(), atol=2e-3)


@pytest.mark.parametrize("windows", [(None, None), (32, 16), (32, 12)])
def test_the_batch_does_not_matter(model: str, windows: Any) -> None:
    frames = frames_of(noise(5, 48, 64))
    read = [
        run(
            tiny_clip.embedder(params(model, batch=batch, window=windows[0], stride=windows[1])),
            frames,
        )["grid"][:]
        for batch in (1, 5, 64)
    ]
    np.testing.assert_allclose(read[0], read[1], atol=1e-3)
    np.testing.assert_allclose(read[0], read[2], atol=1e-3)


@pytest.mark.parametrize("windows", [(None, None), (16, 8)])
@pytest.mark.parametrize(("pixels", "at_once"), [(1, {1}), (640, {2}), (10**6, {9})])
def test_a_cpu_is_given_few_pixels_at_a_time(
    model: str, monkeypatch: pytest.MonkeyPatch, windows: Any, pixels: Any, at_once: Any
) -> None:
    given = []

    def counting(view: Any, crops: torch.Tensor, recipe: Any) -> Any:
        given.append(len(crops))
        return dense(view, crops, recipe)

    monkeypatch.setattr(reader, "dense", counting)
    monkeypatch.setattr(reader, "PIXELS_ON_A_CPU", pixels)
    stage = tiny_clip.embedder(params(model, batch=9, window=windows[0], stride=windows[1]))
    run(stage, frames_of(noise(18, 16, 16)))
    assert set(given) <= at_once
    assert sum(given) == 18


@pytest.mark.parametrize("windows", [(None, None), (32, 16), (32, 12)])
def test_the_same_scan_gives_the_same_bytes_on_any_number_of_cores(
    model: str, windows: Any
) -> None:
    frames = frames_of(noise(11, 48, 64))
    made = set()
    for workers in (1, 1, 2, 5):
        stage = tiny_clip.embedder(params(model, window=windows[0], stride=windows[1]))
        stage.executor = LocalExecutor(workers)
        made |= {run(stage, frames)["grid"][:].tobytes() for _ in range(2)}
    assert len(made) == 1


def test_a_scan_of_no_frames_gives_an_empty_grid(model: str) -> None:
    frames = frames_of(noise(1, 48, 64))
    del frames["color_offsets"]
    arrays.write(frames, "color_offsets", np.zeros(1, np.int64))
    assert run(tiny_clip.embedder(params(model)), frames)["grid"].shape == (0, 6, 8, 24)


@pytest.mark.parametrize("workers", [1, 3])
def test_memory_contains_a_batch_for_each_thread_and_not_the_scan(
    model: str, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    decoded: list[int] = []
    read: list[int] = []
    waiting: list[int] = []
    decode, read_images = reader.decode, reader.Reader.read

    def counting_decode(blob: bytes, size: Any) -> Any:
        decoded.append(1)
        waiting.append(len(decoded) - sum(read))
        return decode(blob, size)

    def counting_read(stage: Any, images: Any, *grid: Any) -> Any:
        embedded = read_images(stage, images, *grid)
        read.append(len(images))
        return embedded

    monkeypatch.setattr(reader, "decode", counting_decode)
    monkeypatch.setattr(reader.Reader, "read", counting_read)
    stage = tiny_clip.embedder(params(model, batch=2))
    stage.executor = LocalExecutor(workers)
    run(stage, frames_of(noise(40, 32, 32)))
    assert sum(read) == len(decoded) == 40
    assert max(waiting) <= 2 * workers


def test_a_damaged_image_stops_the_scan(model: str) -> None:
    frames = frames_of(noise(3, 32, 32))
    blob = frames["color"][:]
    blob[: len(blob) // 3] = 0
    del frames["color"]
    arrays.write(frames, "color", blob)
    with pytest.raises(OSError, match="image"):
        run(tiny_clip.embedder(params(model)), frames)


def test_decoding_resizes_with_antialias_and_turns_grey_into_rgb() -> None:
    lines = np.zeros((64, 64), np.uint8)
    lines[:, ::2] = 200
    small = reader.decode(png(lines), (16, 16))
    assert small.shape == (16, 16, 3)
    assert np.ptp(small[2:-2, 2:-2]) <= 4  # bare sampling would give 0 or 200
    assert small[8, 8] == pytest.approx(100, abs=4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
@pytest.mark.parametrize("threads", [1, 5])
def test_an_accelerator_embeds_batches_of_a_scan_on_two_streams(model: str, threads: int) -> None:
    pictures = noise(21, 48, 64)
    stage = tiny_clip.embedder(params(model, batch=2))
    stage.executor = LocalExecutor(threads)
    assert isinstance(stage.reader.streams, reader.StreamPool)
    grid = run(stage, frames_of(pictures))["grid"][:].astype(np.float32)
    mean, std = torch.tensor(tiny_clip.MEAN), torch.tensor(tiny_clip.STD)
    pixels = ((torch.from_numpy(pictures) / 255 - mean) / std).permute(0, 3, 1, 2)
    expected = dense(tiny_clip.view(), pixels, tiny_clip.RECIPES["plain"]).numpy()
    assert np.quantile((grid * expected).sum(-1), 0.1) > 0.99


# What is refused


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"recipe": "magic"},
            "there is no recipe magic; take one of clearclip, naclip, plain, scclip, sclip, value",
        ),
        ({"window": 32}, "go together"),
        ({"window": 32, "stride": 40}, "leave gaps"),
        ({"window": 36, "stride": 12}, "is not a whole number of patches of 8 px"),
    ],
)
def test_settings_that_cannot_work_are_refused(model: str, changes: Any, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        tiny_clip.embedder(params(model, **changes))


@pytest.mark.parametrize("recipe", [name for name in tiny_clip.RECIPES if name != "plain"])
def test_a_tower_with_another_kind_of_block_is_read_plain_only(tmp_path: Path, recipe: Any) -> None:
    model = tiny_clip.write(tmp_path, qk_norm=True, block_type="custom")
    with pytest.raises(BadInput, match="set `recipe: plain`"):
        tiny_clip.embedder(params(model, recipe=recipe))
    stage = tiny_clip.embedder(params(model))
    assert run(stage, frames_of(noise(1, 32, 32)))["grid"].shape == (1, 4, 4, 24)


def test_weights_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    model = tiny_clip.write(tmp_path)
    file = tmp_path / "open_clip_model.safetensors"
    weights = load_file(file)
    weights["visual.proj"][3, 4] = torch.nan
    save_file(weights, file)
    with pytest.raises(BadInput, match="not numbers"):
        tiny_clip.embedder(params(model)).read(noise(1, 32, 32))


# Sizes and mirror images


def test_scales_and_mirror_images_keep_the_grid_of_the_image_size(model: str) -> None:
    pictures = noise(3, 48, 64)
    frames = frames_of(pictures)
    plain = run(tiny_clip.embedder(params(model)), frames)
    often = run(tiny_clip.embedder(params(model, scales=[0.5, 1, 1.5], flip=True)), frames)
    assert often["grid"].shape == plain["grid"].shape == (3, 6, 8, 24)
    assert often.attrs["pixel_to_grid"] == plain.attrs["pixel_to_grid"]
    norms = np.linalg.norm(often["grid"][:].astype(float), axis=-1)
    np.testing.assert_allclose(norms, 1, atol=2e-3)
    assert abs(often["grid"][:] - plain["grid"][:]).max() > 0.05


def test_images_are_decoded_at_the_largest_scale(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, decode = set(), reader.decode

    def noting(blob: bytes, size: Any) -> Any:
        sizes.add(size)
        return decode(blob, size)

    monkeypatch.setattr(reader, "decode", noting)
    run(tiny_clip.embedder(params(model, scales=[1, 2])), frames_of(noise(2, 48, 64)))
    assert sizes == {(128, 96)}


@pytest.mark.parametrize("windows", [(None, None), (32, 12)])
@pytest.mark.parametrize("changes", [{}, {"scales": (1.0, 1.5), "flip": True}])
def test_what_is_exact_is_what_an_entry_contains_but_for_the_rounding(
    model: str, windows: Any, changes: Any
) -> None:
    window, stride = windows
    stage = tiny_clip.embedder(params(model, window=window, stride=stride, **changes))
    frames = frames_of(noise(5, 45, 67))
    exact = stage.exact(frames)
    assert exact.dtype == np.float32
    np.testing.assert_array_equal(exact.astype(np.float16), run(stage, frames)["grid"][:])
    np.testing.assert_allclose(np.linalg.norm(exact, axis=-1), 1, atol=1e-5)
