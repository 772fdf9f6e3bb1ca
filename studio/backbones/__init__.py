"""The pretrained networks: one registry, and their conversion to LiteRT files in the data folder."""

from studio.backbones.backbone import Backbone, Facts
from studio.backbones.conversion import BackboneFile, ready
from studio.backbones.registry import BACKBONES, DEFAULT, backbone_named

__all__ = ["BACKBONES", "DEFAULT", "Backbone", "BackboneFile", "Facts", "backbone_named", "ready"]
