"""Every recipe against its formula, written out by hand one head and one patch at a time."""

from typing import Any

import numpy as np
import pytest
import torch

from pipeline.clip.dense import dense
from pipeline.clip.recipes import (
    clearclip,
    naclip,
    plain,
    scclip,
    sclip,
    value,
    value_residual,
)
from pipeline.clip.towers import open_clip_vit, timm_vit
from tests.helpers import tiny_clip, tiny_towers

GRID = (3, 5)
PATCHES = 15


def images(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def numpy_of(module: Any) -> dict[str, np.ndarray]:
    return {name: p.detach().double().numpy() for name, p in module.named_parameters()}


class Native:
    """The last steps of open_clip's ViT in numpy, for one image."""

    prefix = 1

    def __init__(self, layer_scale: Any = None, **vision: Any) -> None:
        vision |= {"ls_init_value": layer_scale}
        self.visual = tiny_clip.build(image_size=(24, 40), **vision).visual
        self.view: Any = open_clip_vit.view(self.visual)
        self.blocks = self.visual.transformer.resblocks

    def outputs(self, x: torch.Tensor) -> list[np.ndarray]:
        """Of every block but the last, (1 + h w, width) each."""
        tokens, found = self.visual._embeds(x[None]), []
        for block in self.blocks[:-1]:
            tokens = block(tokens)
            found.append(tokens[0].double().numpy())
        return found

    def qkv(self, x: np.ndarray) -> Any:
        p = numpy_of(self.blocks[-1])
        joint = norm(x, p, "ln_1") @ p["attn.in_proj_weight"].T + p["attn.in_proj_bias"]
        return np.split(joint, 3, axis=1)

    def out(self, mixed: np.ndarray) -> np.ndarray:
        p = numpy_of(self.blocks[-1])
        added = mixed @ p["attn.out_proj.weight"].T + p["attn.out_proj.bias"]
        return added * p.get("ls_1.gamma", 1)

    def mlp(self, x: np.ndarray) -> np.ndarray:
        p, mlp = numpy_of(self.blocks[-1]), self.blocks[-1].mlp
        normed = torch.from_numpy(norm(x, p, "ln_2")).float()
        return mlp(normed).double().numpy() * p.get("ls_2.gamma", 1)

    def head(self, x: np.ndarray) -> np.ndarray:
        p = numpy_of(self.visual)
        return norm(x, p, "ln_post") @ p["proj"]


class SigLIP(Native):
    """The same of timm's ViT with attention pooling and no class token."""

    prefix = 0

    def __init__(self) -> None:
        self.visual: Any = tiny_towers.build("SigLIP").visual
        same = tiny_towers.build("SigLIP").visual
        self.view = timm_vit.view(same)
        self.blocks = self.visual.trunk.blocks

    def outputs(self, x: torch.Tensor) -> list[np.ndarray]:
        tokens, _, blocks = self.view.tokens(x[None])
        found = []
        for block in blocks[:-1]:
            tokens = block(tokens)
            found.append(tokens[0].double().numpy())
        return found

    def qkv(self, x: np.ndarray) -> Any:
        p = numpy_of(self.blocks[-1])
        joint = norm(x, p, "norm1", 1e-6) @ p["attn.qkv.weight"].T + p["attn.qkv.bias"]
        return np.split(joint, 3, axis=1)

    def out(self, mixed: np.ndarray) -> np.ndarray:
        p = numpy_of(self.blocks[-1])
        return mixed @ p["attn.proj.weight"].T + p["attn.proj.bias"]

    def mlp(self, x: np.ndarray) -> np.ndarray:
        normed = norm(x, numpy_of(self.blocks[-1]), "norm2", 1e-6)
        return self.blocks[-1].mlp(torch.from_numpy(normed).float()).double().numpy()

    def head(self, x: np.ndarray) -> np.ndarray:
        p, pool = numpy_of(self.visual.trunk), self.visual.trunk.attn_pool
        normed = norm(x, p, "norm", 1e-6)
        v = normed @ p["attn_pool.kv.weight"][32:].T + p["attn_pool.kv.bias"][32:]
        y = v @ p["attn_pool.proj.weight"].T + p["attn_pool.proj.bias"]
        inner = torch.from_numpy(norm(y, p, "attn_pool.norm", 1e-6)).float()
        return y + pool.mlp(inner).double().numpy()


def norm(x: np.ndarray, p: dict[str, np.ndarray], name: str, eps: float = 1e-5) -> np.ndarray:
    """Layer norm over the last axis."""
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + eps)
    return scaled * p[f"{name}.weight"] + p[f"{name}.bias"]


def softmax(scores: np.ndarray) -> np.ndarray:
    rows = np.exp(scores - scores.max(1, keepdims=True))
    return rows / rows.sum(1, keepdims=True)


def by_head(tower: Any, x: np.ndarray, attention: Any) -> np.ndarray:
    """A v for each head of width 8, A = attention(q, k, s), heads side by side."""
    q, k, v = tower.qkv(x)
    mixed = np.empty_like(v)
    for first in range(0, 32, 8):
        head = slice(first, first + 8)
        mixed[:, head] = attention(q[:, head], k[:, head], 8**-0.5) @ v[:, head]
    return mixed


def value_by_hand(tower: Any, outputs: Any) -> np.ndarray:
    return tower.out(by_head(tower, outputs[-1], lambda q, k, s: np.eye(len(q))))


def clearclip_by_hand(tower: Any, outputs: Any) -> np.ndarray:
    return tower.out(by_head(tower, outputs[-1], lambda q, k, s: softmax(s * q @ q.T)))


def sclip_by_hand(tower: Any, outputs: Any) -> np.ndarray:
    def attention(q: np.ndarray, k: np.ndarray, s: float) -> np.ndarray:
        return softmax(s * q @ q.T) + softmax(s * k @ k.T)

    x = outputs[-1] + tower.out(by_head(tower, outputs[-1], attention))
    return x + tower.mlp(x)


def value_residual_by_hand(tower: Any, outputs: Any) -> np.ndarray:
    x = outputs[-1]
    y = x + tower.out(tower.qkv(x)[2])
    return y + tower.mlp(y)


def naclip_by_hand(tower: Any, outputs: Any) -> np.ndarray:
    near = np.zeros((tower.prefix + PATCHES, tower.prefix + PATCHES))
    for i in range(PATCHES):
        for j in range(PATCHES):
            squared = (i // 5 - j // 5) ** 2 + (i % 5 - j % 5) ** 2
            near[tower.prefix + i, tower.prefix + j] = np.exp(-squared / (2 * 5.0**2))
    return tower.out(by_head(tower, outputs[-1], lambda q, k, s: softmax(s * k @ k.T + near)))


def lof_by_hand(x: np.ndarray, count: int) -> np.ndarray:
    """The local outlier factor of each point, as the paper defines it."""
    n = len(x)
    distance = [[np.linalg.norm(a - b) for b in x] for a in x]
    near = [sorted((j for j in range(n) if j != i), key=distance[i].__getitem__) for i in range(n)]
    near = [others[:count] for others in near]
    k_distance = [distance[i][near[i][-1]] for i in range(n)]
    density = []
    for i in range(n):
        reach = [max(k_distance[j], distance[i][j]) for j in near[i]]
        density.append(len(reach) / sum(reach))
    return np.array([np.mean([density[j] for j in near[i]]) / density[i] for i in range(n)])


def repaired_by_hand(x: np.ndarray, broken: np.ndarray) -> np.ndarray:
    """(15, width) with the broken patches replaced."""
    maps, bad, fixed = x.reshape(3, 5, -1), broken.reshape(3, 5), x.reshape(3, 5, -1).copy()
    for row in range(3):
        for column in range(5):
            around = [
                maps[r, c]
                for r in range(max(0, row - 1), min(3, row + 2))
                for c in range(max(0, column - 1), min(5, column + 2))
                if not bad[r, c]
            ]
            if bad[row, column] and around:
                fixed[row, column] = np.mean(around, axis=0)
    return fixed.reshape(15, -1)


def alike(x: np.ndarray) -> np.ndarray:
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    return unit @ unit.T


def averaged_by_hand(like: np.ndarray, x: np.ndarray) -> np.ndarray:
    mean = np.empty_like(x)
    for i, row in enumerate(like):
        weights = [m if m >= 0.4 else 0.0 for m in row]
        mean[i] = sum(w * other for w, other in zip(weights, x, strict=True)) / sum(weights)
    return mean


def scclip_by_hand(tower: Any, outputs: Any) -> np.ndarray:
    """For a tower of 12 blocks; outputs[n - 1] is F_n, its first row the class token."""
    last = outputs[10]
    factor = lof_by_hand(last[1:], 14)  # there are only 14 other patches
    broken = factor > np.quantile(factor, 0.95)
    assert broken.sum() == 1
    like = alike(repaired_by_hand(outputs[8][1:], broken))
    x = averaged_by_hand(like, repaired_by_hand(last[1:], broken))

    def attention(q: np.ndarray, k: np.ndarray, s: float) -> np.ndarray:
        above = 3 * (like - like.mean())
        by_likeness = softmax(np.where(above < 0, -np.inf, above))
        return (by_likeness + softmax(s * k @ k.T)) / 2

    first = tower.out(by_head(tower, x, attention)) + 0.3 * last[:1]
    summed = sum(outputs[n - 1] for n in range(4, 11))
    second = tower.out(by_head(tower, summed[1:], attention)) + 0.3 * summed[:1]
    after = alike(outputs[3][1:])
    return averaged_by_hand(after, first) + averaged_by_hand(after, second)


def check(tower: Any, recipe: Any, by_hand: Any) -> None:
    x = images(2, 3, 24, 40)
    found = dense(tower.view, x, recipe)
    assert found.shape[:3] == (2, *GRID)
    for image, cells in zip(x, found, strict=True):
        patches = tower.head(by_hand(tower, tower.outputs(image)))[-PATCHES:]
        patches /= np.linalg.norm(patches, axis=1, keepdims=True)
        np.testing.assert_allclose(cells.reshape(PATCHES, -1).numpy(), patches, atol=2e-5)


BY_HAND = {
    value: value_by_hand,
    clearclip: clearclip_by_hand,
    sclip: sclip_by_hand,
    naclip: naclip_by_hand,
    value_residual: value_residual_by_hand,
}


@pytest.mark.parametrize("recipe", BY_HAND, ids=lambda recipe: recipe.__name__.rpartition(".")[2])
@pytest.mark.parametrize(
    "tower", [Native, lambda: Native(0.3), SigLIP], ids=["ViT", "ls", "SigLIP"]
)
def test_a_recipe_is_its_formula(tower: Any, recipe: Any) -> None:
    check(tower(), recipe, BY_HAND[recipe])


@pytest.mark.parametrize("layer_scale", [None, 0.3])
def test_scclip_is_its_formula(layer_scale: Any) -> None:
    check(Native(layer_scale, layers=12), scclip, scclip_by_hand)


def test_every_recipe_is_checked_against_its_formula() -> None:
    assert set(tiny_clip.RECIPES.values()) == {plain, *BY_HAND, scclip}


def test_the_recipes_differ() -> None:
    view, x = tiny_clip.view(), images(1, 3, 32, 32)
    read = [dense(view, x, recipe) for recipe in tiny_clip.RECIPES.values()]
    assert len(read) == 7
    for i, one in enumerate(read):
        for other in read[:i]:
            assert (one - other).abs().max() > 0.01


def test_with_value_a_patch_sees_only_itself() -> None:
    view, x = tiny_clip.view(layers=1), images(2, 3, 24, 40)
    cells = dense(view, x, value)
    x[1, :, 8:16, 24:32] += 1
    changed = (dense(view, x, value) - cells).abs().amax(-1) > 1e-6
    assert changed.nonzero().tolist() == [[1, 1, 3]]


@pytest.mark.parametrize("layers", [1, 2, 3, 24])
def test_scclip_reads_a_tower_of_any_depth(layers: int) -> None:
    view = tiny_clip.view(layers=layers)
    cells = dense(view, images(1, 3, 24, 40), scclip)
    torch.testing.assert_close(cells.norm(dim=-1), torch.ones(1, 3, 5))


def test_scclip_takes_the_blocks_at_the_same_share_of_the_depth() -> None:
    assert [scclip.block_number(n, 12) for n in (4, 9, 10)] == [4, 9, 10]
    assert [scclip.block_number(n, 24) for n in (4, 9, 10)] == [8, 18, 20]


# Outliers


def test_outliers_are_those_of_the_greatest_local_outlier_factor() -> None:
    x = np.random.default_rng([0]).normal(size=(2, 60, 5)).astype(np.float32)
    x[0, 7] += 9
    x[1, 30:] *= 0.1  # a dense cluster beside a loose one
    found = scclip.outliers(torch.from_numpy(x)).numpy()
    assert found.sum(1).tolist() == [3, 3]
    assert found[0, 7]
    for image, marks in zip(x, found, strict=True):
        factor = lof_by_hand(image, 30)
        assert set(np.flatnonzero(marks)) == set(np.argsort(factor)[-3:])


def test_patches_of_one_colour_have_finite_factors() -> None:
    x = torch.zeros(1, 40, 3)
    x[0, 5] = 1
    assert scclip.outliers(x)[0].nonzero().flatten().tolist() == [5]


@pytest.mark.parametrize("size", [8, 16])
def test_an_image_of_a_single_patch_or_few_is_read(size: Any) -> None:
    view = tiny_clip.view()
    assert dense(view, images(1, 3, size, 8), scclip).isfinite().all()


def test_a_broken_patch_among_broken_ones_stays() -> None:
    x = torch.arange(16.0).reshape(1, 16, 1)
    broken = torch.zeros(1, 16, dtype=torch.bool)
    broken[0, [0, 1, 4, 5]] = True
    fixed = scclip.repair(x, broken, (4, 4))[0, :, 0]
    assert fixed[0] == 0  # all its neighbours are broken
    assert fixed[1] == pytest.approx((2 + 6) / 2)
    assert fixed[5] == pytest.approx(np.mean([2, 6, 8, 9, 10]))
    assert torch.equal(fixed[6:], x[0, 6:, 0])


# Precision


@pytest.mark.parametrize("name", tiny_clip.RECIPES)
def test_mixed_precision_reads_nearly_the_same(name: str) -> None:
    view, x = tiny_clip.view(), images(2, 3, 24, 40)
    exact = dense(view, x, tiny_clip.RECIPES[name])
    with torch.autocast("cpu", torch.bfloat16):
        mixed = dense(view, x, tiny_clip.RECIPES[name])
    assert mixed.dtype == torch.float32
    assert (mixed * exact).sum(-1).min() > 0.998
    assert not torch.equal(mixed, exact)
