"""timm's convolutional towers as open_clip uses them: ConvNeXt, and FastViT (MobileCLIP).

They have no position embedding, so they read images of any size, and no block that a recipe could
take apart. Their cells are large: 32 or 64 pixels.
"""

from typing import Any

from timm.models.convnext import ConvNeXt
from timm.models.fastvit import FastVit
from torch import Tensor, nn

from pipeline.clip.tower import timm_obstacle


def view(visual: nn.Module) -> "TimmConvnet | str":
    """The view of an image tower, or in a few words why it cannot be read densely."""
    return timm_obstacle(visual, ConvNeXt, FastVit) or TimmConvnet(visual)


class TimmConvnet:
    """The view of a `TimmModel` whose trunk is convolutional and pooled by average."""

    def __init__(self, visual: Any) -> None:
        self._trunk = visual.trunk
        self._projection = visual.head
        side: int = self._trunk.feature_info[-1]["reduction"]
        self.patch = (side, side)

    def cells(self, images: Tensor) -> Tensor:
        """Embeddings (B, h, w, d): the head of the tower at each position of its last map."""
        x = self._trunk.forward_features(images).permute(0, 2, 3, 1)
        alone = x.flatten(0, 2)[:, :, None, None]  # a map of one position
        return self._projection(self._trunk.forward_head(alone)).unflatten(0, x.shape[:3])
