"""Weights and tokenizers of tags: saved by hand, in Hugging Face's cache, or downloaded.

Errors about what can be neither found nor downloaded name its address and where to save it.
"""

import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import huggingface_hub
import open_clip
from open_clip.tokenizer import HFTokenizer

from pipeline.clip.weights import CHECKOUT, TOKENIZER, WEIGHTS, local_folder
from pipeline.errors import BadInput

_SECONDS_TO_ANSWER = 10


def tagged_file(model: str, pretrained: str | None, tag: dict[str, Any]) -> Path:
    """The safetensors file of a tag: saved by hand, from Hugging Face's cache, or downloaded."""
    if not tag:
        known = ", ".join(open_clip.list_pretrained_tags_by_model(model)) or "none"
        what = f"`{pretrained}` is neither a tag of this model nor a .safetensors file"
        raise BadInput(model, what, f"its tags are: {known}")
    by_hand = CHECKOUT / "data" / "weights" / f"{model}.{pretrained}.safetensors"
    if by_hand.is_file():
        return by_hand
    repo = "/".join(tag["hf_hub"].split("/")[:2])  # some tags append the name of a pickle
    cached = huggingface_hub.try_to_load_from_cache(repo, WEIGHTS)
    if isinstance(cached, str):
        return Path(cached)
    url = huggingface_hub.hf_hub_url(repo, WEIGHTS)
    try:
        if is_there(url):
            return Path(huggingface_hub.hf_hub_download(repo, WEIGHTS))
    except Exception as error:  # many kinds, from several network packages
        what = (
            f"its weights `{pretrained}` are not here and cannot be fetched ({first_line(error)})"
        )
        raise BadInput(model, what, f"download {url} elsewhere and save it as {by_hand}") from error
    what = f"{repo} offers its weights `{pretrained}` only as a pickle, which can run any code"
    raise BadInput(model, what, f"convert it on a machine that trusts it and save it as {by_hand}")


def is_there(url: str) -> bool:
    """Whether an address answers; fails soon without a network, where the hub waits for minutes."""
    if huggingface_hub.constants.HF_HUB_OFFLINE:
        raise OSError("HF_HUB_OFFLINE is set")
    try:
        request = urllib.request.Request(url, method="HEAD")
        urllib.request.urlopen(request, timeout=_SECONDS_TO_ANSWER).close()
    except urllib.error.HTTPError as error:
        return error.code != 404  # the client interprets other answers
    return True


def hub_tokenizer(model: str, text: dict[str, Any]) -> HFTokenizer:
    """A tokenizer of Hugging Face: beside a local model, saved by hand, cached, or downloaded."""
    by_hand = CHECKOUT / "data" / "weights" / f"{model}.tokenizer"
    repo, source = text["hf_tokenizer_name"], local_folder(model) or by_hand
    if not (source / TOKENIZER[0]).is_file():
        url = huggingface_hub.hf_hub_url(repo, TOKENIZER[0])
        what = "its tokenizer is not here and cannot be fetched"
        remedy = f"save the tokenizer files of https://huggingface.co/{repo} in the folder {source}"
        if local_folder(model):
            raise BadInput(source / TOKENIZER[0], "no such file", remedy)
        if not isinstance(huggingface_hub.try_to_load_from_cache(repo, TOKENIZER[0]), str):
            try:
                is_there(url)
            except Exception as error:
                raise BadInput(model, f"{what} ({first_line(error)})", remedy) from error
    try:
        return HFTokenizer(
            str(source) if (source / TOKENIZER[0]).is_file() else repo,
            context_length=text.get("context_length", 77),
            tokenizer_mode=text.get("tokenizer_mode"),
            **text.get("tokenizer_kwargs", {}),
        )
    except ImportError as error:
        what = "its tokenizer needs the package transformers, which is not installed"
        raise BadInput(model, what, "pip install transformers, or take another model") from error
    except Exception as error:  # many kinds
        what = f"its tokenizer cannot be read ({first_line(error)})"
        raise BadInput(model, what, "fetch its files again") from error


def first_line(error: Exception) -> str:
    """The first line of an error's message, without a full stop."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".:")
