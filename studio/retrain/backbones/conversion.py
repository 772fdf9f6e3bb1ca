"""From a backbone to a LiteRT file in the data folder: once, and again where the file was damaged."""

import hashlib
import threading
from dataclasses import dataclass
from pathlib import Path

from studio.atomic import atomic_bytes
from studio.language import _
from studio.progress import Progress
from studio.retrain.backbones.backbone import Backbone
from studio.retrain.backbones.quantization import quantized
from studio.retrain.backbones.registry import backbone_named
from studio.retrain.litert import converted
from studio.retrain.preprocessing import Preprocessing
from studio.retrain.quiet import tensorflow


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
        path = _found(backbone, backbones_dir)
        if path is None:
            backbone.fetch(progress)
            # The fingerprint may have been waiting for the weights.
            path = _found(backbone, backbones_dir) or _made(backbone, backbones_dir, progress)
    return BackboneFile(path, backbone.name, backbone.fingerprint, backbone.preprocessing, backbone.features)


def _found(backbone: Backbone, backbones_dir: Path) -> Path | None:
    files = sorted(backbones_dir.glob(f"{_stem(backbone)}-*.tflite"))
    return next((file for file in files if _whole(file)), None)


def _made(backbone: Backbone, backbones_dir: Path, progress: Progress) -> Path:
    phase = _("Preparing the backbone")
    progress.report(phase, 0, 1)
    content = quantized(backbone) if backbone.quantized else _converted(backbone)
    path = backbones_dir / f"{_stem(backbone)}-{hashlib.sha256(content).hexdigest()[:16]}.tflite"
    with atomic_bytes(path) as file:
        file.write(content)
    progress.report(phase, 1, 1)
    return path


def _stem(backbone: Backbone) -> str:
    return f"{backbone.name}-{backbone.fingerprint}"


def _whole(path: Path) -> bool:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] == path.stem.rpartition("-")[2]


def _converted(backbone: Backbone) -> bytes:
    tensorflow()
    import keras

    preprocessing = backbone.preprocessing
    # A static batch of one: LiteRT.js refuses a file whose batch is open.
    shape = (1, preprocessing.height_px, preprocessing.width_px, 3)
    pixels = keras.Input(batch_shape=shape, dtype="uint8", name="input")
    return converted(keras.Model(pixels, backbone.on_pixels(pixels)))
