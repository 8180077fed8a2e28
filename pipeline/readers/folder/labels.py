"""Folders of RGB-D frames have no dense labels."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import BadInput
from pipeline.scan import Labels


def read_labels(files: Mapping[str, Path], classes: Sequence[Mapping[str, Any]]) -> Labels:
    """Raise `BadInput`."""
    raise BadInput("labels", "a folder of frames has none", "score scans of another dataset")
