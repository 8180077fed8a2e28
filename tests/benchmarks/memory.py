"""What a step of a training keeps for its backward pass, and what its loss takes in time.

    python tests/benchmarks/memory.py [--points 116000] [--width 768] [--arch 18A]

One scan: the surfaces of a simulated room at 2 cm, with vectors, labels and superpoints drawn at
random. First the network, in float32 on a CPU; then head and loss in two ways, once with all that
autograd would keep and once as they are trained, in parts that are computed anew. Both in one run;
bytes are of the tensors that are kept, each storage once, and peaks are of the process, above what
it had before. What follows for GPUs is computed: there the network's activations take half, in
fp16, and so do predicted embeddings.
"""

import argparse
import ctypes
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from importlib import import_module

from model.network.unet import MinkUNet
from model.training import rows
from model.training.losses import module_names
from model.training.objective import Objective, loss_config
from pipeline.tables import format_bytes

CARDS = (24, 40, 80)  # GB of memory
FREE = 0.85  # of it: the rest is of CUDA, of spconv's workspace and of fragments
SEED = 0


def surface(count: int) -> torch.Tensor:
    """Voxels (m, 4) [0, x, y, z] of 2 cm, m near `count`: floor, four walls and five boxes."""
    area = count * 0.02**2
    side = int((area / 8) ** 0.5 / 0.02)  # a room as high as half its side has 3 sides^2, boxes 5
    solid = np.zeros((side + 1, side + 1, side // 2 + 1), bool)
    solid[:, :, 0] = solid[0] = solid[-1] = solid[:, 0] = solid[:, -1] = True
    rng = np.random.default_rng(SEED)
    while solid.sum() < count:
        (x, y), (w, d, h) = rng.integers(1, side - 1, 2), rng.integers(10, 1 + side // 3, 3)
        box = solid[x : x + w, y : y + d, : h + 1]
        shell = np.ones(box.shape, bool)
        shell[1:-1, 1:-1, 1:-1] = False
        box |= shell
    voxels = torch.from_numpy(np.argwhere(solid).astype(np.int32))[:count]
    return torch.cat([torch.zeros(len(voxels), 1, dtype=torch.int32), voxels], 1).contiguous()


class Kept:
    """The bytes that autograd keeps while it is open, each storage once."""

    def __enter__(self) -> "Kept":
        """Begin to count."""
        self.storages: dict[int, torch.UntypedStorage] = {}
        self._hooks = torch.autograd.graph.saved_tensors_hooks(self._pack, lambda kept: kept)
        self._hooks.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        """End it."""
        self._hooks.__exit__(*error)

    def _pack(self, tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        self.storages[storage.data_ptr()] = storage
        return tensor

    def bytes(self, *but: torch.Tensor) -> int:
        """All of them, but those of some tensors."""
        known = {tensor.untyped_storage().data_ptr() for tensor in but}
        return sum(s.nbytes() for pointer, s in self.storages.items() if pointer not in known)


def peak(step: Callable[[], object]) -> int:
    """Bytes of memory that a step took at its most, above what was there; Linux only."""
    ctypes.CDLL(None).malloc_trim(0)  # what was freed goes back to the system
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from now on
    before = _status("VmRSS")
    step()
    return _status("VmHWM") - before


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def timed(step: Callable[[], object]) -> float:
    """CPU seconds, the least of three."""
    seconds = []
    for _ in range(3):
        begin = time.process_time()
        step()
        seconds.append(time.process_time() - begin)
    return min(seconds)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--points", type=int, default=116_000)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--arch", default="18A")
    parser.add_argument("--terms", default="cosine,text", help="of the loss, each of weight 1")
    given = parser.parse_args()
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    indices, d, k = surface(given.points), given.width, 20
    v = len(indices)
    network = MinkUNet(8, d, given.arch)
    inputs = torch.randn(v, 8)

    with Kept() as kept:
        trunk = network.trunk(inputs, indices)
    of_network = kept.bytes(*network.parameters())
    step = timed(lambda: network.trunk(inputs, indices).sum().backward())
    print(f"{given.arch}, {v} voxels, d = {d}: the network keeps {format_bytes(of_network)}")

    trunk = trunk.detach().requires_grad_()
    batch = SimpleNamespace(
        label=torch.randint(-1, k, (v,)),
        scan=torch.zeros(v, dtype=torch.int64),
        superpoint=torch.randint(0, v // 40, (v,)).sort()[0],
        present=torch.ones(1, k, dtype=torch.bool),
        probability=torch.zeros(v, 0),
    )
    text = torch.nn.functional.normalize(torch.randn(k, d), dim=1)
    target = torch.randn(v, d).half()
    chosen = {"cosine": 0.0, "text": 0.0} | dict.fromkeys(given.terms.split(","), 1.0)
    parts = {name: import_module(module) for name, module in module_names(chosen).items()}
    config = loss_config(chosen | {"balance": False})
    objective = Objective(config, parts, text, np.full(k, 100))

    def loss() -> torch.Tensor:
        terms = objective(rows.Lazy(trunk, network.head, d), target, batch)  # type: ignore[arg-type]
        return sum((term.value for term in terms.values()), start=torch.zeros(()))

    def formulas() -> torch.Tensor:
        embedding = network.head(trunk)
        cosine = 1 - torch.cosine_similarity(embedding, target.float(), dim=1)
        logits = torch.nn.functional.normalize(embedding, dim=1) @ text.T / config.temperature
        return cosine.mean() + torch.nn.functional.cross_entropy(
            logits, batch.label, ignore_index=-1
        )

    found: dict[str, tuple[int, float]] = {}
    values = {}
    ways = [("whole", 2**62, loss), ("in parts", rows.NUMBERS, loss)]
    if chosen == {"cosine": 1.0, "text": 1.0}:
        ways.insert(0, ("as written", 2**62, formulas))
    for way, limit, loss_of in ways:
        rows.NUMBERS = limit
        with Kept() as kept:
            value = loss_of()
        keeps = kept.bytes(*network.parameters(), trunk, target, text)
        value.backward()
        del kept
        assert trunk.grad is not None
        assert network.head.weight.grad is not None
        values[way] = value.item(), trunk.grad, network.head.weight.grad
        trunk.grad = network.head.weight.grad = None
        found[way] = keeps, timed(lambda run=loss_of: run().backward())  # type: ignore[misc]
        most = format_bytes(peak(lambda run=loss_of: run().backward()))  # type: ignore[misc]
        trunk.grad = network.head.weight.grad = None
        print(f"{way}: keep {format_bytes(keeps)}, {most} at most, {found[way][1]:.2f} CPU s")
    first, (now, *own) = ways[0][0], values["in parts"]
    was, *gradients = values[first]
    apart = [(a - b).abs().max() / a.abs().max() for a, b in zip(gradients, own, strict=True)]
    print(f"losses {was:.7f} and {now:.7f}, gradients {max(apart):.1e} apart")
    less, longer = (a / b for a, b in zip(found[first], found["in parts"], strict=True))
    print(f"in parts: {less:.1f} x less kept, {longer:.1f} x as fast as {first}")
    print(f"the network's own forward and backward pass: {step:.2f} CPU s")

    print_largest_batches(network, of_network, v, {way: keeps for way, (keeps, _) in found.items()})


def print_largest_batches(
    network: MinkUNet, of_network: int, voxels: int, kept: Mapping[str, int]
) -> None:
    """Scans in a batch on a GPU, computed from what a CPU keeps of one with so many voxels."""
    part = rows.NUMBERS * rows.ON_GPU * 4 * 6  # float32, what is made of it, and gradients
    weights = 16 * sum(p.numel() for p in network.parameters())  # gradients and two moments
    numbers, narrow = voxels * network.head.out_features, voxels * network.head.in_features
    for way, own in kept.items():
        # Beside what is kept there are the targets in fp16; in one piece also predicted embeddings
        # in fp16 with their gradient, and adapted targets in float32, of which parts are made else.
        scan = of_network / 2 + own + numbers * (2 if way == "in parts" else 2 + 2 + 2 + 4)
        scan += narrow * 2 * 3  # rows with targets, and gradients of two layers before them
        largest = [int((FREE * card * 1e9 - part - weights) / scan) for card in CARDS]
        cards = ", ".join(f"{n} on {card} GB" for n, card in zip(largest, CARDS, strict=True))
        print(f"computed, {way}: {format_bytes(scan)} a scan; scans in a batch: {cards}")


if __name__ == "__main__":
    main()
