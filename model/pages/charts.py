"""Charts of scores: bars by class, confusion matrices, curves of training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from model.pages import encode

WIDTH = 3.6  # inches of a narrow chart, which a phone shows in full width
_SMOOTH = 240  # values from which on a curve is drawn by means
_SHOWN = 25  # classes up to which the cells of a confusion matrix have numbers
_HEAT = matplotlib.colormaps["Blues"]


@dataclass(frozen=True)
class Bar:
    """A bar: percents, one for each seed; none where there is nothing to score."""

    name: str
    values: Sequence[float]
    color: str
    faint: bool = False


@dataclass(frozen=True)
class Curve:
    """Values, and the steps or epochs after which they were measured."""

    across: Sequence[float]
    values: Sequence[float]


def bars(title: str, shown: Sequence[Bar]) -> str:
    """Horizontal bars of means with their standard deviation, from 0 to 100, as a data URI."""
    figure = Figure(figsize=(WIDTH, 0.45 + 0.17 * len(shown)), layout="constrained")
    axis = figure.subplots()
    for place, bar in enumerate(shown):
        if not bar.values:
            axis.text(1, place, "-", va="center", fontsize=7)
            continue
        mean, several = float(np.mean(bar.values)), len(bar.values) > 1
        spread = float(np.std(bar.values, ddof=1)) if several else None
        alpha = 0.45 if bar.faint else 1.0
        axis.barh(place, mean, 0.8, color=bar.color, alpha=alpha, xerr=spread, error_kw={"lw": 0.8})
        axis.text(mean + (spread or 0) + 1, place, f"{mean:.1f}", va="center", fontsize=6.5)
    axis.set_title(_plain(title), fontsize=9, loc="left", fontweight="bold")
    axis.set_yticks(range(len(shown)), [_plain(bar.name) for bar in shown], fontsize=7)
    axis.set(xlim=(0, 112), ylim=(len(shown) - 0.4, -0.6), xticks=range(0, 101, 25))
    axis.tick_params(axis="x", labelsize=6.5)
    axis.tick_params(axis="y", length=0)
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis="x", lw=0.4, alpha=0.6)
    axis.set_axisbelow(True)
    return encode.chart(figure)


def confusion(title: str, counts: NDArray[np.int64], classes: Sequence[str]) -> str:
    """A matrix of counts (K, K + 1) in percent of each row, as a data URI.

    Rows are true classes, columns predicted ones, the last of them points without a prediction.
    Rows of classes that do not occur are empty.
    """
    total = counts.sum(axis=1, keepdims=True)
    share = np.where(total > 0, 100 * counts / np.maximum(total, 1), np.nan)
    names = [*(_plain(name) for name in classes), "none"]
    side = WIDTH + 0.055 * max(0, len(classes) - 12)
    figure = Figure(figsize=(side, side), layout="constrained")
    axis = figure.subplots()
    axis.imshow(share, cmap=_HEAT, vmin=0, vmax=100, aspect="auto")
    if len(classes) <= _SHOWN:
        for row, column in np.argwhere(np.nan_to_num(share) >= 5):
            value = share[row, column]
            color = "white" if value > 55 else "black"
            axis.text(
                column, row, f"{value:.0f}", ha="center", va="center", fontsize=5, color=color
            )
    size = max(2.0, min(6.5, 130 / max(1, len(names))))
    axis.set_xticks(range(len(names)), names, rotation=90, fontsize=size)
    axis.set_yticks(range(len(classes)), names[:-1], fontsize=size)
    axis.set_xlabel("predicted", fontsize=7)
    axis.set_ylabel("true class", fontsize=7)
    axis.tick_params(length=0, pad=2)
    axis.set_title(_plain(title), fontsize=9, loc="left", fontweight="bold")
    return encode.chart(figure)


def curves(title: str, found: Mapping[str, Curve], across: str) -> str:
    """Values by step or epoch, a line for each name, as a data URI."""
    figure = Figure(figsize=(WIDTH, 2.1), layout="constrained")
    axis = figure.subplots()
    for number, (name, curve) in enumerate(found.items()):
        color = matplotlib.colormaps["tab10"](number % 10)
        axis.plot(*_smoothed(curve), color=color, lw=1.3, label=_plain(name))
        if len(curve.values) > _SMOOTH:
            axis.plot(curve.across, curve.values, color=color, lw=0.4, alpha=0.25)
    axis.set_title(_plain(title), fontsize=9, loc="left", fontweight="bold")
    axis.set_xlabel(across, fontsize=7)
    axis.tick_params(labelsize=6.5)
    axis.grid(lw=0.4, alpha=0.6)
    axis.spines[["top", "right"]].set_visible(False)
    if found:
        axis.legend(fontsize=6.5, frameon=False)
    return encode.chart(figure)


def differences(title: str, shown: Mapping[str, float | None]) -> str:
    """Bars of percents gained (to the right) and lost, by name, as a data URI."""
    names = [_plain(name) for name in shown]
    values = [0.0 if value is None else value for value in shown.values()]
    figure = Figure(figsize=(WIDTH, 0.5 + 0.17 * len(names)), layout="constrained")
    axis = figure.subplots()
    color = ["#2c7bb6" if value >= 0 else "#d73027" for value in values]
    axis.barh(range(len(names)), values, 0.8, color=color)
    reach = max(1.0, *(abs(value) for value in values)) if values else 1.0
    for place, known in enumerate(shown.values()):
        said = "-" if known is None else f"{round(known, 1) + 0:+.1f}"
        axis.text(1.03 * reach, place, said, va="center", fontsize=6.5, clip_on=False)
    axis.axvline(0, color="0.3", lw=0.8)
    axis.set_yticks(range(len(names)), names, fontsize=7)
    axis.set(xlim=(-reach, 1.25 * reach), ylim=(len(names) - 0.4, -0.6))
    axis.tick_params(axis="x", labelsize=6.5)
    axis.tick_params(axis="y", length=0)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.set_title(_plain(title), fontsize=9, loc="left", fontweight="bold")
    return encode.chart(figure)


def _smoothed(curve: Curve) -> list[NDArray[np.float64]]:
    """Steps and values of a curve: means of equal parts of a long one."""
    both = [np.asarray(each, np.float64) for each in (curve.across, curve.values)]
    if len(curve.values) <= _SMOOTH:
        return both
    ends = np.linspace(0, len(curve.values), _SMOOTH // 4 + 1).astype(int)
    return [np.array([each[a:b].mean() for a, b in pairwise(ends)]) for each in both]


def _plain(text: str) -> str:
    """Text of which matplotlib reads nothing as a formula."""
    return text.replace("$", r"\$")
