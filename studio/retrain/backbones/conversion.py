"""From a backbone to a LiteRT file in the data folder: once, and again where the file was damaged."""

import threading
from dataclasses import dataclass
from pathlib import Path

from studio.language import _
from studio.progress import Progress
from studio.retrain.backbones.backbone import Backbone
from studio.retrain.backbones.quantization import quantized
from studio.retrain.backbones.registry import backbone_named
from studio.retrain.litert import converted_on_pixels, keep, kept
from studio.retrain.preprocessing import Preprocessing


@dataclass(frozen=True)
class BackboneFile:
    """A backbone ready to run: uint8 (1, h, w, 3) in, scaling inside, float32 (1, features) out."""

    path: Path
    name: str
    fingerprint: str
    preprocessing: Preprocessing
    features: int


_one_conversion = threading.Lock()


def ready(name: str, backbones_dir: Path, progress: Progress) -> BackboneFile:
    """Return a backbone's LiteRT file, fetching its weights and converting it on first use.

    The file's name ends in its own SHA-256's first 16 digits: a file that does not match its name is
    made anew. Threads that ask at once wait for one conversion. Raises BackboneError, and Stopped while
    weights are fetched.
    """
    backbone = backbone_named(name)
    with _one_conversion:
        path = kept(backbones_dir, _stem(backbone))
        if path is None:
            backbone.fetch(progress)
            # The fingerprint may have been waiting for the weights.
            path = kept(backbones_dir, _stem(backbone)) or keep(
                backbones_dir,
                _stem(backbone),
                lambda: _converted(backbone),
                phase=_("Preparing the backbone"),
                progress=progress,
            )
    return BackboneFile(path, backbone.name, backbone.fingerprint, backbone.preprocessing, backbone.features)


def _stem(backbone: Backbone) -> str:
    return f"{backbone.name}-{backbone.fingerprint}"


def _converted(backbone: Backbone) -> bytes:
    if backbone.quantized:
        return quantized(backbone)
    return converted_on_pixels(backbone.on_pixels, backbone.preprocessing)
