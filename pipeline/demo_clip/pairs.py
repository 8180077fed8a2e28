"""Image-text pairs from simulated rooms: crops of views, captions and area shares."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from PIL import Image

from pipeline.demo_clip.captions import WORDS, Words, caption, words_of
from pipeline.progress import Progress
from pipeline.simulate.catalogue import Catalogue
from pipeline.simulate.render import Renderer
from pipeline.simulate.room import build_room
from pipeline.simulate.sensor import photograph
from pipeline.simulate.walk import camera_path

FURNITURE = Path("/usr/share/sweethome3d/furniture")  # Debian's sweethome3d-furniture
SIZE = (320, 240)  # width and height of a view
FIELD_OF_VIEW = 60.0  # degrees, horizontal
NOTHING = 255  # name of a pixel without a thing
_MIN_SHARE = 0.05  # of a crop: smaller things are not in its caption


@dataclass(frozen=True)
class Views:
    """Rendered views with the name of the thing at every pixel."""

    color: NDArray[np.uint8]  # (F, h, w, 3) sRGB, from the simulated camera
    name: NDArray[np.uint8]  # (F, h, w) index into names, NOTHING where there is no thing
    names: tuple[tuple[str, int], ...]  # (raw category, NYU40 id)


def intrinsics() -> NDArray[np.float64]:
    """The camera of the views, (3, 3)."""
    w, h = SIZE
    focal = w / 2 / np.tan(np.radians(FIELD_OF_VIEW) / 2)
    return np.array([[focal, 0, (w - 1) / 2], [0, focal, (h - 1) / 2], [0, 0, 1.0]])


def render_views(folder: Path, catalogue: Catalogue, seeds: Sequence[int], frames: int) -> Views:
    """`frames` views of the room of each seed, of the split "clip", stored in `folder`.

    Views of the same seeds and frames that are already there are not rendered again. Rooms of that
    split share no furniture model with the training and held-out rooms.
    """
    index_file = folder / "views.json"
    want = {"seeds": list(seeds), "frames": frames}
    found: dict[str, Any] = {"of": want, "rooms": 0, "names": []}
    if index_file.exists() and (old := json.loads(index_file.read_text()))["of"] == want:
        found = old
    shape = (len(seeds) * frames, SIZE[1], SIZE[0])
    folder.mkdir(parents=True, exist_ok=True)
    mode = "r+" if found["rooms"] else "w+"
    color = open_memmap(folder / "color.npy", mode, np.uint8, (*shape, 3))
    name = open_memmap(folder / "name.npy", mode, np.uint8, shape)
    index = {(raw, nyu40): i for i, (raw, nyu40) in enumerate(found["names"])}
    for i in Progress(range(found["rooms"], len(seeds)), "rooms", unit="room"):
        at = i * frames
        for picture, things, kinds in views_of_room(catalogue, seeds[i], frames):
            for kind in kinds:
                index.setdefault(kind, len(index))
            of_thing = np.array([*(index[kind] for kind in kinds), NOTHING], np.uint8)
            color[at], name[at] = picture, of_thing[things]  # thing -1 indexes the last, NOTHING
            at += 1
        color.flush()
        name.flush()
        index_file.write_text(json.dumps({"of": want, "rooms": i + 1, "names": list(index)}))
    return Views(color, name, tuple(index))


def views_of_room(
    catalogue: Catalogue, seed: int, frames: int
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int32], list[tuple[str, int]]]]:
    """Pictures of one room, each with its thing ids (h, w) and the things' (name, NYU40 id)."""
    world = build_room(seed, catalogue, split="clip")
    renderer = Renderer(world)
    rng = np.random.default_rng([seed, 77])
    kinds = [(thing.name, thing.nyu40) for thing in world.things]
    for pose in camera_path(world, seed, frames):
        color, _, thing = renderer.render(intrinsics(), pose, SIZE)
        taken = Image.open(BytesIO(photograph(color, rng))).convert("RGB")
        yield np.asarray(taken), thing, kinds


@dataclass(frozen=True)
class Pairs:
    """A batch: B crops of c x c pixels, their captions, and the area shares of concepts."""

    image: NDArray[np.uint8]  # (B, c, c, 3)
    captions: list[str]  # B
    shares: NDArray[np.float32]  # (B, g, g, K) area share of each concept in g x g blocks


class Pairing:
    """Draws crops that are balanced over the concepts: the 20 classes and all other names."""

    def __init__(self, views: Views, crop: int, blocks: int, scale: float) -> None:
        """Crops of `crop` pixels, each `scale` pixels of a view wide before jitter."""
        self.views, self.crop, self.blocks, self.scale = views, crop, blocks, scale
        self._words = [words_of(raw, nyu40) for raw, nyu40 in views.names]
        classes = {nyu40: i for i, nyu40 in enumerate(WORDS)}
        others = sorted({raw for raw, nyu40 in views.names if nyu40 not in classes})
        own = {k: [raw for raw, nyu40 in views.names if nyu40 == k] for k in classes}
        self.concepts: list[Words] = [
            Words(tuple(dict.fromkeys([*words.nouns, *own[k]])), words.uses)
            for k, words in WORDS.items()
        ] + [Words((raw,)) for raw in others]
        rank = {raw: len(classes) + i for i, raw in enumerate(others)}
        of_name = [classes.get(nyu40, rank.get(raw, 0)) for raw, nyu40 in views.names]
        self.concept_of_name = np.array(of_name, np.int64)
        k = len(self.concepts)
        pixels = np.zeros((len(views.name), k), np.int64)
        for row, names in zip(pixels, views.name, strict=True):
            count = np.bincount(names.ravel(), minlength=NOTHING + 1)[: len(of_name)]
            np.add.at(row, self.concept_of_name, count)
        self._frames = [np.flatnonzero(pixels[:, c] > 64) for c in range(k)]
        frequency = np.array([len(f) for f in self._frames], float)
        weight = np.where(np.arange(k) < len(classes), 1.0, 0.15) * (frequency > 0)
        self._chance = weight * frequency**0.25
        self._chance /= self._chance.sum()

    def draw(self, rng: np.random.Generator, count: int) -> Pairs:
        """`count` crops around a pixel of a random concept, scaled, flipped and recoloured."""
        image = np.empty((count, self.crop, self.crop, 3), np.uint8)
        name = np.empty((count, self.crop, self.crop), np.uint8)
        for i in range(count):
            image[i], name[i] = self._crop(rng)
        shares = self._shares(name)
        captions = [self._caption(one, rng) for one in name]
        return Pairs(recolour(image, name, rng), captions, shares)

    def _crop(self, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """One crop with the names of its pixels, (c, c, 3) and (c, c)."""
        concept = rng.choice(len(self.concepts), p=self._chance)
        frame = rng.choice(self._frames[concept])
        names = self.views.name[frame]
        wanted = np.zeros(NOTHING + 1, bool)
        wanted[: len(self.concept_of_name)] = self.concept_of_name == concept
        pixels = np.flatnonzero(wanted[names].ravel())
        centre = np.divmod(rng.choice(pixels), names.shape[1])
        side = self.crop * self.scale * np.exp(rng.uniform(np.log(0.7), np.log(1.4)))
        side = min(side, names.shape[0])
        top, left = (
            np.clip(middle - side * rng.uniform(0.2, 0.8), 0, length - side)
            for middle, length in zip(centre, names.shape, strict=True)
        )
        # Nearest pixels for the names, sub-pixel boxes with antialiasing for the colours.
        step = (np.arange(self.crop) + 0.5) * side / self.crop
        rows, columns = (top + step).astype(int), (left + step).astype(int)
        box = (left, top, left + side, top + side)
        image, size = Image.fromarray(self.views.color[frame]), (self.crop, self.crop)
        small = image.resize(size, Image.Resampling.BILINEAR, box)
        flip = slice(None, None, -1) if rng.random() < 0.5 else slice(None)
        return np.asarray(small)[:, flip], names[np.ix_(rows, columns)][:, flip]

    def _shares(self, name: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Area shares (B, g, g, K) of the concepts; all 0 in a block without a thing."""
        b, g, k = len(name), self.blocks, len(self.concepts)
        concept = np.append(np.resize(self.concept_of_name, NOTHING), k)
        concept[len(self.concept_of_name) : NOTHING] = k
        block = np.arange(b * g * g).reshape(b, g, g)
        cell = block.repeat(self.crop // g, 1).repeat(self.crop // g, 2)
        pairs = cell * (k + 1) + concept[name]
        counts = np.bincount(pairs.ravel(), minlength=b * g * g * (k + 1))
        area = counts.reshape(b, g, g, k + 1)[..., :k].astype(np.float32)
        return area / np.maximum(area.sum(-1, keepdims=True), 1)

    def _caption(self, name: NDArray[np.uint8], rng: np.random.Generator) -> str:
        """A sentence about the most visible things; walls, floors and ceilings rank lower."""
        count = np.bincount(name.ravel(), minlength=NOTHING + 1)[: len(self._words)] / name.size
        stuff = np.array([nyu40 in (1, 2, 22) for _, nyu40 in self.views.names])
        shown = [i for i in np.argsort(-count * np.where(stuff, 0.2, 1)) if count[i] > _MIN_SHARE]
        return caption([self._words[i] for i in shown] or [Words(("room",))], rng)


def recolour(
    image: NDArray[np.uint8], name: NDArray[np.uint8], rng: np.random.Generator
) -> NDArray[np.uint8]:
    """The crops (B, c, c, 3) with shifted colours, of half of the things and of each picture.

    There are few furniture models, and the class of a thing must not depend on its colour alone.
    """
    b = len(image)
    shift = rng.normal(0, 0.2, (b, NOTHING + 1, 1)) + rng.normal(0, 0.08, (b, NOTHING + 1, 3))
    shift[rng.random((b, NOTHING + 1)) < 0.5] = 0
    shift += rng.normal(0, 0.1, (b, 1, 1)) + rng.normal(0, 0.03, (b, 1, 3))
    gain = np.exp(shift).astype(np.float32)
    light = image.astype(np.float32) * gain[np.arange(b)[:, None, None], name]
    contrast = rng.uniform(0.85, 1.15, (b, 1, 1, 1)).astype(np.float32)
    mean = light.mean((1, 2, 3), keepdims=True)
    noise = rng.standard_normal(light.shape, np.float32)
    noise *= rng.uniform(0, 4, (b, 1, 1, 1)).astype(np.float32)
    return np.clip((light - mean) * contrast + mean + noise, 0, 255).astype(np.uint8)
