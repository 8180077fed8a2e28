"""The modules that a parameter chooses: found by name, cheaply, and alone in the key."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import timm

from pipeline.clip import families, recipes
from pipeline.errors import BadInput
from pipeline.plan import provenance
from pipeline.stages import parts
from tests.helpers import tiny_clip, tiny_towers

ROOT = Path(__file__).parents[1]


def section(**embeddings: Any) -> dict[str, Any]:
    return {"embeddings": {"model": "ViT-B-16", "recipe": "plain"} | embeddings}


def code_of(**embeddings: Any) -> set[str]:
    """The modules in the key of the stage `embeddings`."""
    chosen = parts.part_names("embeddings", section(**embeddings)).values()
    return set().union(*map(provenance.closure, ["pipeline.stages.embeddings", *chosen]))


def printed(code: str, folder: Path = ROOT) -> str:
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return ran.stdout.strip()


# What is in a key


@pytest.mark.parametrize("recipe", recipes.names())
def test_only_the_recipe_that_is_used_is_in_the_key(recipe: str) -> None:
    package = "pipeline.clip.recipes"
    found = {name for name in code_of(recipe=recipe) if name.startswith(package)}
    assert found == {f"{package}.{recipe}"}


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("ViT-B-16", "open_clip_vit"),
        ("RN50", "open_clip_resnet"),
        ("ViT-B-16-SigLIP2", "timm_vit"),
        ("convnext_base_w", "timm_convnet"),
        ("MobileCLIP2-S3", "timm_convnet"),
        ("MobileCLIP2-B", "timm_vit"),
    ],
)
def test_only_the_family_that_is_used_is_in_the_key(model: str, family: str) -> None:
    package = "pipeline.clip.towers"
    found = {name for name in code_of(model=model) if name.startswith(package)}
    assert found == {package, f"{package}.{family}"}


def test_image_regions_are_in_the_key_where_they_are_asked_for() -> None:
    assert "pipeline.clip.regions" not in code_of()
    assert "pipeline.clip.regions" in code_of(regions={"scale": 100, "smallest": 50})


KEYS = """
from pipeline.plan import provenance
from pipeline.stages import parts
for stage, section in {cases}:
    modules = [f"pipeline.stages.{{stage}}", *parts.part_names(stage, section).values()]
    print(provenance.key(provenance.recipe(stage, modules, {{}})))
"""


def keys(checkout: Path, *cases: tuple[str, dict[str, Any]]) -> list[str]:
    return printed(KEYS.format(cases=list(cases)), checkout).split()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "pipeline", tmp_path / "pipeline", ignore=ignored)
    return tmp_path


def test_an_edit_of_a_recipe_changes_the_keys_of_what_it_read_and_no_others(
    checkout: Path,
) -> None:
    cases = [("embeddings", section(recipe=recipe)) for recipe in recipes.names()]
    before = dict(zip(recipes.names(), keys(checkout, *cases), strict=True))
    path = checkout / "pipeline" / "clip" / "recipes" / "naclip.py"
    path.write_text(path.read_text() + "\n_MORE = 1\n")
    after = dict(zip(recipes.names(), keys(checkout, *cases), strict=True))
    assert {name for name in before if before[name] != after[name]} == {"naclip"}


@pytest.mark.parametrize("folder", ["clip/recipes", "clip/towers", "grids/codecs"])
def test_a_new_recipe_family_or_codec_changes_no_key(checkout: Path, folder: str) -> None:
    cases = [(stage, section()) for stage in ("embeddings", "text", "targets")]
    before = keys(checkout, *cases)
    (checkout / "pipeline" / folder / "newest.py").write_text("ANYTHING = 1\n")
    assert keys(checkout, *cases) == before


def test_only_the_codec_that_is_used_is_in_the_keys_of_writer_and_reader() -> None:
    for stage in ("embeddings", "targets"):
        chosen = parts.part_names(stage, section(codec="int8")).values()
        found = set().union(*map(provenance.closure, [f"pipeline.stages.{stage}", *chosen]))
        package = "pipeline.grids.codecs"
        assert {name for name in found if name.startswith(package)} == {f"{package}.int8"}


# How modules are found


def test_recipes_and_families_are_found_without_torch() -> None:
    code = (
        "import sys; from pipeline.stages import parts;"
        "print([*parts.part_names('embeddings', {'embeddings': {'model': 'ViT-B-16'}}).values()]);"
        "print({'torch', 'open_clip', 'timm'} & set(sys.modules))"
    )
    expected = [
        "pipeline.grids.codecs.fp16",
        "pipeline.clip.recipes.naclip",
        "pipeline.clip.towers.open_clip_vit",
    ]
    assert printed(code).splitlines() == [str(expected), "set()"]


@pytest.mark.parametrize("stage", ["embeddings", "text", "targets"])
def test_a_stage_is_imported_without_torch(stage: str) -> None:
    code = f"import sys, pipeline.stages.{stage};print({{'torch', 'open_clip'}} & set(sys.modules))"
    assert printed(code) == "set()"


def test_a_recipe_or_codec_that_does_not_exist_is_refused() -> None:
    with pytest.raises(BadInput, match="there is no recipe magic; take one of clearclip, naclip"):
        parts.part_names("embeddings", section(recipe="magic"))
    with pytest.raises(BadInput, match="there is no codec fp8; take one of fp16, int8, low_rank"):
        parts.part_names("embeddings", section(codec="fp8"))


@pytest.mark.parametrize("kind", ["convnext", "fastvit"])
def test_all_convolutional_towers_of_timm_are_told_from_others_by_their_names(
    kind: str, tmp_path: Path
) -> None:
    listed = timm.list_models(module=kind)
    assert len(listed) > 10
    for name in listed:
        folder = tmp_path / name
        folder.mkdir()
        vision = {"vision_cfg": {"timm_model_name": name}}
        (folder / "open_clip_config.json").write_text(str(vision).replace("'", '"'))
        assert families.family(f"local-dir:{folder}") == "timm_convnet"


@pytest.mark.parametrize("family", tiny_towers.FAMILIES)
def test_a_model_in_a_folder_belongs_to_the_family_that_views_it(
    family: str, tmp_path: Path
) -> None:
    cfg = {"embed_dim": tiny_towers.width(family), **tiny_towers.FAMILIES[family]}
    model = tiny_clip.write(tmp_path, **cfg)
    assert tiny_clip.family(model) is tiny_towers.module(family)


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ("ViT-B-17", "is no model of open_clip; take one of open_clip.list_models()"),
        ("hf-hub:some/model", "is no model of open_clip"),
        ("../ViT-B-16", "is no model of open_clip"),
        ("local-dir:nowhere", "open_clip_config.json: no such file"),
    ],
)
def test_a_model_without_a_configuration_is_refused(model: str, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        families.family(model)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"vision_cfg": 3}'])
def test_a_configuration_that_cannot_be_read_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "open_clip_config.json").write_text(content)
    with pytest.raises(BadInput, match="has no configuration that open_clip reads; restore its"):
        families.family(f"local-dir:{tmp_path}")


def test_a_plan_can_be_made_on_a_machine_without_the_local_model() -> None:
    there = parts.part_names("embeddings", section(model="local-dir:nowhere"), needed=False)
    assert list(there.values()) == ["pipeline.grids.codecs.fp16", "pipeline.clip.recipes.plain"]
    with pytest.raises(BadInput, match="no such file"):
        parts.load_parts("embeddings", section(model="local-dir:nowhere"))
