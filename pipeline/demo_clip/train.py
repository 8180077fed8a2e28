"""Training of the demo's small open_clip model from scratch, on simulated rooms and captions.

Two losses: (1) CLIP's contrastive loss between crops and captions, with equal captions as
positives; (2) learning from label proportions: the softmax of each patch over the names of the
concepts, averaged over a block of the crop, must match the rendered area shares of that block.
"""

import json
import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from open_clip.model import CLIP
from open_clip.tokenizer import SimpleTokenizer
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from pipeline.demo_clip.captions import TEMPLATES, Words, corpus, phrase
from pipeline.demo_clip.clip_scores import IMAGE_SIZE
from pipeline.demo_clip.merges import learn_merges, write_merges
from pipeline.demo_clip.pairs import SIZE, Pairing, Views
from pipeline.progress import Progress

CROP, PATCH, WIDTH, LAYERS, EMBED = 64, 8, 128, 6, 64
BLOCKS = 4
SCALE = SIZE[0] / IMAGE_SIZE[0]  # pixels of a view per pixel of a crop
CONTEXT = 32
MERGES = "merges.txt.gz"
_SHARE_WEIGHT = 2.0
_CHECKPOINT = 300.0  # seconds


def model_config(vocabulary: int) -> dict:
    """The tower sizes, as open_clip's `model_cfg`."""
    return {
        "embed_dim": EMBED,
        "vision_cfg": {
            "image_size": CROP,
            "patch_size": PATCH,
            "width": WIDTH,
            "head_width": 64,
            "layers": LAYERS,
            "pool_type": "avg",
        },
        "text_cfg": {
            "context_length": CONTEXT,
            "vocab_size": vocabulary,
            "width": 96,
            "heads": 3,
            "layers": 2,
            "tokenizer_kwargs": {"bpe_path": MERGES},
        },
    }


def build(config: dict) -> CLIP:
    """A model of these sizes with fresh weights."""
    return CLIP(config["embed_dim"], config["vision_cfg"], dict(config["text_cfg"]))


def save(model: CLIP, config: dict, out: Path) -> None:
    """Write config and fp16 weights, which open_clip loads as `local-dir:<out>`."""
    preprocess = {"mean": list(OPENAI_DATASET_MEAN), "std": list(OPENAI_DATASET_STD)}
    content = {"model_cfg": config, "preprocess_cfg": preprocess}
    (out / "open_clip_config.json").write_text(json.dumps(content, indent=2) + "\n")
    tensors = {name: t.half().cpu().contiguous() for name, t in model.state_dict().items()}
    save_file(tensors, out / "open_clip_model.safetensors")


def normalised(image: np.ndarray) -> Tensor:
    """Pictures u8 (B, h, w, 3) as input of the model, f32 (B, 3, h, w)."""
    mean, std = torch.tensor(OPENAI_DATASET_MEAN), torch.tensor(OPENAI_DATASET_STD)
    return ((torch.from_numpy(image).float() / 255 - mean) / std).permute(0, 3, 1, 2).contiguous()


def embed(model: CLIP, image: Tensor) -> tuple[Tensor, Tensor]:
    """Normalised embeddings of the crops (B, d) and of their patches (B, n, n, d)."""
    visual = model.visual
    visual.output_tokens = True
    # On a CPU the backward pass of fused attention takes longer than everything else.
    with torch.autocast(image.device.type, torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
        pooled, tokens = visual(image)
    visual.output_tokens = False
    patches = tokens.float() @ visual.proj
    side = math.isqrt(patches.shape[1])
    patches = F.normalize(patches, dim=-1).unflatten(1, (side, side))
    return F.normalize(pooled.float(), dim=-1), patches


def embed_texts(model: CLIP, tokens: Tensor) -> Tensor:
    """Normalised embeddings (B, d) of texts (B, n); padding common to all is cut off."""
    length = int(tokens.argmax(-1).max()) + 1  # the end-of-text token is the highest
    x = model.token_embedding(tokens[:, :length]) + model.positional_embedding[:length]
    x = model.ln_final(model.transformer(x, attn_mask=model.attn_mask[:length, :length]))
    ends = x[torch.arange(len(x)), tokens.argmax(-1)]
    return F.normalize(ends @ model.text_projection, dim=-1)


def contrastive_loss(image: Tensor, text: Tensor, same: Tensor, scale: Tensor) -> Tensor:
    """CLIP's symmetric cross-entropy; `same` bool (B, B) marks the pairs of equal captions."""
    logits = scale * image @ text.T
    target = same.float() / same.sum(1, keepdim=True)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def share_loss(patches: Tensor, text: Tensor, shares: Tensor, scale: Tensor) -> Tensor:
    """Cross-entropy between area shares (B, g, g, K) and the patches' mean class distribution.

    Learning from label proportions: no patch has a label, only the mean over a block is compared.
    `patches` (B, n, n, d), `text` (K, d). The complete crop and its g x g blocks have equal weight.
    """
    b, n, _, _ = patches.shape
    g = shares.shape[1]
    probability = (scale * patches @ text.T).softmax(-1)
    mean = probability.reshape(b, g, n // g, g, n // g, -1).mean((2, 4))
    loss = torch.zeros(())
    for predicted, share in ((mean, shares), (mean.mean((1, 2)), shares.mean((1, 2)))):
        loss = loss - (share * (predicted + 1e-6).log()).sum(-1).mean()
    return loss / 2


def concept_texts(concepts: Sequence[Words], rng: np.random.Generator) -> list[str]:
    """A random description of each concept."""
    return [TEMPLATES[rng.integers(len(TEMPLATES))].format(phrase(c, rng)) for c in concepts]


def train(
    pairing: Pairing, out: Path, steps: int, batch: int, rate: float, seed: int, device: str
) -> CLIP:
    """Train a new model and save it in `out`, every 5 minutes and at the end."""
    out.mkdir(parents=True, exist_ok=True)
    merges = learn_merges(corpus(pairing.views.names))
    write_merges(out / MERGES, merges)
    tokenizer = SimpleTokenizer(str(out / MERGES), context_length=CONTEXT)
    config = model_config(tokenizer.vocab_size)
    torch.manual_seed(seed)
    model = build(config).to(device).train()
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": 0.1},
            {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
        ],
        lr=rate,
        betas=(0.9, 0.98),
    )
    warm = max(1, min(300, steps // 10))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda i: min((i + 1) / warm, 0.5 + 0.5 * math.cos(math.pi * min(1, i / steps))),
    )
    rng = np.random.default_rng([seed, 5])
    saved = time.monotonic()
    with Progress(desc="training", total=steps, unit="step") as bar:
        for _ in range(steps):
            pairs = pairing.draw(rng, batch)
            texts = [*concept_texts(pairing.concepts, rng), *pairs.captions]
            tokens = tokenizer(texts).to(device)
            k = len(pairing.concepts)
            same = (tokens[k:, None] == tokens[None, k:]).all(-1)
            text = embed_texts(model, tokens)
            image, patches = embed(model, normalised(pairs.image).to(device))
            scale = model.logit_scale.exp()
            contrast = contrastive_loss(image, text[k:], same, scale)
            share = share_loss(patches, text[:k], torch.from_numpy(pairs.shares).to(device), scale)
            optimizer.zero_grad()
            (contrast + _SHARE_WEIGHT * share).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                model.logit_scale.clamp_(0, math.log(50))
            bar.update()
            shown = {"contrast": contrast, "share": share, "scale": scale}
            bar.set_postfix({n: f"{v:.2f}" for n, v in shown.items()}, refresh=False)
            if time.monotonic() - saved > _CHECKPOINT:
                save(model, config, out)
                saved = time.monotonic()
    save(model, config, out)
    return model.eval()


def train_from_scratch(
    out: Path, views: Views, steps: int, batch: int, rate: float, seed: int, device: str | None
) -> None:
    """Train on rendered views and save the model in `out`.

    `device` None takes a GPU if there is one.
    """
    pairing = Pairing(views, CROP, BLOCKS, SCALE)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    train(pairing, out, steps, batch, rate, seed, device)
