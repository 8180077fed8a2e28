"""Every damage to a table or a config that is known is refused in one sentence."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import yaml

from pipeline.errors import BadInput
from pipeline.plan import config
from tests.helpers.tiny_checkout import Checkout
from tests.other_files import class_tables, config_values, scene_tags

DAMAGES: dict[str, Callable[[Path], None]] = {
    **{
        f"{kind}: {name}": partial(class_tables.damaged, kind=kind, name=name, end="\n")
        for kind, names in class_tables.DAMAGE.items()
        for name in names
    },
    **{f"tags: {n}": partial(scene_tags.damaged, name=n) for n in scene_tags.DAMAGE},
    **{n: partial(config_values.bad, text=t) for n, t in config_values.TEXTS.items()},
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damage_is_told_in_one_sentence(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as told:
        DAMAGES[name](tmp_path)
    sentence = str(told.value)
    assert str(tmp_path) in sentence
    assert "\n" not in sentence
    assert len(sentence) < 500


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("querry: chair", "did you mean `query`"),
        ("wrok: mine", "did you mean `work`"),
        ("predict: {querry: chair}", "querry"),
    ],
)
def test_an_unknown_key_is_named_with_the_one_that_it_may_mean(
    text: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"{config_values.START}{text}\n")
    with pytest.raises(BadInput, match=said):
        config.load(path)


def test_the_shell_runs_nothing_that_the_name_of_a_folder_says(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path / "checkout")
    settings = yaml.safe_load(checkout.config.read_text()) | {"work": "my work $(touch ran)"}
    checkout.config.write_text(yaml.safe_dump(settings))
    done = checkout.snakemake("--until", "scannet_tags", cores=1)
    assert done.returncode == 0, done.stderr
    assert not (checkout.folder / "ran").exists()
    assert [*(checkout.folder / settings["work"]).rglob("scannet/tags/*/*.zarr.zip")]
