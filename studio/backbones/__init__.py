"""Pretrained networks: the registry of backbones and their conversion to LiteRT files in the data folder."""

from studio.backbones.backbone import Backbone, BackboneInfo
from studio.backbones.conversion import BackboneFile, prepare_backbone
from studio.backbones.registry import BACKBONES, DEFAULT, get_backbone

__all__ = [
    "BACKBONES",
    "DEFAULT",
    "Backbone",
    "BackboneFile",
    "BackboneInfo",
    "get_backbone",
    "prepare_backbone",
]
