"""A model with its classes, asked on one image at a time, with LiteRT, Pillow and NumPy.

It answers as Retrain Studio does, which wrote this folder: it makes of an image the very pixels that the
model was trained on.
"""

import io
import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image, ImageOps
from pillow_heif import register_heif_opener

MOST_PIXELS = 50_000_000
register_heif_opener(thumbnails=False)
Image.MAX_IMAGE_PIXELS = MOST_PIXELS


class NotAImage(Exception):
    """What came cannot be read as an image, or is too large to be."""


@dataclass(frozen=True)
class Answer:
    """Every class with its probability, likeliest first.

    doubt: `unlikely` or `strange`; empty where it is sure.
    """

    classes: list[tuple[str, float]]
    doubt: str


class DemoModel:
    """The model in a folder, ready to answer; safe in threads."""

    def __init__(self, folder: Path) -> None:
        self.about: dict[str, Any] = json.loads((folder / "demo.json").read_text(encoding="utf-8"))
        self._interpreter = Interpreter(
            model_content=(folder / "model.tflite").read_bytes(), num_threads=os.cpu_count() or 1
        )
        self._interpreter.allocate_tensors()
        self._lock = threading.Lock()

    def answer(self, file: bytes) -> Answer:
        """Say what an image's file shows. Raises NotAImage."""
        pixels = self._pixels(self.image(file))
        with self._lock:
            self._interpreter.set_tensor(
                self._interpreter.get_input_details()[0]["index"], pixels[np.newaxis]
            )
            self._interpreter.invoke()
            outputs = [
                self._interpreter.get_tensor(each["index"])[0]
                for each in self._interpreter.get_output_details()
            ]
        probabilities = self._calibrated(outputs[0])
        order = np.argsort(-probabilities, kind="stable")
        best = float(probabilities[order[0]])
        strangeness = float(outputs[1][0]) if len(outputs) > 1 else None
        classes = [(self.about["labels"][at], float(probabilities[at])) for at in order]
        return Answer(classes, self._doubt(best, strangeness))

    def image(self, file: bytes) -> Image.Image:
        """Return a file's image, upright, red, green and blue, on white. Raises NotAImage."""
        size = self.about["preprocessing"]
        at_least_px = 2 * max(size["width_px"], size["height_px"])
        try:
            with Image.open(io.BytesIO(file)) as opened:
                if opened.width * opened.height > MOST_PIXELS:
                    raise NotAImage(f"{opened.width} x {opened.height} px")
                # A large JPEG is decoded at a smaller scale, as it was for training.
                opened.draft(opened.mode, (at_least_px, at_least_px))
                upright = ImageOps.exif_transpose(opened)
                if not upright.has_transparency_data:
                    return upright.convert("RGB")
                rgba = upright.convert("RGBA")
                white = Image.new("RGB", rgba.size, "white")
                white.paste(rgba, mask=rgba.getchannel("A"))
                return white
        except NotAImage:
            raise
        except Exception as error:  # what decoders raise on bad bytes has no common ancestor
            raise NotAImage(str(error)) from error

    def _pixels(self, image: Image.Image) -> Any:
        size = self.about["preprocessing"]
        resized = image.resize((size["width_px"], size["height_px"]), Image.Resampling.BILINEAR)
        return np.asarray(resized, dtype=np.uint8)

    def _calibrated(self, probabilities: Any) -> Any:
        logarithms = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
        raised = np.exp((logarithms - logarithms.max()) / self.about["sureness"]["temperature"])
        return raised / raised.sum()

    def _doubt(self, best: float, strangeness: float | None) -> str:
        sureness = self.about["sureness"]
        most = sureness["most_strangeness"]
        if most is not None and strangeness is not None and not strangeness <= most:
            return "strange"
        return "" if best >= sureness["least_probability"] else "unlikely"
