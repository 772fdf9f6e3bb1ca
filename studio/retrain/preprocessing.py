"""From a file to the pixels a backbone takes: one object that training, preview and every export share."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from studio.collect.decode import decode

_FILTERS = {"bilinear": Image.Resampling.BILINEAR}
_FITS = ("stretch",)


@dataclass(frozen=True)
class Preprocessing:
    """How pictures become a network's input.

    resize: the filter, over the area a target pixel covers; "bilinear".
    fit: what happens to the aspect ratio; "stretch" gives it up, as `retrain.py` does.
    mean, scale: inside the network, 0-255, `(pixel - mean) / scale`.
    """

    width_px: int
    height_px: int
    resize: str = "bilinear"
    fit: str = "stretch"
    mean: float = 127.0
    scale: float = 128.0

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
        """Return a file's pixels: uint8, (height_px, width_px, 3). Raises PictureRefused.

        A large JPEG is decoded at a smaller scale, never under twice the input size, so that the resize
        still has more than it needs.
        """
        return self.pixels(decode(source, name, at_least_px=2 * max(self.width_px, self.height_px)))

    def pixels(self, image: Image.Image) -> npt.NDArray[np.uint8]:
        """Return an upright RGB image's pixels: uint8, (height_px, width_px, 3)."""
        resized = image.resize((self.width_px, self.height_px), _FILTERS[self.resize])
        return np.asarray(resized, dtype=np.uint8)

    def to_json(self) -> dict[str, Any]:
        """Return plain values for a JSON file."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Preprocessing":
        """Return what `to_json` gave."""
        return cls(**values)
