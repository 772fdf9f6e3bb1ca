"""The pretrained networks: one registry, and their conversion to LiteRT files in the data folder."""

from studio.retrain.backbones.backbone import Backbone, Facts
from studio.retrain.backbones.conversion import BackboneFile, ready
from studio.retrain.backbones.registry import BACKBONES, DEFAULT, backbone_named

__all__ = ["BACKBONES", "DEFAULT", "Backbone", "BackboneFile", "Facts", "backbone_named", "ready"]
