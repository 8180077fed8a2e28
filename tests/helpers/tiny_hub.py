"""A hub of weights without a network: its client's cache, and what it would answer."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from pipeline.clip import weights


def empty(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of Hugging Face, an empty data/weights, and no network."""
    cache = folder / "cache"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(weights, "CHECKOUT", folder / "checkout")
    monkeypatch.setattr("pipeline.clip.fetch.CHECKOUT", folder / "checkout")
    return cache


def keep(cache: Path, repo: str, commit: str, write: Callable[[Path], Any], ref: str = "") -> Path:
    """Put files into the cache as the hub's client does: blobs, and a folder of links to them."""
    home = cache / f"models--{repo.replace('/', '--')}"
    snapshot, made = home / "snapshots" / commit, cache / "made"
    write(made)
    for folder in (snapshot, home / "blobs", home / "refs"):
        folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(made.iterdir()):
        blob = home / "blobs" / f"{commit}-{path.name}"
        path.rename(blob)
        (snapshot / path.name).symlink_to(Path("../../blobs", blob.name))
    shutil.rmtree(made)
    if ref:
        (home / "refs" / ref).write_text(commit)
    return snapshot


class Hub:
    """A hub with one repository, of which a fetched file is in the cache."""

    def __init__(self, cache: Path, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cache, self.made, self.given = cache, made, set[str]()
        monkeypatch.setattr("pipeline.clip.fetch.is_there", self.is_there)
        monkeypatch.setattr(huggingface_hub, "hf_hub_download", self.download)
        monkeypatch.setattr(huggingface_hub, "snapshot_download", self.snapshot)

    def is_there(self, url: str) -> bool:
        return (self.made / url.rpartition("/")[2]).is_file()

    def download(self, repo: str, name: str, revision: str) -> str:
        self.snapshot(repo, revision, [name])
        return str(self._folder(repo, revision) / name)

    def snapshot(self, repo: str, revision: str, allow_patterns: Sequence[str]) -> None:
        folder = self._folder(repo, revision)
        folder.mkdir(parents=True, exist_ok=True)
        for path in self.made.iterdir():
            if any(path.match(pattern) for pattern in allow_patterns):
                self.given.add(path.name)
                shutil.copy(path, folder)

    def _folder(self, repo: str, revision: str) -> Path:
        return self.cache / f"models--{repo.replace('/', '--')}" / "snapshots" / revision
