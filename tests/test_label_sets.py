"""Any set of classes is one line of the config, and its texts are made once for each tower."""

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import BadInput
from pipeline.facts import Facts
from pipeline.plan import config, graph, manifest
from pipeline.plan.plan import Plan
from pipeline.readers.scannet.labels import read_labels
from tests.helpers import tiny_store

ROOT = Path(__file__).parent.parent
DATA = ROOT / "data_manifest"


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_scannet200_has_its_two_hundred_classes_by_the_ids_of_the_label_map() -> None:
    classes = manifest.read_classes(DATA / "scannet" / "classes_200.csv")
    assert len(classes) == 200
    assert [c["name"] for c in classes[:3]] == ["wall", "chair", "floor"]
    last = {"name": "mattress", "prompts": ["mattress"], "label_id": 1191, "group": "common"}
    assert classes[-1] == last
    assert Counter(c["group"] for c in classes) == {"head": 66, "common": 68, "tail": 66}
    with open(DATA / "scannet" / "classes_200.csv", newline="") as file:
        ids = [int(row["label_id"]) for row in csv.DictReader(file)]
    assert ids == sorted(set(ids))
    assert (ids[0], ids[-1]) == (1, 1191)
    words = [prompt for c in classes for prompt in c["prompts"]]
    assert len(set(words)) == len(words), "a word that stands for two classes decides for neither"


def test_a_set_that_is_only_asked_for_needs_names_and_prompts_and_no_more(tmp_path: Path) -> None:
    path = written(tmp_path, "\ufeffname,prompts\nsofa,sofa | couch\nmug,mug\n")
    assert manifest.read_classes(path) == [
        {"name": "sofa", "prompts": ["sofa", "couch"]},
        {"name": "mug", "prompts": ["mug"]},
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,nyu40\nsofa,6\n", "has no column prompts; let its first line name name, prompts"),
        ("", "has no column name"),
        ("name,prompts\n", "names no class"),
        (
            "name,prompts\n" + "".join(f"{k},thing {k}\n" for k in range(256)),
            "names 256 classes, and pages and viewer show 255 at most; name fewer",
        ),
        ("name,prompts\nsofa,sofa\nsofa,couch\n", "duplicate entry sofa"),
        ("name,prompts\nsofa,\n", "line 2 has no prompts"),
        ("name,prompts\nsofa,couch||\n", "sofa has an empty prompt"),
        ("name,prompts,nyu40\nsofa,sofa,six\n", "sofa has the nyu40 id 'six'"),
        ("name,prompts,label_id\nsofa,sofa,-1\n", "sofa has the label id '-1'"),
        ("name,prompts,group\nsofa,sofa,\nmug,mug,tail\n", "sofa has no group, and others have"),
    ],
)
def test_a_bad_set_is_told_in_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BadInput, match=said) as told:
        manifest.read_classes(written(tmp_path, text))
    assert str(told.value).startswith(f"{tmp_path / 'mine.csv'}: ")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        ([{"name": "mug"}], "mug has no nyu40 id, which ScanNet's labels need"),
        ([{"name": "a", "nyu40": 1}, {"name": "b", "nyu40": 1}], "a and b have the same nyu40 id"),
        ([{"name": "a", "label_id": 1}, {"name": "b"}], "b has no label id"),
        (
            [{"name": "a", "label_id": 1}, {"name": "b", "label_id": 1}],
            "a and b have the same label id",
        ),
    ],
)
def test_scannet_s_labels_ask_for_an_id_of_each_class(classes: list, said: str) -> None:
    files = dict.fromkeys(("mesh", "segments", "aggregation", "labels_mesh"), Path("none"))
    with pytest.raises(BadInput, match=said):
        read_labels(files, classes)


def planned(tmp_path: Path, classes: list[dict[str, Any]], **tower: str) -> Plan:
    facts = tiny_store.facts(tmp_path) | {"classes": classes}
    facts["section"]["embeddings"] |= tower
    return Plan(Facts.from_json(facts))


def test_texts_are_kept_for_each_tower_and_set_and_made_again_for_nothing_else(
    tmp_path: Path,
) -> None:
    sofa = {"name": "sofa", "prompts": ["sofa"]}
    keys = {
        name: plan.keys["text"]
        for name, plan in {
            "plain": planned(tmp_path, [sofa]),
            "coloured": planned(tmp_path, [sofa | {"nyu40": 6, "color": "#000000"}]),
            "other recipe": planned(tmp_path, [sofa], recipe="value", image_size="[64, 48]"),
            "renamed": planned(tmp_path, [sofa | {"name": "couch"}]),
            "synonym": planned(tmp_path, [sofa | {"prompts": ["sofa", "couch"]}]),
            "longer": planned(tmp_path, [sofa, {"name": "mug", "prompts": ["mug"]}]),
            "other tower": planned(tmp_path, [sofa], model="RN50"),
            "other weights": planned(tmp_path, [sofa], pretrained="laion2b"),
        }.items()
    }
    assert keys["plain"] == keys["coloured"] == keys["other recipe"]
    assert len(set(keys.values())) == len(keys) - 2


def test_a_set_is_chosen_by_one_line_and_leaves_the_embeddings_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("SCAN_STORE", str(tmp_path / "store"))
    path, line = tmp_path / "config.yaml", "classes: data_manifest/scannet/classes_200.csv"
    text = config.CONFIG.read_text()
    path.write_text(text.replace("  raw: data/scannet", f"  raw: data/scannet\n  {line}"))
    plans = [config.plan("scannet", p, wanted=False) for p in (config.CONFIG, path)]
    assert [len(graph.stage("text").params(p.facts)["classes"]) for p in plans] == [20, 200]
    changed = {s for s in plans[0].stages if plans[0].keys[s] != plans[1].keys[s]}
    assert {"text", "labels", "tags", "pseudo_labels", "train", "evaluate"} <= changed
    assert not {"frames", "voxels", "projections", "embeddings", "targets"} & changed
