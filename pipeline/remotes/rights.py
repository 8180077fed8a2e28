"""What the terms of a dataset say about passing on what was made from it."""

from pipeline.facts import Facts

# Reader -> what has been signed for the data, as data_manifest/<reader>/README.md says.
_TERMS = {
    "scannet": (
        "the terms of ScanNet allow research that is not commercial, and no redistribution: only "
        "people who have signed them themselves may be able to read this remote"
    ),
    "s3dis": (
        "S3DIS and 2D-3D-S are for academic use that is not commercial, and may not be passed on: "
        "only people who have agreed to their terms themselves may be able to read this remote"
    ),
}
_OWN = (
    "the terms of these scans are not known here: whoever can read this remote can see the rooms "
    "in what was made from them (images, points and names of classes)"
)


def terms(facts: Facts) -> str | None:
    """What has to be confirmed before entries are given away; None for simulated rooms."""
    return None if facts.simulated else _TERMS.get(facts.reader, _OWN)
