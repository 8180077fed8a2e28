"""Dense reading of a tower by a recipe: one embedding for each patch, in the space of the texts."""

from types import ModuleType

from torch import Tensor
from torch.nn import functional as F

from pipeline.clip.inputs import Inputs, Needs
from pipeline.clip.tower import Tower, Vit


def obstacle(tower: Tower, recipe: ModuleType) -> str | None:
    """Why the tower cannot be read by the recipe, in a few words; None if it can."""
    needs: Needs = recipe.NEEDS
    if needs == Needs():
        return None
    if not isinstance(tower, Vit):
        return "its image tower has no attention between patches"
    if needs.blocks and not tower.comes_apart:
        return "its blocks are of a kind that is read as a whole only"
    if needs.class_token and not tower.has_class_token:
        return "its image tower has no class token"
    return None


def dense(tower: Tower, images: Tensor, recipe: ModuleType, second: Tower | None = None) -> Tensor:
    """L2-normalised patch embeddings (B, h, w, d) f32 of normalised images (B, 3, h p, w p)."""
    if not isinstance(tower, Vit):  # a map of cells has no blocks for a recipe to change
        return F.normalize(tower.cells(images).float(), dim=-1)
    tokens, grid = read_tokens(tower, images, recipe, second)
    return F.normalize(tokens[:, -grid[0] * grid[1] :].float(), dim=-1).unflatten(1, grid)


def read_tokens(
    tower: Vit, images: Tensor, recipe: ModuleType, second: Tower | None = None
) -> tuple[Tensor, tuple[int, int]]:
    """The tokens (B, L, d) that a recipe gives, patches last, not normalised; the grid (h, w)."""
    x, grid, blocks = tower.tokens(images)
    image = images if recipe.NEEDS.image else None
    return tower.head(recipe.read(Inputs(x, grid, blocks, tower.prefix, image, second))), grid
