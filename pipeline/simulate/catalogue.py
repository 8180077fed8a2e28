"""The furniture catalogue: Sweet Home 3D's `.sh3f` files (zip of OBJ models and a properties file).

The models are split between the small CLIP's training, the training rooms and the held-out
rooms, so that no object is ever seen twice.
"""

import hashlib
import re
import zipfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import BadInput
from pipeline.simulate.kinds import Kind, kind_of
from pipeline.simulate.models import read_obj
from pipeline.simulate.world import Shape

SPLITS = ("clip", "train", "heldout")
# Of every 20 models of a role 8 go to the CLIP, 7 to training, 5 to the held-out rooms, in an order
# that gives each split one of any 3 models.
_PATTERN = (0, 1, 2, 0, 1, 0, 2, 1, 0, 1, 2, 0, 1, 0, 2, 1, 0, 1, 0, 2)
_LARGEST = 3_000_000  # bytes of an OBJ file: larger ones (a few plants) are slow to read
_PROPERTIES = "PluginFurnitureCatalog.properties"


@dataclass(frozen=True, eq=False)
class Model:
    """One piece of furniture of the catalogue, without its mesh."""

    id: str
    kind: Kind
    file: Path  # the .sh3f
    member: str  # the OBJ in it
    size: tuple[float, float, float]  # width (x), depth (y), height (z) in metres
    elevation: float  # usual height of its foot above the floor, metres
    rotation: NDArray[np.float64]  # (3, 3) of the OBJ's own axes (y up), before scaling


class Catalogue:
    """All models that are used in rooms; shapes are loaded on demand and cached."""

    def __init__(self, furniture: Path) -> None:
        """Read the properties of all `.sh3f` files in a folder. Raises `BadInput` without any."""
        files = sorted(Path(furniture).glob("*.sh3f"))
        if not files:
            raise BadInput(
                furniture,
                "there is no furniture catalogue (*.sh3f) here",
                "install Debian's package sweethome3d-furniture or set its folder in the config",
            )
        self._shapes: dict[str, Shape | None] = {}
        by_role: dict[str, list[Model]] = defaultdict(list)
        for file in files:
            for model in _read_properties(file):
                by_role[model.kind.role].append(model)
        self._models: dict[tuple[str, str], tuple[Model, ...]] = {}
        for role, models in by_role.items():
            for split, chosen in zip(SPLITS, _split(role, models), strict=True):
                self._models[role, split] = tuple(chosen)

    def models(self, role: str, split: str) -> tuple[Model, ...]:
        """The models of a role (see `kinds`) in a split, in a fixed order; may be empty."""
        return self._models.get((role, split), ())

    def shape(self, model: Model) -> Shape | None:
        """The model's mesh: centred in x and y, foot at z = 0, front towards -y, in metres.

        None where the model cannot be read.
        """
        if model.id not in self._shapes:
            with zipfile.ZipFile(model.file) as archive:
                folder = model.member.rsplit("/", 1)[0] + "/"
                names = [name for name in archive.namelist() if name.startswith(folder)]
                content = {name: archive.read(name) for name in names}
            self._shapes[model.id] = read_obj(content, model.member, model.size, model.rotation)
        return self._shapes[model.id]


def _read_properties(file: Path) -> list[Model]:
    with zipfile.ZipFile(file) as archive:
        text = archive.read(_PROPERTIES).decode("iso-8859-1")
        sizes = {info.filename: info.file_size for info in archive.infolist()}
    fields: dict[int, dict[str, str]] = defaultdict(dict)
    for match in re.finditer(r"^(\w+)#(\d+)=(.*)$", text, re.MULTILINE):
        fields[int(match[2])][match[1]] = match[3].strip()
    models = []
    for field in fields.values():
        kind = kind_of(field["id"], field["name"], field["category"])
        member = field["model"].lstrip("/")
        if kind is None or sizes.get(member, _LARGEST) >= _LARGEST:
            continue
        numbers = field.get("modelRotation", "1 0 0 0 1 0 0 0 1").split()
        models.append(
            Model(
                id=field["id"],
                kind=kind,
                file=file,
                member=member,
                size=tuple(float(field[side]) / 100 for side in ("width", "depth", "height")),  # type: ignore[arg-type]
                elevation=float(field.get("elevation", 0)) / 100,
                rotation=np.array(numbers, np.float64).reshape(3, 3),
            )
        )
    return models


def _split(role: str, models: list[Model]) -> tuple[list[Model], ...]:
    """The models of one role distributed to the splits in the order of their ids' hashes."""
    order = sorted(models, key=lambda model: _digest(model.id))
    # Roles of one or two models start at another place, so that not all go to the first split.
    start = _digest(role)[0] % 3 if len(models) < 3 else 0
    hands: tuple[list[Model], ...] = ([], [], [])
    for index, model in enumerate(order):
        hands[(_PATTERN[index % len(_PATTERN)] + start) % 3].append(model)
    return hands


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
