"""open_clip's own ResNets with attention pooling: OpenAI's RN50 to RN50x64.

They read images of any size, and have no block that a recipe could take apart.
"""

from open_clip.modified_resnet import ModifiedResNet
from torch import Tensor, nn

from pipeline.clip.tower import unknown


def view(visual: nn.Module) -> "OpenClipResNet | str":
    """The view of an image tower, or in a few words why it cannot be read densely."""
    return OpenClipResNet(visual) if isinstance(visual, ModifiedResNet) else unknown(visual)


class OpenClipResNet:
    """The view of a `ModifiedResNet`."""

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
