"""Read 50 of the 1,000 frames of a `.sens` of real size, and read the same file through.

    python tests/benchmarks/sens.py

Writes a file of about 500 MB into a temporary folder. Each reading is a process of its own, so
that its peak memory is its own; "cold" means that the file's pages were dropped from the page
cache before (`posix_fadvise`), "warm" that it was read just before. Four ways are compared:

selected   50 frames by `SensFile`
through    all 1,000 frames by `SensFile`, one at a time
blobs      all blobs into memory by plain reads, then the depth of 50 frames is inflated
published  as `blobs`, with each blob unpacked byte by byte as ScanNet's Python reader does
"""

import io
import os
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2]))

from pipeline.readers.scannet.sens import SensFile
from pipeline.scan import Frame
from pipeline.simulate.scannet_sens import Sensor, write_sens

NUM_FRAMES, NUM_READ = 1000, 50
SENSOR = Sensor(
    color_size=(1296, 968),
    depth_size=(640, 480),
    color_intrinsics=np.array([[1169.6, 0, 646.3], [0, 1167.1, 489.9], [0, 0, 1]]),
    depth_intrinsics=np.array([[577.6, 0, 318.9], [0, 578.7, 242.7], [0, 0, 1]]),
)


def frames() -> Iterator[Frame]:
    """A few different images, over and over; about 150 KB a JPEG, as in the release."""
    rng = np.random.default_rng(0)
    images = [_image(rng) for _ in range(4)]
    for frame_id in range(NUM_FRAMES):
        color, depth = images[frame_id % len(images)]
        yield Frame(frame_id, 0, color, depth, np.eye(4))


def _image(rng: np.random.Generator) -> tuple[bytes, np.ndarray]:
    coarse = Image.fromarray(rng.integers(0, 256, (60, 80, 3), np.uint8))
    smooth = np.asarray(coarse.resize(SENSOR.color_size, Image.Resampling.BICUBIC), np.int16)
    noisy = np.clip(smooth + rng.normal(0, 4, smooth.shape), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noisy).save(file, "JPEG", quality=75)
    rows, columns = np.indices(SENSOR.depth_size[::-1])
    depth = 1000 + 2 * rows + columns + rng.integers(0, 8, rows.shape)
    return file.getvalue(), depth.astype(np.uint16)


def read_selected(path: Path, every: int = NUM_FRAMES // NUM_READ) -> int:
    """Read one of `every` frames by random access; the number of pixels of depth seen."""
    reader = SensFile(path)
    return sum(reader.read(i).depth.size for i in reader.frame_ids[::every])


def read_blobs(path: Path, bytewise: bool = False) -> int:
    """Load every blob, then inflate the depth of the same frames."""
    blobs = []

    def read(file: BinaryIO, size: int) -> bytes:
        data = file.read(size)
        return b"".join(struct.unpack("c" * size, data)) if bytewise else data

    with open(path, "rb") as file:
        (name_bytes,) = struct.unpack("<4xQ", file.read(12))
        (num_frames,) = struct.unpack_from("<Q", file.read(name_bytes + 292), name_bytes + 284)
        for _ in range(num_frames):
            color_bytes, depth_bytes = struct.unpack("<80x2Q", file.read(96))
            blobs.append((read(file, color_bytes), read(file, depth_bytes)))
    return sum(len(zlib.decompress(depth)) // 2 for _, depth in blobs[:: num_frames // NUM_READ])


def measure(way: str, path: Path) -> list[float]:
    """Seconds, seconds of CPU and peak MB of one way (imports are not timed)."""
    command = [sys.executable, __file__, way, str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [float(number) for number in done.stdout.split()]


def peak_megabytes() -> float:
    """Peak resident memory of this process; getrusage would count its parent's as well."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def drop_from_cache(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "scene9000_00.sens")
        write_sens(path, SENSOR, frames())
        print(f"{NUM_FRAMES} frames, {path.stat().st_size / 1e6:.0f} MB; {NUM_READ} are read")
        for state, repeats in (("cold", 1), ("warm", 3)):
            took = {}
            for way in WAYS:
                if state == "cold":
                    drop_from_cache(path)
                seconds, cpu, peak = np.min([measure(way, path) for _ in range(repeats)], axis=0)
                took[way] = seconds, cpu
                print(f"{state} {way:9} {seconds:7.3f} s, CPU {cpu:7.3f} s, peak {peak:5.0f} MB")
            for way in list(WAYS)[1:]:
                clock, cpu = np.divide(took[way], took["selected"])
                print(f"{state} {way}/selected: {clock:.1f} by the clock, {cpu:.1f} in CPU")


WAYS: dict[str, Callable[[Path], int]] = {
    "selected": read_selected,
    "through": partial(read_selected, every=1),
    "blobs": read_blobs,
    "published": partial(read_blobs, bytewise=True),
}

if __name__ == "__main__":
    if len(sys.argv) == 3:
        begin, begin_cpu = time.perf_counter(), time.process_time()
        assert WAYS[sys.argv[1]](Path(sys.argv[2])) >= NUM_READ * 640 * 480
        print(time.perf_counter() - begin, time.process_time() - begin_cpu, peak_megabytes())
    else:
        main()
