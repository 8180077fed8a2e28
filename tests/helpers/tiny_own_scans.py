"""A copy of the checkout with tiny folders of RGB-D frames, each written in another layout."""

from pathlib import Path

import yaml

from tests.helpers.room_frames import frames
from tests.helpers.tiny_checkout import Checkout
from tests.helpers.tiny_folders import LAYOUTS

SCANS = {"cafe": "own", "walk": "polycam"}  # and their layouts


class OwnScans(Checkout):
    """A checkout whose `folder` has `SCANS`; `snakemake` runs in it as a user would."""

    dataset = "folder"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.raw = folder / "data" / "folder"
        for scan, layout in SCANS.items():
            LAYOUTS[layout].write(self.raw / scan, frames(4))
        config = yaml.safe_load(self.config.read_text())
        shared = ("threads", "voxels", "projections", "embeddings", "train")
        config["folder"] |= {key: config["scannet"][key] for key in shared} | {"workers": 0}
        config["folder"]["train"]["variants"] = ["esgs"]
        self.config.write_text(yaml.safe_dump(config))
