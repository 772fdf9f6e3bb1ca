"""Preprocessing from an image file to a backbone's input; training, preview and every export share it."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from studio.images.decode import decode

_FILTERS = {"bilinear": Image.Resampling.BILINEAR}
_FITS = ("stretch",)

PerChannel = float | tuple[float, float, float]
"""One number for all channels, or one each for red, green and blue."""


@dataclass(frozen=True)
class Preprocessing:
    """The settings by which images become a network's input.

    resize: resampling filter over the area that a target pixel covers; only "bilinear".
    fit: treatment of the aspect ratio; only "stretch", which does not keep it, as in `retrain.py`.
    mean, scale: pixels, 0-255, enter the network as `(pixel - mean) / scale`; 0 and 1 if the network scales
    them itself.
    """

    width_px: int
    height_px: int
    resize: str = "bilinear"
    fit: str = "stretch"
    mean: PerChannel = 127.0
    scale: PerChannel = 128.0

    def __post_init__(self) -> None:
        if self.resize not in _FILTERS or self.fit not in _FITS:
            raise ValueError(
                f"expected resize in {sorted(_FILTERS)} and fit in {list(_FITS)}; "
                f"got {self.resize!r} and {self.fit!r}"
            )

    @property
    def fingerprint(self) -> str:
        """Cache key of these settings: 16 hexadecimal digits."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:16]

    def read(self, source: Path | bytes, name: str) -> npt.NDArray[np.uint8]:
        """Return a file's pixels: uint8, (height_px, width_px, 3). Raises ImageRefused.

        A large JPEG is decoded at a smaller scale, never under twice the input size, so that the resize
        has enough pixels.
        """
        return self.pixels(decode(source, name, at_least_px=2 * max(self.width_px, self.height_px)))

    def pixels(self, image: Image.Image) -> npt.NDArray[np.uint8]:
        """Return an upright RGB image's pixels: uint8, (height_px, width_px, 3)."""
        resized = image.resize((self.width_px, self.height_px), _FILTERS[self.resize])
        return np.asarray(resized, dtype=np.uint8)

    def scaled(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return pixels, (…, 3), scaled for the network: float32, of the same shape."""
        mean, scale = np.asarray(self.mean, np.float32), np.asarray(self.scale, np.float32)
        return np.asarray((pixels.astype(np.float32) - mean) / scale, np.float32)

    def scaling_layer(self) -> Any:
        """Return a Keras layer that computes the same as `scaled`."""
        import keras

        if (self.mean, self.scale) == (0.0, 1.0):
            return keras.layers.Identity()
        if isinstance(self.mean, tuple) or isinstance(self.scale, tuple):
            mean, scale = np.broadcast_to(self.mean, 3), np.broadcast_to(self.scale, 3)
            return keras.layers.Rescaling((1 / scale).tolist(), offset=(-mean / scale).tolist())
        return keras.layers.Rescaling(1 / self.scale, offset=-self.mean / self.scale)

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Preprocessing":
        """Return the settings that `to_json` returned."""
        given: dict[str, Any] = {
            # A damaged file may hold anything; `dict` raises an error that callers expect.
            name: tuple(value) if isinstance(value, list) else value
            for name, value in dict(values).items()
        }
        return cls(**given)
