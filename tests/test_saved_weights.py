"""Weights fetched into a folder: another machine reads them as they are, without a network."""

import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from click.testing import CliRunner

from pipeline.cli.main import main
from pipeline.clip import hub, weights
from pipeline.clip.saving import save
from pipeline.errors import BadInput
from pipeline.plan.weights import weights_digest
from tests.helpers import tiny_clip, tiny_hub, tiny_tips, tiny_towers

COMMIT = "a" * 40
TIPS = {"model": f"hf-hub:some/tips@{COMMIT}", "pretrained": None}
OPEN_CLIP = {"model": f"hf-hub:some/clip@{COMMIT}", "pretrained": None}
SIGLIP = {"model": "ViT-B-16-SigLIP2-512", "pretrained": "webli"}
REPO = "timm/ViT-B-16-SigLIP2-512"  # where open_clip has that tag


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    cache = tiny_hub.empty(tmp_path, monkeypatch)
    tiny_hub.keep(cache, "some/tips", COMMIT, tiny_tips.write)
    tiny_hub.keep(cache, "some/clip", COMMIT, tiny_clip.write)
    tiny_hub.keep(cache, REPO, COMMIT, siglip, ref="main")
    return cache


def siglip(folder: Path) -> None:
    tiny_clip.write(folder)
    tiny_towers.write_tokenizer(folder, ["chair"])


def elsewhere(cache: Path, folder: Path) -> None:
    """Be on a machine whose cache is empty and whose data/weights is the folder."""
    shutil.rmtree(cache)
    own = hub.folder()
    shutil.rmtree(own, ignore_errors=True)
    shutil.copytree(folder, own)


@pytest.mark.parametrize("tower", [TIPS, OPEN_CLIP, SIGLIP], ids=lambda t: t["model"][:12])
def test_on_another_machine_the_weights_are_the_same(
    cache: Path, tmp_path: Path, tower: dict[str, Any]
) -> None:
    folder = tmp_path / "stick"
    save("good", tower["model"], tower["pretrained"], folder)
    assert not any(path.is_symlink() for path in folder.rglob("*"))
    here = weights_digest(tower, tmp_path / "a")
    elsewhere(cache, folder)
    assert here is not None
    assert weights_digest(tower, tmp_path / "b") == here
    if hub.is_hub(tower["model"]):
        assert hub.located(tower["model"]).startswith(f"local-dir:{weights.CHECKOUT}")


def test_digests_and_the_commit_are_beside_them(cache: Path, tmp_path: Path) -> None:
    said = save("good", SIGLIP["model"], SIGLIP["pretrained"], tmp_path / "stick")
    text = (tmp_path / "stick/good.sha256").read_text().splitlines()
    assert text[0] == "# ViT-B-16-SigLIP2-512 webli"
    assert f"# https://huggingface.co/{REPO}/tree/{COMMIT}" in text
    assert "# saved by hand" not in text
    pairs = [line.split("  ") for line in text if not line.startswith("#")]
    digests = {name: digest for digest, name in pairs}
    assert "ViT-B-16-SigLIP2-512.webli.safetensors" in digests
    assert "ViT-B-16-SigLIP2-512.tokenizer/tokenizer.json" in digests
    for name, digest in digests.items():
        content = (tmp_path / "stick" / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == digest
    assert said.startswith(f"{len(digests)} files, ")
    command = ["sha256sum", "--check", "--quiet", "good.sha256"]
    assert subprocess.run(command, cwd=tmp_path / "stick").returncode == 0


def test_into_data_weights_itself_links_become_files_and_a_second_time_changes_nothing(
    cache: Path, tmp_path: Path
) -> None:
    for _ in range(2):
        save("good", SIGLIP["model"], SIGLIP["pretrained"], hub.folder())
        path = hub.folder() / "ViT-B-16-SigLIP2-512.webli.safetensors"
        assert path.is_file()
        assert not path.is_symlink()
    shutil.rmtree(cache)
    assert weights_digest(SIGLIP, tmp_path)


def test_the_command_takes_the_models_of_presets_and_says_where_their_files_are(
    cache: Path, tmp_path: Path
) -> None:
    asked = ["fetch-weights", "good", "--to", str(tmp_path / "stick")]
    result = CliRunner().invoke(main, asked)
    assert result.exit_code == 0, result.output
    assert f"are in {tmp_path}/stick, their digests in good.sha256" in result.stdout


@pytest.mark.parametrize(
    ("preset", "said"),
    [
        ("gut", "'gut' is not one of the presets; use one of fast, good, best"),
        ("best", "is not here and cannot be fetched (HF_HUB_OFFLINE is set)"),
    ],
)
def test_what_cannot_be_had_is_told_in_a_sentence(cache: Path, preset: str, said: str) -> None:
    assert huggingface_hub.constants.HF_HUB_OFFLINE
    result = CliRunner().invoke(main, ["fetch-weights", preset, "--to", "x"])
    assert result.exit_code == 1
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_folder_of_ones_own_is_not_fetched(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is a folder already; copy it"):
        save("mine", "local-dir:data_manifest/demo/clip", None, tmp_path)
