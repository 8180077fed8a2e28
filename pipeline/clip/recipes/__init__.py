"""Recipes: what the last block of a ViT becomes, so that each patch gets an embedding of its own.

Each module here is a recipe, found by its name. It has `read(inputs: Inputs) -> Tensor`, the last
block's tokens (B, L, width) with the patches last, and `NEEDS`, what it asks of a tower (see
`pipeline.clip.inputs`). In the formulas, x is the input (B, prefix + h w, width) of the last block,
class token first if there is one; q, k, v are those of its attention, per head; s = head_dim^-1/2.
"""

from pathlib import Path

from pipeline.errors import BadInput


def names() -> list[str]:
    """All recipes, in alphabetical order."""
    files = Path(__file__).parent.glob("*.py")
    return sorted(file.stem for file in files if file.stem != "__init__")


def module_name(recipe: str) -> str:
    """The dotted name of a recipe's module; raises `BadInput` where there is no such recipe."""
    if recipe not in names():
        remedy = f"take one of {', '.join(names())}"
        raise BadInput("embeddings", f"there is no recipe {recipe}", remedy)
    return f"{__name__}.{recipe}"
