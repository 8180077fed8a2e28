"""The image towers of open_clip, seen alike: patches go in, one embedding for each comes out.

A patch is embedded as the tower would embed an image of which its pooling saw this patch alone: the
head of the tower is applied to every position. `of` gives the view of a tower, or says why not.
"""

from open_clip.modified_resnet import ModifiedResNet
from open_clip.timm_model import TimmModel
from open_clip.transformer import VisionTransformer
from timm.models.convnext import ConvNeXt
from timm.models.eva import Eva
from timm.models.fastvit import FastVit
from timm.models.vision_transformer import VisionTransformer as TimmVisionTransformer
from torch import nn

from pipeline.clip.towers.maps import ConvTower, ResNetTower
from pipeline.clip.towers.native import NativeVit
from pipeline.clip.towers.timm_vit import TimmVit

Vit = NativeVit | TimmVit
Tower = Vit | ConvTower | ResNetTower


def of(visual: nn.Module) -> Tower | str:
    """The view of an open_clip image tower; a few words on why not if it cannot be read densely."""
    if isinstance(visual, VisionTransformer):
        if visual.attn_pool is not None and visual.attn_pool_contrastive is not None:
            return "its image tower pools twice by attention"
        return NativeVit(visual)
    if isinstance(visual, ModifiedResNet):
        return ResNetTower(visual)
    if isinstance(visual, TimmModel):
        if hasattr(visual.head, "pool"):
            return "its image tower pools by an attention that is bound to one image size"
        if isinstance(visual.trunk, TimmVisionTransformer | Eva):
            return TimmVit(visual)
        if isinstance(visual.trunk, ConvNeXt | FastVit):
            return ConvTower(visual)
    kind = type(getattr(visual, "trunk", visual)).__name__
    return f"no way is known to read its image tower, a {kind}, at any image size"
