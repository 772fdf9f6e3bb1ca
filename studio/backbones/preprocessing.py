"""From a file to the pixels a backbone takes: one object that training, preview and every export share."""

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

Channels = float | tuple[float, float, float]
"""One number for all channels, or one each for red, green and blue."""


@dataclass(frozen=True)
class Preprocessing:
    """How images become a network's input.

    resize: the filter, over the area a target pixel covers; "bilinear".
    fit: what happens to the aspect ratio; "stretch" gives it up, as `retrain.py` does.
    mean, scale: inside the network, 0-255, `(pixel - mean) / scale`; 0 and 1 where the network has a scaling
    of its own.
    """

    width_px: int
    height_px: int
    resize: str = "bilinear"
    fit: str = "stretch"
    mean: Channels = 127.0
    scale: Channels = 128.0

    def __post_init__(self) -> None:
        if self.resize not in _FILTERS or self.fit not in _FITS:
            raise ValueError(
                f"expected resize in {sorted(_FILTERS)} and fit in {list(_FITS)}; "
                f"got {self.resize!r} and {self.fit!r}"
            )

    @property
    def fingerprint(self) -> str:
        """The name of these settings in caches: 16 hexadecimal digits."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:16]

    def read(self, source: Path | bytes, name: str) -> npt.NDArray[np.uint8]:
        """Return a file's pixels: uint8, (height_px, width_px, 3). Raises ImageRefused.

        A large JPEG is decoded at a smaller scale, never under twice the input size, so that the resize
        still has more than it needs.
        """
        return self.pixels(decode(source, name, at_least_px=2 * max(self.width_px, self.height_px)))

    def pixels(self, image: Image.Image) -> npt.NDArray[np.uint8]:
        """Return an upright RGB image's pixels: uint8, (height_px, width_px, 3)."""
        resized = image.resize((self.width_px, self.height_px), _FILTERS[self.resize])
        return np.asarray(resized, dtype=np.uint8)

    def scaled(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return pixels, (…, 3), as the network takes them; float32, of the same shape."""
        mean, scale = np.asarray(self.mean, np.float32), np.asarray(self.scale, np.float32)
        return np.asarray((pixels.astype(np.float32) - mean) / scale, np.float32)

    def scaling_layer(self) -> Any:
        """Return the Keras layer that does as `scaled` does, inside of a model."""
        import keras

        if (self.mean, self.scale) == (0.0, 1.0):
            return keras.layers.Identity()
        if isinstance(self.mean, tuple) or isinstance(self.scale, tuple):
            mean, scale = np.broadcast_to(self.mean, 3), np.broadcast_to(self.scale, 3)
            return keras.layers.Rescaling((1 / scale).tolist(), offset=(-mean / scale).tolist())
        return keras.layers.Rescaling(1 / self.scale, offset=-self.mean / self.scale)

    def to_json(self) -> dict[str, Any]:
        """Return plain values for a JSON file."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Preprocessing":
        """Return what `to_json` gave."""
        given: dict[str, Any] = {
            # A damaged file may hold anything: `dict` says so with an error that is expected.
            name: tuple(value) if isinstance(value, list) else value
            for name, value in dict(values).items()
        }
        return cls(**given)
