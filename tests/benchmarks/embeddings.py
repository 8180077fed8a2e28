"""Embed frames of real size by the stage, and by a plain loop over the same images.

    python tests/benchmarks/embeddings.py [--model ViT-B-16] [--frames 64]

The tower has random weights, which take as long as any others. Each way is a process of its own,
with all cores (or the GPU) for itself; loading the tower is not timed. Both ways read an image of
1296 x 968 pixels at about 640 x 480, whole, by the recipe `naclip`, and keep fp16:

stage   decodes and reads on all cores; on a GPU it decodes on them while the tower works
plain   one image after the other: decode, resize, tower (which may use all cores), keep

Ends with the ratio, and with the largest difference between the two ways' embeddings.
"""

import argparse
import io
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
import zarr
from PIL import Image
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).parents[2]))

from pipeline.clip.embedder import Embedder, grid_of
from pipeline.clip.reader import decode
from pipeline.grids.codecs import fp16
from pipeline.grids.reading import Grids
from pipeline.stages.parts import load_parts
from pipeline.store import arrays

BATCH = 16  # of the stage, as the config has it
COLOR_SIZE, READ_SIZE = (1296, 968), (640, 480)
PEAK = {"H100": 989e12, "H200": 989e12, "A100": 312e12}  # dense bf16, as NVIDIA states them


def write_tower(folder: Path, model: str, text: dict[str, Any] | None = None) -> None:
    """A model of open_clip with random weights, as a folder that `local-dir:` names.

    `text`, if given, describes another text tower than the model's.
    """
    torch.manual_seed(0)
    folder.mkdir()
    preprocess = {"mean": open_clip.OPENAI_DATASET_MEAN, "std": open_clip.OPENAI_DATASET_STD}
    described = open_clip.get_model_config(model) | ({"text_cfg": text} if text else {})
    config = {"model_cfg": described, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    source = f"local-dir:{folder}" if text else model
    state = open_clip.create_model(source, load_weights=False).state_dict()
    weights = {name: value.contiguous() for name, value in state.items()}
    save_file(weights, folder / "open_clip_model.safetensors")


def frames(count: int) -> tuple[Any, list[bytes]]:
    """The entry of `count` images, a few different ones over and over, and their files."""
    rng, blobs = np.random.default_rng(0), []
    for _ in range(4):
        coarse = Image.fromarray(rng.integers(0, 256, (60, 80, 3), np.uint8))
        file = io.BytesIO()
        coarse.resize(COLOR_SIZE, Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
        blobs.append(file.getvalue())
    blobs = (blobs * count)[:count]
    group = zarr.create_group(zarr.storage.MemoryStore())
    group.attrs["color_size"] = list(COLOR_SIZE)
    arrays.write(group, "color", np.frombuffer(b"".join(blobs), np.uint8), compress=False)
    arrays.write(group, "color_offsets", np.cumsum([0, *map(len, blobs)]))
    return group, blobs


def by_stage(embedder: Embedder, group: Any, blobs: list[bytes]) -> np.ndarray:
    out = zarr.create_group(zarr.storage.MemoryStore())
    embedder.write(out, group)
    grids = Grids(out, fp16)
    return np.stack([grids.frame(i) for i in range(len(blobs))])


def plain(embedder: Embedder, group: Any, blobs: list[bytes]) -> np.ndarray:
    size: Any = embedder.settings.image_size
    kept = []
    for blob in blobs:
        image = decode(blob, size)
        kept.append(embedder.read(image[None])[0])
    return np.stack(kept)


def read_size(vision: dict[str, Any]) -> tuple[int, int]:
    """About `READ_SIZE`, in whole patches."""
    side = vision["patch_size"]
    rows, columns = grid_of(READ_SIZE, (side, side))
    return columns * side, rows * side


def flops(model: str) -> float:
    """Of the image tower for one image, without its projection.

    Multiply-adds count as two: 2 x parameters x tokens of the blocks, and the attention's products.
    """
    vision = open_clip.get_model_config(model)["vision_cfg"]
    width, depth, patch = vision["width"], vision["layers"], vision["patch_size"]
    wide, high = read_size(vision)
    tokens = 1 + (wide // patch) * (high // patch)
    return depth * (24 * tokens * width**2 + 4 * tokens**2 * width)


def measure(way: str, model: Path, count: int, out: Path) -> None:
    """Time one way in this process, and print frames per second and the peak of memory."""
    settings = {"model": f"local-dir:{model}", "pretrained": None, "recipe": "naclip"}
    config = json.loads((model / "open_clip_config.json").read_text())
    size = read_size(config["model_cfg"]["vision_cfg"])
    sizes = {"image_size": size, "window": None, "stride": None, "batch": BATCH}
    params = settings | sizes
    embedder = Embedder(params, load_parts("embeddings", {"embeddings": params}))
    group, blobs = frames(count)
    WAYS[way](embedder, *frames(2))  # what is done once is not counted
    begin = time.perf_counter()
    found = WAYS[way](embedder, group, blobs)
    print(len(blobs) / (time.perf_counter() - begin))
    status = Path("/proc/self/status").read_text()
    print(int(status.split("VmHWM:")[1].split()[0]) / 1024)
    np.save(out, found)


WAYS = {"stage": by_stage, "plain": plain}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="ViT-B-16")
    parser.add_argument("--frames", type=int, default=64)
    given = parser.parse_args()
    rates, found = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        tower = Path(folder, "tower")
        write_tower(tower, given.model)
        print(f"{given.model}, {given.frames} frames, {torch.get_num_threads()} threads")
        for way in WAYS:
            out = Path(folder, f"{way}.npy")
            command = [sys.executable, __file__, way, str(tower), str(given.frames), str(out)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            rates[way], peak = map(float, done.stdout.split())
            found[way] = np.load(out).astype(np.float32)
            print(f"{way:6} {rates[way]:7.2f} frames/s, peak {peak:6.0f} MB", flush=True)
    print(f"stage/plain: {rates['stage'] / rates['plain']:.2f}")
    print(f"largest difference: {abs(found['stage'] - found['plain']).max():.1e}")
    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
        for known, peak in PEAK.items():
            if known in name:
                share = rates["stage"] * flops(given.model) / peak
                print(f"{name}: {100 * share:.0f} % of {peak / 1e12:.0f} TFLOP/s in bf16")


if __name__ == "__main__":
    if len(sys.argv) == 5 and sys.argv[1] in WAYS:
        measure(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
    else:
        main()
