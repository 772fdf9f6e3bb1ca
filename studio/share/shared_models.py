"""Models behind share links, in a small cache, and the decoding of visitors' images."""

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from studio.backbones.interpreter import LiteRTInterpreter
from studio.i18n import _
from studio.images.decode import decode
from studio.retrain.confidence import CONFIDENCE_FILE
from studio.share.web_demo.demo_page import Demo

_MAX_PIXELS = 50_000_000
"""Enough for a phone's camera; half of the limit for the owner's own images."""
_MAX_CACHED = 4


def decode_untrusted(
    image: bytes, *, at_least_px: int | None = None, fitting_px: int | None = None
) -> Image.Image:
    """Decode a visitor's image as `studio.images.decode.decode` does, with a lower limit of pixels.

    Raises ImageRefused.
    """
    name = _("This image")
    return decode(image, name, at_least_px=at_least_px, fitting_px=fitting_px, most_pixels=_MAX_PIXELS)


@dataclass(frozen=True)
class SharedModel:
    """A run's model with the content of its page. etag: of the model file, for HTTP."""

    run_dir: Path
    demo: Demo
    interpreter: LiteRTInterpreter
    etag: str

    def predict(self, content: bytes) -> tuple[list[float], float | None]:
        """Return a probability for each label, and the out-of-distribution score if the model has one.

        The pixels are those of training. The probabilities are not calibrated: the page does that, as for
        predictions in the browser. Raises ImageRefused.
        """
        size = self.demo.preprocessing
        # As `Preprocessing.read`, but with the lower limit of pixels.
        image = decode_untrusted(content, at_least_px=2 * max(size.width_px, size.height_px))
        probabilities, *others = self.interpreter.outputs(size.pixels(image))
        return [float(each) for each in probabilities], float(others[0][0]) if others else None


class SharedModelCache:
    """A least-recently-used cache of opened models; thread-safe."""

    def __init__(self, runs_dir: Path) -> None:
        self._runs_dir = runs_dir
        self._opened: OrderedDict[tuple[str, int], SharedModel] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, folder: str) -> SharedModel:
        """Return a run's model. Raises ModelUnreadable."""
        run_dir = self._runs_dir / folder
        confidence_path = run_dir / CONFIDENCE_FILE
        # The thresholds are measured once, possibly after the first visitor, so their time is in the key.
        key = folder, confidence_path.stat().st_mtime_ns if confidence_path.is_file() else 0
        with self._lock:
            model = self._opened.get(key)
            if model is None:
                demo = Demo.from_run(run_dir, folder)
                etag = f'"{hashlib.sha256(demo.model).hexdigest()}"'
                model = self._opened[key] = SharedModel(run_dir, demo, LiteRTInterpreter(demo.model), etag)
            self._opened.move_to_end(key)
            while len(self._opened) > _MAX_CACHED:
                self._opened.popitem(last=False)
        return model
