"""What somebody does who reads a sentence of the doctor and follows it."""

import re
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image
from scipy.spatial.transform import Rotation

from pipeline.geometry.cameras import scale_intrinsics
from tests.helpers.planted import Array, Recorded, inverted, scaled, transposed
from tests.helpers.room_frames import encoded

_NUMBER = r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?"


def follow(sentence: str, raw: Recorded) -> Recorded | None:
    """The recording after the (first) advice of a sentence, None if it has none to follow."""
    if found := re.search(
        r"looks? out of step.*?those of (?:the|(\d+)) frames? (before|after)", sentence
    ):
        return _in_step(sentence, raw, int(found[1] or 1), found[2])
    if "colour looks" in sentence:
        return _turned(sentence, raw)
    if "the intrinsics of" in sentence:
        return _intrinsics(sentence, raw)
    if ": so read" not in sentence:
        return None
    advice = sentence.split("; ", 1)[1].split(", or ")[0]
    if found := re.search(rf"set the depth scale to ({_NUMBER})", advice):
        raw = replace(raw, depth_scale=float(found[1]))
    if found := re.search(r"write them in the order (x, y|w, x)", advice):
        raw = _reordered(raw, -1 if found[1] == "x, y" else 1, "world-to-camera poses" in sentence)
    return _poses(advice, raw)


def _reordered(raw: Recorded, by: int, inverse: bool) -> Recorded:
    """The numbers of each quaternion in another order, before a reader inverts the pose if so."""
    poses = [inverted(pose) if inverse else np.array(pose) for pose in raw.poses]
    for pose in poses:
        order = np.roll(Rotation.from_matrix(pose[:3, :3]).as_quat(), by)
        pose[:3, :3] = Rotation.from_quat(order).as_matrix()
    return replace(raw, poses=[inverted(pose) if inverse else pose for pose in poses])


def _poses(advice: str, raw: Recorded) -> Recorded:
    """Each step of the advice, in its order."""
    poses = [np.asarray(pose) for pose in raw.poses]
    steps = rf"(invert)|(transpose the rotation)|translations of the poses by ({_NUMBER})"
    steps += r"|from the (left|right) by (diag\([^)]*\)|\[\[.*?\]\])"
    for found in re.finditer(steps, advice):
        invert, transpose, factor, side, matrix = found.groups()
        if invert:
            poses = [inverted(pose) for pose in poses]
        elif transpose:
            poses = [transposed(pose) for pose in poses]
        elif factor:
            poses = [scaled(pose, float(factor)) for pose in poses]
        else:
            m = _matrix(matrix)
            poses = [m @ pose if side == "left" else pose @ m for pose in poses]
    return replace(raw, poses=poses)


def _matrix(text: str) -> Array:
    numbers = np.array([float(each) for each in re.findall(_NUMBER, text)])
    return np.diag(numbers) if text.startswith("diag") else numbers.reshape(4, 4)


def _in_step(sentence: str, raw: Recorded, by: int, word: str) -> Recorded:
    """Rename the files of one kind, and leave out frames that then lack one."""
    which = sentence.split(" look")[0].split(" ")[-1]
    part = {"poses": "poses", "depth": "depths", "colour": "colors"}[which]
    shift = by if word == "after" else -by
    count = len(raw.poses)
    # Poses: those of another frame fit this one. Images: this one fits the poses of another frame.
    source = (
        {i: i + shift for i in range(count)}
        if which == "poses"
        else {i + shift: i for i in range(count)}
    )
    kept = [i for i in range(count) if i in source and 0 <= source[i] < count]
    every: dict[str, Any] = {
        name: [getattr(raw, name)[i] for i in kept] for name in ("colors", "depths", "poses")
    }
    every[part] = [getattr(raw, part)[source[i]] for i in kept]
    return replace(raw, **every)


def _turned(sentence: str, raw: Recorded) -> Recorded:
    ways = {"180": (-1, -1), "left to right": (1, -1), "top to bottom": (-1, 1)}
    y, x = next(way for words, way in ways.items() if words in sentence)
    images = [np.asarray(Image.open(BytesIO(blob)))[::y, ::x] for blob in raw.colors]
    return replace(raw, colors=[encoded(image, "JPEG") for image in images])


def _intrinsics(sentence: str, raw: Recorded) -> Recorded:
    if found := re.search(r"of images of about (\d+) x (\d+) pixels", sentence):
        size = int(found[1]), int(found[2])
        return replace(
            raw,
            color_intrinsics=scale_intrinsics(raw.color_intrinsics, size, raw.color_size),
            depth_intrinsics=scale_intrinsics(raw.depth_intrinsics, size, raw.depth_size),
        )
    advice = sentence.split("from the frames, about")[1]
    fx, fy, cx, cy = map(float, re.findall(_NUMBER, advice)[:4])
    k = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])
    color = scale_intrinsics(k, raw.depth_size, raw.color_size)
    return replace(raw, depth_intrinsics=k, color_intrinsics=color)
