"""The models that links open, kept ready for the next visitor, and how a stranger's image is read."""

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from studio.backbones.interpreter import Engine
from studio.i18n import _
from studio.images.decode import decode
from studio.retrain.confidence import SURENESS
from studio.share.web_demo.web_demo import Demo

_MOST_PIXELS = 50_000_000
"""What a telephone's camera gives, and half of what the owner's own images may have."""
_KEPT = 4


def decode_from_a_stranger(
    image: bytes, *, at_least_px: int | None = None, fitting_px: int | None = None
) -> Image.Image:
    """Return an image as `studio.images.decode.decode` does; fewer pixels are allowed. ImageRefused."""
    name = _("This image")
    return decode(image, name, at_least_px=at_least_px, fitting_px=fitting_px, most_pixels=_MOST_PIXELS)


@dataclass(frozen=True)
class SharedModel:
    """A run's model, as its page shows it and as it answers here. etag: of the model's file, for HTTP."""

    run_dir: Path
    demo: Demo
    engine: Engine
    etag: str

    def answer(self, content: bytes) -> tuple[list[float], float | None]:
        """Return a number for each of the labels, and how strange the image is where the model tells.

        On the very pixels that training would take, and as the file gives them: the page calibrates them as
        it does those of the visitor's browser. Raises ImageRefused.
        """
        size = self.demo.preprocessing
        # As `Preprocessing.read` does it, but for the pixels that a stranger's image may have.
        image = decode_from_a_stranger(content, at_least_px=2 * max(size.width_px, size.height_px))
        probabilities, *more = self.engine.outputs(size.pixels(image))
        return [float(each) for each in probabilities], float(more[0][0]) if more else None


class SharedModels:
    """Opens models as visitors ask for them and keeps the few that were asked last; safe in threads."""

    def __init__(self, runs_dir: Path) -> None:
        self._runs_dir = runs_dir
        self._opened: OrderedDict[tuple[str, int], SharedModel] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, folder: str) -> SharedModel:
        """Return a run's model. Raises ModelUnreadable."""
        run_dir = self._runs_dir / folder
        sureness = run_dir / SURENESS
        # How sure it may be is measured once, perhaps after the first visitor has come.
        key = folder, sureness.stat().st_mtime_ns if sureness.is_file() else 0
        with self._lock:
            found = self._opened.get(key)
            if found is None:
                demo = Demo.of_run(run_dir, folder)
                etag = f'"{hashlib.sha256(demo.model).hexdigest()}"'
                found = self._opened[key] = SharedModel(run_dir, demo, Engine(demo.model), etag)
            self._opened.move_to_end(key)
            while len(self._opened) > _KEPT:
                self._opened.popitem(last=False)
        return found
