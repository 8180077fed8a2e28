"""Towers that make a feature map by convolutions: ConvNeXt, FastViT (MobileCLIP), CLIP's ResNets.

They have no position embedding, so they read images of any size, and no block that a recipe could
take apart. Their cells are large: 32 or 64 pixels.
"""

from typing import Any

from open_clip.modified_resnet import ModifiedResNet
from open_clip.timm_model import TimmModel
from torch import Tensor


class ConvTower:
    """The view of a `TimmModel` whose trunk is convolutional and pooled by average."""

    def __init__(self, visual: TimmModel) -> None:
        self._trunk: Any = visual.trunk
        self._projection = visual.head
        side: int = self._trunk.feature_info[-1]["reduction"]
        self.patch = (side, side)

    def cells(self, images: Tensor) -> Tensor:
        """Embeddings (B, h, w, d): the head of the tower at each position of its last map."""
        x = self._trunk.forward_features(images).permute(0, 2, 3, 1)
        alone = x.flatten(0, 2)[:, :, None, None]  # a map of one position
        return self._projection(self._trunk.forward_head(alone)).unflatten(0, x.shape[:3])


class ResNetTower:
    """The view of a `ModifiedResNet`, OpenAI's ResNets with attention pooling."""

    patch = (32, 32)

    def __init__(self, visual: ModifiedResNet) -> None:
        self._visual = visual

    def cells(self, images: Tensor) -> Tensor:
        """Embeddings (B, h, w, d): the value of each position in the attention pooling, c_proj(v).

        Zhou et al., "Extract Free Dense Labels from CLIP" (MaskCLIP), ECCV 2022.
        """
        visual = self._visual
        x = visual.stem(images)
        for layer in (visual.layer1, visual.layer2, visual.layer3, visual.layer4):
            x = layer(x)
        return visual.attnpool.c_proj(visual.attnpool.v_proj(x.permute(0, 2, 3, 1)))
