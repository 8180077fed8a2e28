"""A trained network in three lines: load it, label points, ask for words. NumPy in, NumPy out."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from huggingface_hub import ModelHubMixin
from numpy.typing import ArrayLike, NDArray

from model.data.entries import read_array
from model.data.whole_scan import whole_scan
from model.inference import release_folder, sources
from model.inference.arrays import cloud_of
from model.inference.colors import class_colors
from model.inference.pieces import pieces
from model.inference.predict import Prediction, predict, query
from model.inference.unseen import Embed, embedder, voxelised
from model.network import release, trained
from model.network.device import device
from pipeline.errors import BadInput
from pipeline.geometry.clouds import completed
from pipeline.palette import palette
from pipeline.scan import Cloud

MOST_VOXELS = 1_000_000  # of the network, in a piece: 7 GB with the default network


@dataclass(frozen=True)
class PointLabels:
    """The classes of N points, out of K. What is wide is made when it is asked for."""

    classes: list[str]
    found: Prediction  # of the voxels
    voxel_of_point: NDArray[np.int32]  # (N,)

    def __len__(self) -> int:
        """The number of points."""
        return len(self.voxel_of_point)

    @property
    def ids(self) -> NDArray[np.int16]:
        """The most probable class (N,), a number of `classes`."""
        return self.found.label[self.voxel_of_point]

    @property
    def names(self) -> NDArray[np.str_]:
        """Its name (N,)."""
        return np.array(self.classes)[self.ids]

    @property
    def confidence(self) -> NDArray[np.float32]:
        """Its probability (N,)."""
        return self.found.confidence[self.voxel_of_point]

    @property
    def probability(self) -> NDArray[np.float32]:
        """The probability of each class (N, K)."""
        return self.found.probability[self.voxel_of_point]


class Network(ModelHubMixin, library_name="vlg3d", tags=["point-cloud", "3d-segmentation"]):
    """A trained network: from a file, a release folder or the hub. Made by `load`.

    A cloud of at most `max_voxels` of the network's voxels is labelled as a whole, and larger ones
    in pieces that overlap (`model.inference.pieces`): beyond memory for the points, the network
    needs memory for one piece.
    """

    def __init__(
        self,
        network: trained.Trained,
        path: Path,
        details: Mapping[str, Any] | None = None,
        max_voxels: int = MOST_VOXELS,
    ) -> None:
        """`path` is the file of `network`; `details` are what `release.read_config` gives."""
        if max_voxels < 1:
            raise BadInput("max_voxels", f"is {max_voxels}", "give a number of voxels")
        self.trained, self.path, self.max_voxels = network, path, max_voxels
        self.details = {"colors": class_colors(network.classes), **(details or {})}

    @property
    def classes(self) -> list[str]:
        """The names of the K classes."""
        return self.trained.classes

    @property
    def colors(self) -> NDArray[np.uint8]:
        """Their colours (K, 3)."""
        return palette(self.classes, self.details["colors"])

    def label(
        self, xyz: ArrayLike, rgb: ArrayLike | None = None, normal: ArrayLike | None = None
    ) -> PointLabels:
        """The class of each point. The arguments are those of `arrays.cloud_of`; so is `BadInput`.

        Normals are computed where the network takes them and none are given.
        """
        voxels = self.voxels(cloud_of(xyz, rgb, normal))
        return PointLabels(self.classes, self.predict(voxels), read_array(voxels, "voxel_of_point"))

    def query(
        self,
        xyz: ArrayLike,
        rgb: ArrayLike | None,
        words: str | Sequence[str],
        normal: ArrayLike | None = None,
    ) -> NDArray[np.float32]:
        """The cosine of each point's embedding with that of some words: (N,), or (N, Q) of a list.

        The other arguments are those of `label`. Raises `BadInput` also if there are no words, and
        as `embed`.
        """
        asked = list(words) if isinstance(words, Iterable) else []
        asked = [words] if isinstance(words, str) else asked
        if not asked or not all(isinstance(each, str) and each.strip() for each in asked):
            raise BadInput("query", "has no words", "say in words what to look for")
        text = self.embed([[each] for each in asked])  # first, since it may fail
        voxels = self.voxels(cloud_of(xyz, rgb, normal))
        heat = self.heat(voxels, text)[read_array(voxels, "voxel_of_point")]
        return heat[:, 0] if isinstance(words, str) else heat

    def embed(self, prompts: Sequence[Sequence[str]]) -> NDArray[np.float32]:
        """Text embeddings (Q, d), each of several prompts, by the network's text tower.

        Raises `BadInput` as `unseen.embedder`.
        """
        return self._embed(prompts)

    @cached_property
    def _embed(self) -> Embed:
        return embedder(self.trained, self.path)

    def voxels(self, cloud: Cloud) -> zarr.Group:
        """A cloud in the voxels that scans of this network are read in, as an entry `voxels`."""
        known = completed(cloud, normals="normal" in self.trained.inputs, superpoints=False)
        return voxelised(known, self.trained.scan_voxel_size)

    def pieces(self, voxels: zarr.Group) -> int:
        """In how many pieces an entry `voxels` is given to the network."""
        if len(read_array(voxels, "coords")) <= self.max_voxels:
            return 1
        given = whole_scan(voxels, self.trained.inputs, self.trained.voxel_size)
        return sum(1 for _ in pieces(given.coords, self.max_voxels))

    def predict(self, voxels: zarr.Group) -> Prediction:
        """The classes of the voxels of an entry `voxels`."""
        return predict(self.trained, voxels, self.max_voxels)

    def heat(self, voxels: zarr.Group, text: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cosine (M, Q) of the voxels of an entry with text embeddings (Q, d) of unit length."""
        return query(self.trained, voxels, text, self.max_voxels)

    def _save_pretrained(self, save_directory: Path) -> None:
        release_folder.write(save_directory, self.path, self.trained, self.details)

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls,
        pretrained_model_name_or_path: str | os.PathLike[str],
        *,
        force_download: bool = False,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
        revision: str | None = None,
        tower: str | os.PathLike[str] | None = None,
        max_voxels: int = MOST_VOXELS,
    ) -> "Network":
        """Read a network; `load` describes the first and the last two arguments.

        The others are those of `huggingface_hub.snapshot_download`. That of the mixin would give
        the constructor whatever a `config.json` says.
        """
        place = Path(pretrained_model_name_or_path)
        if not place.exists():
            options: dict[str, Any] = {"revision": revision, "cache_dir": cache_dir, "token": token}
            options |= {"force_download": force_download, "local_files_only": local_files_only}
            place = sources.fetched(os.fspath(pretrained_model_name_or_path), options)
        path = release.network_file(place)
        network = trained.load(path, device())
        known = release_folder.known(network)
        details = release.read_config(place, known) if place.is_dir() else {}
        network = replace(network, tower=sources.found_tower(network.tower, path, tower))
        return cls(network, path, details, max_voxels)


def load(
    source: str | os.PathLike[str],
    tower: str | os.PathLike[str] | None = None,
    max_voxels: int = MOST_VOXELS,
) -> Network:
    """Read a trained network.

    `source` is a .safetensors file, a release folder, or `owner/name` of a model of the Hugging
    Face hub. `tower` is the folder or the .safetensors file of the text tower, where it is neither
    in the release folder nor where it was in training. `max_voxels` bounds memory, see `Network`.
    Raises `BadInput` where there is no network, or a damaged one.
    """
    return Network.from_pretrained(source, tower=tower, max_voxels=max_voxels)
