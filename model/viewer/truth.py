"""The ground truth of a scan that no run has read, where its folder has some."""

from pathlib import Path

from model.viewer.layers import Labels, View
from pipeline import readers
from pipeline.clip.weights import CHECKOUT
from pipeline.errors import BadInput
from pipeline.palette import palette
from pipeline.plan import manifest

TRUTH = "ground truth"


def add_truth(view: View, scan: Path) -> None:
    """Add a layer with the dense labels in the folder `scan`, by the classes of its reader.

    Nothing is added for files, for scans without labels, and where there is no checkout, whose
    `data_manifest` knows the classes. Labels that cannot be read become a note.
    """
    found = readers.recognise(scan) if scan.is_dir() else None
    if found is None:
        return
    path = CHECKOUT / "data_manifest" / found.reader / "classes.csv"
    files = readers.load(found.reader, "files").scan_files(found.raw, found.scan)["labels"]
    if not files or not path.is_file():
        return
    classes = manifest.read_classes(path)
    try:
        label = readers.load(found.reader, "labels").read_labels(files, classes).label
        if len(label) != len(view.xyz):
            what = f"has {len(label):,} labels for {len(view.xyz):,} points"
            raise BadInput(scan, what, "restore its files")
    except BadInput as error:
        view.notes.append(f"Ground truth is not shown. {error}")
        return
    colors = {each["name"]: each["color"] for each in classes if "color" in each}
    names = [each["name"] for each in classes]
    view.add_labels(Labels(TRUTH, names, palette(names, colors), label))
