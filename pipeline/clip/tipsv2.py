"""TIPSv2 as it is released: its configuration, and its file of weights.

Cao et al., "TIPSv2: Advancing Vision-Language Pretraining with Enhanced Patch-Text Alignment",
CVPR 2026. A folder has `config.json`, in the release's form or in that of transformers, and
`model.safetensors` with both towers.
"""

import json
from typing import Any

from pipeline.clip.fetch import first_line
from pipeline.clip.weights import TIPS_CONFIG, local_folder
from pipeline.errors import BadInput

# By the release's name of an image tower: blocks, heads, and how much wider an MLP is.
_SIZES = {
    "vit_base": (12, 12, 4),
    "vit_large": (24, 16, 4),
    "vit_so400m": (27, 16, 4304 / 1152),
    "vit_giant2": (40, 24, 4),
}


def configuration(model: str) -> Any:
    """The `Tipsv2Config` of transformers for a local model.

    Raises `BadInput` for one that cannot be read.
    """
    folder = local_folder(model)
    assert folder is not None
    path = folder / TIPS_CONFIG
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
        from transformers import Tipsv2Config

        return Tipsv2Config(**(_nested(given) if "vision_fn" in given else given))
    except Exception as error:  # many kinds: what transformers makes of another structure
        what = f"is no configuration of TIPSv2 ({first_line(error)})"
        raise BadInput(path, what, "restore the file") from error


def _nested(given: dict[str, Any]) -> dict[str, Any]:
    """The release's configuration, in which all settings lie flat, as that of transformers."""
    layers, heads, ratio = _SIZES[given["vision_fn"]]
    vision = {
        "hidden_size": given["embed_dim"],
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "mlp_ratio": ratio,
        "image_size": given["img_size"],
        "patch_size": given["patch_size"],
        "layerscale_value": given["init_values"],
        "use_swiglu_ffn": given["ffn_layer"] == "swiglu",
        "num_register_tokens": given["num_register_tokens"],
    }
    text = {
        "hidden_size": given["text_hidden_size"],
        "intermediate_size": given["text_mlp_dim"],
        "num_hidden_layers": given["text_num_layers"],
        "num_attention_heads": given["text_num_heads"],
        "vocab_size": given["vocab_size"],
        "max_position_embeddings": given["max_len"],
    }
    temperature = given["temperature"]
    return {"vision_config": vision, "text_config": text, "temperature_init_value": temperature}
