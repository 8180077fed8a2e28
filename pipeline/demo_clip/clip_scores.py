"""Scores of the demo's small CLIP on simulated views: 2D mIoU, and queries by phrases."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.scoring import scores
from model.scoring.counting import confusion
from pipeline.clip.embedder import Embedder
from pipeline.clip.prompts import ensemble
from pipeline.clip.text_tower import load_text_tower
from pipeline.demo_clip.captions import HELD_OUT, WORDS
from pipeline.demo_clip.pairs import NOTHING, Views, render_views
from pipeline.simulate.catalogue import Catalogue
from pipeline.stages import parts

# How the demo applies the model: the size of the images, windows, regions and prompts.
IMAGE_SIZE = (192, 144)
REGIONS = {"scale": 100, "smallest": 50}  # the defaults of `regions: {}` in the config
READING: dict[str, Any] = {"recipe": "plain", "window": 64, "stride": 20, "regions": REGIONS}
VALIDATION = range(10_000, 10_032)  # seeds of rooms that training never sees
TEMPLATES = ("{}", "a photo of a {}", "a {} in a room")


def labels(views: Views) -> NDArray[np.int16]:
    """Index into the 20 classes of every pixel of the views, (F, h, w), -1 = none of them."""
    order = list(WORDS)
    table = np.full(NOTHING + 1, -1, np.int16)
    for i, (_, nyu40) in enumerate(views.names):
        table[i] = order.index(nyu40) if nyu40 in order else -1
    return table[views.name]


def reader(folder: Path, reading: Mapping[str, Any] = READING) -> Embedder:
    """What reads views densely: as the demo does, unless another `reading` is given."""
    model = f"local-dir:{folder.resolve()}"
    own = {"model": model, "pretrained": None, "image_size": IMAGE_SIZE, "batch": 64}
    params = own | {key: value for key, value in reading.items() if value or key != "regions"}
    return Embedder(params, parts.load_parts("embeddings", {"embeddings": params}))


def embed(embedder: Embedder, color: NDArray[np.uint8]) -> NDArray[np.float16]:
    """Dense embeddings (F, y, x, d) of views (F, h, w, 3)."""
    small = [Image.fromarray(c).resize(IMAGE_SIZE, Image.Resampling.BICUBIC) for c in color]
    return embedder.read(np.stack([np.asarray(image) for image in small]))


def similarities(grid: NDArray, text: NDArray, size: tuple[int, int]) -> NDArray[np.float32]:
    """Cosine (F, h, w, K) of every pixel of views of `size` (w, h) to the texts (K, d)."""
    cells = grid.astype(np.float32) @ text.T
    out = np.empty((len(grid), size[1], size[0], len(text)), np.float32)
    for frame, cell in zip(out, cells, strict=True):
        for k in range(len(text)):
            image = Image.fromarray(np.ascontiguousarray(cell[..., k]))
            frame[..., k] = np.asarray(image.resize(size, Image.Resampling.BILINEAR))
    return out


def class_iou(
    folder: Path, views: Views, reading: Mapping[str, Any] = READING
) -> NDArray[np.float64]:
    """IoU (20,) of the classes over all pixels of the views, nan where a class never occurs."""
    embedder = reader(folder, reading)
    tower = load_text_tower(f"local-dir:{folder.resolve()}", None)
    text = np.stack([ensemble(tower, words.nouns, TEMPLATES) for words in WORDS.values()])
    truth, k = labels(views), len(text)
    counts = np.zeros((k, k + 1), np.int64)
    for part in np.array_split(np.arange(len(truth)), max(1, len(truth) // 16)):
        grid = embed(embedder, views.color[part])
        guess = similarities(grid, text, truth.shape[:0:-1]).argmax(-1)
        counts += confusion(truth[part], guess, k)
    return np.where(counts.sum(axis=1) > 0, scores.class_iou(counts), np.nan)


def average_precision(score: NDArray, wanted: NDArray[np.bool_]) -> float:
    """Mean precision over the wanted items, ranked by score; NaN without a wanted item.

    By chance it is the share of wanted items.
    """
    ranked = wanted.ravel()[np.argsort(-score.ravel(), kind="stable")]
    precision = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
    return float(precision[ranked].mean()) if ranked.any() else float("nan")


def phrase_precision(
    folder: Path, views: Views, asked: Sequence[tuple[int, str]]
) -> list[tuple[float, float]]:
    """(average precision, chance) of the pixels of an NYU40 class for each (class, phrase)."""
    tower = load_text_tower(f"local-dir:{folder.resolve()}", None)
    text = tower.embed([phrase for _, phrase in asked])
    truth = labels(views)[:, 2::4, 2::4]
    score = similarities(embed(reader(folder), views.color), text, views.name.shape[:0:-1])[
        :, 2::4, 2::4
    ]
    order, out = list(WORDS), []
    for i, (nyu40, _) in enumerate(asked):
        wanted = truth == order.index(nyu40)
        out.append((average_precision(score[..., i], wanted), float(wanted.mean())))
    return out


def tables(model: Path, cache: Path, furniture: Path) -> Iterator[str]:
    """The lines of two tables on the validation rooms: IoU by class, and precision by phrase.

    `model` is the folder of the model, `cache` that of the rendered views. Raises `BadInput` where
    there is no furniture.
    """
    views = render_views(cache, Catalogue(furniture), VALIDATION, 6)
    iou = class_iou(model, views)
    for words, value in zip(WORDS.values(), iou, strict=True):
        yield f"| {words.nouns[0]} | {100 * value:.1f} |"
    yield f"| mean | {100 * np.nanmean(iou):.1f} |\n"
    asked = [(6, "a couch"), *((k, text) for k, texts in HELD_OUT.items() for text in texts)]
    found = phrase_precision(model, views, asked)
    for (nyu40, text), (precision, chance) in zip(asked, found, strict=True):
        name = WORDS[nyu40].nouns[0]
        yield f"| {text} | {name} | {100 * precision:.1f} | {100 * chance:.1f} |"
