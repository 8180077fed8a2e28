"""Where the weights of a CLIP model are on this machine, found without loading torch.

`model` is a name of open_clip (`ViT-B-16-quickgelu`) with `pretrained` a tag (`openai`) or a local
safetensors file, or `local-dir:<folder>`, a folder with `open_clip_config.json`,
`open_clip_model.safetensors` and the files of its tokenizer if it has its own, or with TIPSv2 as
it is released: `config.json`, `model.safetensors` and `tokenizer.model`. Relative paths are of the
checkout, so that a configuration means the same from any working directory.
"""

import json
from pathlib import Path

from pipeline.errors import BadInput

CHECKOUT = Path(__file__).resolve().parents[2]
WEIGHTS = "open_clip_model.safetensors"
CONFIG = "open_clip_config.json"
TIPS_WEIGHTS, TIPS_CONFIG = "model.safetensors", "config.json"
TIPS_TOKENIZER = ("tokenizer.model", "tokenizer.json")  # one of them is needed
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")  # of the hub
_LOCAL = "local-dir:"


def local_folder(model: str) -> Path | None:
    """The folder of a `local-dir:` model, None for a name of open_clip."""
    return CHECKOUT / model.removeprefix(_LOCAL) if model.startswith(_LOCAL) else None


def is_tipsv2(folder: Path) -> bool:
    """Whether a folder has the configuration of TIPSv2 as it is released."""
    if (folder / CONFIG).is_file():
        return False
    try:
        config = json.loads((folder / TIPS_CONFIG).read_text(encoding="utf-8"))
        return bool(config["model_type"] == "tipsv2")
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return False


def local_file(model: str, pretrained: str | None) -> Path | None:
    """The safetensors file that is to be loaded; None if `pretrained` is a tag to be looked up.

    Raises `BadInput` where nothing, a missing file or a pickle is named.
    """
    folder = local_folder(model)
    if folder:
        name = TIPS_WEIGHTS if is_tipsv2(folder) else WEIGHTS
        return _existing(folder / name, f"make or copy it there, or change `model: {model}`")
    if not pretrained:
        raise BadInput(model, "no weights are named", "give `pretrained` a tag or a file")
    if Path(pretrained).suffix in (".pt", ".pth", ".bin", ".ckpt", ".npz", ".npy"):
        raise BadInput(
            pretrained,
            "only safetensors are read, because a pickle can run any code",
            "convert it once on a machine that trusts it and name the .safetensors file",
        )
    if Path(pretrained).suffix == ".safetensors":
        return _existing(CHECKOUT / pretrained, "put it there, or change `pretrained`")
    return None


def config_file(folder: Path) -> Path:
    """The description of a `local-dir:` model. Raises `BadInput` where it is missing."""
    name = TIPS_CONFIG if is_tipsv2(folder) else CONFIG
    return _existing(folder / name, "a local-dir: model needs it beside its weights")


def merges_file(folder: Path) -> Path | None:
    """The byte-pair merges of a `local-dir:` model's own tokenizer; None if it uses open_clip's.

    open_clip would look for a relative `bpe_path` in the working directory, not in the folder.
    """
    path = config_file(folder)
    try:
        text = json.loads(path.read_text(encoding="utf-8"))["model_cfg"]["text_cfg"]
        name = (text.get("tokenizer_kwargs") or {}).get("bpe_path")
        return _existing(folder / name, "the tokenizer needs it") if name else None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise BadInput(path, "is not a configuration of open_clip", "restore the file") from error


def local_files(model: str, pretrained: str | None) -> list[Path]:
    """All local files that determine the model, for a key: none of them if the weights are a tag.

    Raises `BadInput` where one of them is missing.
    """
    weights, folder = local_file(model, pretrained), local_folder(model)
    files = [weights]
    if folder and is_tipsv2(folder):
        files += [config_file(folder), *_tips_tokenizer(folder)]
    elif folder:
        tokenizer = (folder / name for name in TOKENIZER)
        files += [config_file(folder), merges_file(folder), *filter(Path.is_file, tokenizer)]
    return [path for path in files if path]


def _tips_tokenizer(folder: Path) -> list[Path]:
    names = dict.fromkeys([*TIPS_TOKENIZER, *TOKENIZER])
    found = [folder / name for name in names if (folder / name).is_file()]
    if not any(path.name in TIPS_TOKENIZER for path in found):
        remedy = "save the tokenizer there that TIPSv2 is released with"
        raise BadInput(folder / TIPS_TOKENIZER[0], "no such file", remedy)
    return found


def _existing(path: Path, remedy: str) -> Path:
    if not path.is_file():
        raise BadInput(path, "no such file", remedy)
    return path
