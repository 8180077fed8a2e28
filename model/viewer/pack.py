"""A view as numbers for the page: a description in JSON, and all arrays in one deflated block."""

import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray

from model.inference.ply import RAMP
from model.viewer.embedded import quantised
from model.viewer.layers import MOST, Network, View, thinned
from model.viewer.sources import first_panels
from pipeline.plan.manifest import MOST_CLASSES

HEAT_BYTES = 48 << 20  # of the heat of class names in a page, before it is deflated
_FINEST = 0.001  # metres: positions are not stored finer
_KINDS = {"uint8": "u8", "uint16": "u16", "uint32": "u32"}


@dataclass
class Packed:
    """What a page contains."""

    meta: dict[str, Any]  # JSON
    data: bytes = b""  # deflated

    _blocks: list[bytes] = field(default_factory=list)
    _begin: int = 0

    def add(self, name: str, array: NDArray[Any]) -> None:
        """Append an array, little-endian, which `meta` lists."""
        kind, block = _KINDS[array.dtype.name], np.ascontiguousarray(array).tobytes()
        self.meta["arrays"][name] = {"type": kind, "begin": self._begin, "bytes": len(block)}
        self._blocks.append(block)
        self._begin += len(block)

    def finish(self) -> "Packed":
        """Deflate what was added."""
        self.data, self._blocks = zlib.compress(b"".join(self._blocks), 6), []
        return self


def pack(view: View, most: int = MOST, server: bool = False) -> Packed:
    """Everything that the page shows, of `most` points at most.

    Positions are whole numbers u16 of `unit`, at least 1 mm, from `origin`; each is stored as the
    difference from the point before, which deflates well as neighbours in the list are neighbours
    in space. Classes and confidences are u8. Heat is u8 (see `quantised`) by voxel of a network.
    """
    kept = thinned(view, most)
    xyz = view.xyz[kept].astype(np.float64)
    low, size = xyz.min(axis=0), np.ptp(xyz, axis=0)
    unit = max(_FINEST, float(size.max()) / 65535)
    panels = first_panels(view)
    packed = Packed(
        {
            "title": view.title,
            "server": server,
            "points": {"shown": len(kept), "all": len(view.xyz)},
            "origin": (low + view.offset).tolist(),
            "unit": unit,
            "size": size.tolist(),
            # Where nearly all points are, for the first look: stray ones may be far away.
            "most": np.percentile(xyz - low, (1, 99), axis=0).tolist(),
            "spacing": view.spacing * float(np.sqrt(len(view.xyz) / len(kept))),
            "ceiling": _ceiling(xyz[:, 2]),
            "notes": list(view.notes),
            "words": view.words[0] if view.words else "",
            "panels": panels,
            "ask": _asked_first(view, panels),
            "palettes": [],
            "layers": [{"name": "colour"}],
            "networks": [],
            "arrays": {},
        }
    )
    packed.add("ramp", (colormaps[RAMP](np.arange(256), bytes=True)[:, :3]).astype(np.uint8))
    for axis, column in zip("xyz", np.rint((xyz - low) / unit).T, strict=True):
        packed.add(axis, _differences(column.astype(np.uint16)))
    for channel, column in zip("rgb", view.rgb[kept].T, strict=True):
        packed.add(f"color_{channel}", column.astype(np.uint8))
    _add_labels(packed, view, kept)
    for number, network in enumerate(view.networks):
        packed.meta["networks"].append(_add_network(packed, number, network, kept))
    return packed.finish()


def _asked_first(view: View, panels: list[int]) -> int:
    """The number of the network that is asked at first: the one in the panels, if it answers."""
    shown = {view.labels[panel - 1].name for panel in panels if panel}
    return next((n for n, network in enumerate(view.networks) if network.name in shown), 0)


def _add_labels(packed: Packed, view: View, kept: NDArray[np.integer]) -> None:
    for labels in view.labels:
        colors = [f"#{bytes(color).hex()}" for color in labels.colors]
        own = {"classes": labels.classes, "colors": colors}
        if own not in packed.meta["palettes"]:
            packed.meta["palettes"].append(own)
        number = len(packed.meta["layers"])
        label = labels.label[kept]
        packed.add(f"label_{number}", np.where(label < 0, MOST_CLASSES, label).astype(np.uint8))
        sure = labels.confidence
        if sure is not None:
            packed.add(f"confidence_{number}", np.rint(255 * sure[kept]).astype(np.uint8))
        palette = packed.meta["palettes"].index(own)
        has_confidence = sure is not None
        layer = {"name": labels.name, "palette": palette, "confidence": has_confidence}
        packed.meta["layers"].append(layer)


def _add_network(
    packed: Packed, number: int, network: Network, kept: NDArray[np.integer]
) -> dict[str, Any]:
    cosine, phrases, blocks = network.embedded.cosine(network.text), [], []
    stored = _stored(cosine, network.classes)
    for k in stored:
        block, low, high = quantised(cosine[:, k])
        phrases.append({"words": network.vocabulary[k], "low": low, "high": high})
        blocks.append(block)
    packed.add(f"heat_{number}", np.stack(blocks))
    if len(stored) < len(network.vocabulary):
        left_out = len(network.vocabulary) - len(stored)
        packed.meta["notes"].append(
            f"Heat of the {left_out} rarest classes of {network.name} is left out."
        )
    packed.add(f"voxel_{number}", _differences(network.voxel_of_point[kept].astype(np.uint32)))
    return {
        "name": network.name,
        "about": network.about,
        "free": packed.meta["server"] and network.embed is not None,
        "voxels": len(cosine),
        "phrases": phrases,
    }


def _stored(cosine: NDArray[np.float32], classes: int) -> list[int]:
    """The phrases whose heat is in the page: of the `classes`, which come first, all or else the
    most frequent ones, and all others.
    """
    most = max(1, HEAT_BYTES // max(len(cosine), 1))
    count = np.bincount(cosine[:, :classes].argmax(axis=1), minlength=classes)
    kept = sorted(np.argsort(-count, kind="stable")[:most].tolist())
    return [*kept, *range(classes, cosine.shape[1])]


def _differences(values: NDArray[Any]) -> NDArray[Any]:
    """From each value to the next, modulo the size of the type."""
    first = values[:1]
    return np.concatenate([first, values[1:] - values[:-1]])


def _ceiling(z: NDArray[np.floating]) -> float | None:
    """Metres above the lowest point under which a ceiling is; None where there is no ceiling.

    A twentieth of all points in a layer of 10 cm, in the upper quarter of the scan and more than
    1.5 m up, are taken for one.
    """
    height = z - z.min()
    top = float(np.percentile(height, 99.9))
    count, edges = np.histogram(height, np.arange(0, top + 0.2, 0.1))
    found = np.flatnonzero((count > len(z) / 20) & (edges[:-1] > max(1.5, 0.75 * top)))
    return float(edges[found[0]] - 0.1) if len(found) else None
