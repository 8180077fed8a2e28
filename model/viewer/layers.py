"""What the viewer shows of one scan: points, classes of them, and where words fit."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from model.data.entries import read_array, voxel_size
from model.inference.colors import class_colors
from model.inference.network import MOST_VOXELS
from model.inference.predict import Prediction, predict
from model.inference.unseen import Embed
from model.network.trained import Trained
from model.viewer.embedded import Embedded, embedded
from pipeline.clip.weights import local_folder
from pipeline.errors import BadInput
from pipeline.palette import palette
from pipeline.plan.manifest import MOST_CLASSES

MOST = 1_000_000  # points that are shown


@dataclass(frozen=True)
class Labels:
    """The classes of the N points of a scan, by ground truth, fused embeddings or a network."""

    name: str
    classes: list[str]  # K
    colors: NDArray[np.uint8]  # (K, 3)
    label: NDArray[np.integer]  # (N,) -1 = none
    confidence: NDArray[np.floating] | None = None  # (N,) in [0, 1]


@dataclass(frozen=True)
class Network:
    """What a network says of words in a scan, beside the classes of its layer of the same name."""

    name: str
    about: dict[str, Any]  # what the page says of it
    classes: int  # K
    vocabulary: list[str]  # words whose heat is in the page: its K classes, and what was asked
    text: NDArray[np.float32]  # (Q, d) their embeddings
    embedded: Embedded
    voxel_of_point: NDArray[np.integer]  # (N,) of the m voxels of `embedded`
    embed: Embed | None = None  # of other words


@dataclass
class View:
    """One scan and its layers."""

    title: str
    xyz: NDArray[np.float32]  # (N, 3) metres, z up
    rgb: NDArray[np.uint8]  # (N, 3)
    order: NDArray[np.integer]  # (N,) in which neighbours in the list are neighbours in space
    spacing: float  # metres between neighbouring points, about
    offset: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))  # see `Cloud`
    labels: list[Labels] = field(default_factory=list)
    networks: list[Network] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # what cannot be shown, and why
    words: list[str] = field(default_factory=list)  # queries: the page begins with the first

    def add_network(
        self,
        name: str,
        trained: Trained,
        voxels: zarr.Group,
        colors: Mapping[str, str] | None = None,
        found: Prediction | None = None,
        embed: Embed | None = None,
    ) -> None:
        """Show the classes by a network of this scan's `voxels`, and where words fit if it can say.

        `found` is its prediction, if there is one already; `embed` its text tower, for words that
        are not its classes. Raises `BadInput` for too many classes.
        """
        found = found or predict(trained, voxels, MOST_VOXELS)
        of_point = read_array(voxels, "voxel_of_point")
        classes, confidence = trained.classes, found.confidence[of_point]
        own = palette(classes, colors or class_colors(classes))
        self.add_labels(Labels(name, classes, own, found.label[of_point], confidence))
        if not trained.head.normalise:
            self.notes.append(f"{name} was trained with dense labels, and answers no words.")
            return
        if trained.tower is None:
            self.notes.append(f"{name} has no text tower: of words it knows its classes only.")
        seen, text = embedded(trained, voxels, MOST_VOXELS), [trained.text_embeddings.cpu().numpy()]
        words = [each for each in self.words if each not in classes] if embed else []
        if embed and words:
            text.append(embed([[each] for each in words]))
        self.networks.append(
            Network(
                name=name,
                about=_about(trained),
                classes=len(classes),
                vocabulary=[*classes, *words],
                text=np.concatenate(text).astype(np.float32),
                embedded=seen,
                voxel_of_point=seen.voxel_of[of_point],
                embed=embed,
            )
        )

    def add_labels(self, labels: Labels) -> None:
        """Add a layer. Raises `BadInput` where it has too many classes."""
        if len(labels.classes) > MOST_CLASSES:
            what = f"has {len(labels.classes)} classes, and the viewer shows {MOST_CLASSES}"
            raise BadInput(labels.name, what, "leave it out")
        self.labels.append(labels)


def view_of_points(title: str, voxels: zarr.Group) -> View:
    """A scan without layers, from the entry `voxels` of it."""
    of_point = read_array(voxels, "voxel_of_point")
    count = len(read_array(voxels, "coords"))
    return View(
        title=title,
        xyz=read_array(voxels, "xyz"),
        rgb=read_array(voxels, "rgb"),
        order=np.argsort(of_point, kind="stable"),  # voxels are in Z-order
        # The points lie on a surface, of which each voxel has about the square of its edge.
        spacing=voxel_size(voxels) * float(np.sqrt(count / len(of_point))),
        offset=np.array(voxels.attrs["offset"], np.float64),
    )


def thinned(view: View, most: int) -> NDArray[np.integer]:
    """The numbers of the points that are shown, at most `most`, along the view's order.

    If there are more, they are evenly spaced in this order, so each part of the scan keeps its
    share.
    """
    count = len(view.order)
    if count <= most:
        return view.order
    return view.order[np.arange(most, dtype=np.int64) * count // most]


def _about(trained: Trained) -> dict[str, Any]:
    tower = trained.tower or {}
    templates = tower.get("templates")
    return {
        "variant": trained.variant,
        "voxels": f"{100 * trained.voxel_size:g} cm",
        "tower": _without_folder(tower.get("model")),
        "weights": _without_folder(tower.get("pretrained")) or (tower.get("weights") or "")[:12],
        "templates": [templates] if isinstance(templates, str) else templates,
    }


def _without_folder(name: str | None) -> str | None:
    """A model or its weights; of local ones the last name alone, since the page goes to others."""
    folder = local_folder(name) if name else None
    local = folder or (Path(name) if name and Path(name).is_absolute() else None)
    return f"{local.name} (local)" if local else name
