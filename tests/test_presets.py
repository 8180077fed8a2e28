"""Presets: a word under `embeddings` for all that says how frames are read."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.clip import windows
from pipeline.errors import BadInput
from pipeline.plan import ablation, config, presets

ROOT = Path(__file__).parents[1]
SCHEMA = yaml.safe_load((ROOT / "workflow/config.schema.yaml").read_text())
DATASET = SCHEMA["$defs"]["dataset"]["properties"]
NAMES = tuple(presets.presets())


def described(folder: Path, embeddings: str, more: str = "") -> dict[str, Any]:
    """The section of a dataset with these `embeddings`, as a run has it."""
    path = folder / "config.yaml"
    path.write_text(f"store: s\nmine: {{scans: a.csv, embeddings: {{{embeddings}}}{more}}}\n")
    return config.load(path)["mine"]


def test_the_schema_lists_the_presets() -> None:
    assert tuple(DATASET["embeddings"]["properties"]["preset"]["enum"]) == NAMES


def test_presets_say_the_same_things_so_that_one_replaces_another_wholly() -> None:
    said = {
        tuple((part, *keys) for part, keys in each.items()) for each in presets.presets().values()
    }
    assert len(said) == 1
    reading = {"model", "pretrained", "recipe", "image_size", "window", "stride"}
    assert reading <= {key for part in said.pop() for key in part}


@pytest.mark.parametrize("name", NAMES)
def test_a_run_has_the_settings_and_not_the_word(tmp_path: Path, name: str) -> None:
    found = described(tmp_path, f"preset: {name}")
    assert "preset" not in found["embeddings"]
    for part, settings in presets.presets()[name].items():
        assert settings.items() <= found[part].items()
    written = yaml.safe_dump({**presets.presets()[name]["embeddings"]}, default_flow_style=True)
    text = yaml.safe_dump(presets.presets()[name]["text"], default_flow_style=True).strip()
    assert described(tmp_path, written.strip()[1:-1], f", text: {text}") == found


@pytest.mark.parametrize("name", NAMES)
def test_keys_beside_a_preset_override_it(tmp_path: Path, name: str) -> None:
    found = described(tmp_path, f"preset: {name}, recipe: value", ', text: {templates: ["a {}"]}')
    assert found["embeddings"]["recipe"] == "value"
    assert found["text"]["templates"] == ["a {}"]
    assert found["embeddings"]["model"] == presets.presets()[name]["embeddings"]["model"]


def test_features_made_elsewhere_take_the_place_of_a_preset(tmp_path: Path) -> None:
    found = described(tmp_path, "preset: good, features: f")
    assert found["embeddings"]["features"] == "f"
    assert "model" not in found["embeddings"]


def test_what_lies_over_a_config_exchanges_its_preset_by_one_word(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        f"based_on: {ROOT / config.CONFIG}\nscannet: {{embeddings: {{preset: fast}}}}\n"
    )
    given = config.load(ROOT / config.CONFIG)["scannet"]
    found = config.load(path)["scannet"]
    assert given["embeddings"].items() >= presets.presets()["good"]["embeddings"].items()
    assert found["embeddings"].items() >= presets.presets()["fast"]["embeddings"].items()


def test_scannet_s3dis_and_folders_are_read_by_good() -> None:
    loaded = config.load(ROOT / config.CONFIG)
    good = presets.presets()["good"]["embeddings"]
    for name in ("scannet", "s3dis", "folder"):
        given = dict(loaded[name]["embeddings"])
        if name == "s3dis":
            assert given.pop("image_size") == [768, 768]
        else:
            assert given["image_size"] == good["image_size"]
        assert given.items() >= {k: v for k, v in good.items() if k in given}.items()


def test_a_row_of_an_ablation_may_name_another_preset(tmp_path: Path) -> None:
    rows = ", ablation: {other: {embeddings: {preset: fast, flip: true}}}"
    section = described(tmp_path, "preset: good", rows)
    row = ablation.sections(section, "here")["other"]["embeddings"]
    assert row.items() >= presets.presets()["fast"]["embeddings"].items()
    assert row["flip"]
    assert "preset" not in row


@pytest.mark.parametrize("word", ["gut", "[good]", "'null'"])
def test_a_word_that_is_no_preset_is_refused_with_the_known_ones(tmp_path: Path, word: str) -> None:
    said = rf"mine: embeddings\.preset: .* is not one of the presets; use one of {', '.join(NAMES)}"
    with pytest.raises(BadInput, match=said):
        described(tmp_path, f"preset: {word}")


def test_an_overlay_takes_away_a_preset_with_null(tmp_path: Path) -> None:
    found = described(tmp_path, "preset: null, model: ViT-B-16, recipe: plain")
    assert found["embeddings"].items() >= {"model": "ViT-B-16", "recipe": "plain"}.items()
    assert found["embeddings"]["window"] is None  # of no preset
    assert "preset" not in found["embeddings"]


def test_without_model_features_and_preset_the_model_is_missed(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="'model' is a required property"):
        described(tmp_path, "recipe: plain")


# docs/choices.md has these figures
WINDOWS = {"fast": 1, "good": 32, "best": 2}


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_reads_as_many_windows_as_its_documentation_says(name: str) -> None:
    how = presets.presets()[name]["embeddings"]
    across, down = (
        len(windows.starts(side, how["window"], how["stride"])) if how["window"] else 1
        for side in how["image_size"]
    )
    assert across * down == WINDOWS[name]


def test_the_stride_of_good_is_no_multiple_of_the_patch() -> None:
    assert presets.presets()["good"]["embeddings"]["stride"] % 16
