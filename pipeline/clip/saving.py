"""Weights for a machine without a network: a model's files, in a folder that it reads as it is.

The folder is what `data/weights` of a checkout is: there a run looks for weights and tokenizers
before anything is fetched.
"""

from collections.abc import Iterator
from pathlib import Path
from shutil import copyfile

from pipeline.clip import hub
from pipeline.clip.weights import local_folder
from pipeline.errors import BadInput
from pipeline.store.records import digest
from pipeline.whole_file import whole_file


def save(name: str, model: str, pretrained: str | None, folder: Path) -> str:
    """Fetch a model's weights, configuration and tokenizer into a folder; say what was written.

    `<name>.sha256` has the digests, for `sha256sum -c`, and the commit that they are of. Raises
    `BadInput` for what can be neither found nor fetched, and where the folder cannot be written.
    """
    if local_folder(model):
        raise BadInput(model, "is a folder already", "copy it, and name it by `local-dir:`")
    hub.fetch(model, pretrained)
    lines = [f"# {' '.join(filter(None, (model, pretrained)))}"]
    size = 0
    for path, place in _places(model, pretrained):
        target = folder / place
        lines += [f"# {source}" for source in [_source(path)] if source not in "".join(lines)]
        if target.is_symlink() or not (target.exists() and target.samefile(path)):
            with whole_file(target) as partial:
                copyfile(path, partial)
        lines.append(f"{digest(target)}  {place}")
        size += target.stat().st_size
    with whole_file(folder / f"{name}.sha256") as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
    count = sum(not line.startswith("#") for line in lines)
    return f"{count} files, {size / 1e9:.2f} GB, are in {folder}, their digests in {name}.sha256"


def _places(model: str, pretrained: str | None) -> Iterator[tuple[Path, Path]]:
    """Each file of a model, and where it is below `data/weights`."""
    home = hub.saved(model) if hub.is_hub(model) else None
    for path in hub.files(model, pretrained):
        yield path, Path(home.name, path.name) if home else path.relative_to(hub.folder())


def _source(path: Path) -> str:
    """The address that a file was fetched from, by the cache of the hub that it is linked from."""
    link = path.readlink() if path.is_symlink() else path
    for place in (link, path, path.parent.resolve() / path.name):
        parts = place.parts
        if "snapshots" in parts and (at := parts.index("snapshots")) + 1 < len(parts):
            repo = parts[at - 1].removeprefix("models--").replace("--", "/")
            return f"https://huggingface.co/{repo}/tree/{parts[at + 1]}"
    return "saved by hand"
