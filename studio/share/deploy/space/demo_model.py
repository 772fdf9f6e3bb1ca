"""A model with its classes, run on one image at a time with LiteRT, Pillow and NumPy.

The preprocessing is that of Retrain Studio, which wrote this folder, so that the predictions are the same.
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

MAX_PIXELS = 50_000_000
register_heif_opener(thumbnails=False)
Image.MAX_IMAGE_PIXELS = MAX_PIXELS


class NotAnImage(Exception):
    """The file cannot be read as an image, or the image is too large."""


@dataclass(frozen=True)
class Prediction:
    """All classes with their probabilities, highest first.

    abstention: why the model is not sure, `unlikely` (low probability) or `strange` (out of distribution);
    empty if it is sure.
    """

    classes: list[tuple[str, float]]
    abstention: str


class DemoModel:
    """The model in a folder; thread-safe."""

    def __init__(self, folder: Path) -> None:
        self.about: dict[str, Any] = json.loads((folder / "demo.json").read_text(encoding="utf-8"))
        self._interpreter = Interpreter(
            model_content=(folder / "model.tflite").read_bytes(), num_threads=os.cpu_count() or 1
        )
        self._interpreter.allocate_tensors()
        self._lock = threading.Lock()

    def predict(self, file: bytes) -> Prediction:
        """Classify an image file. Raises NotAnImage."""
        pixels = self._pixels(self.read_image(file))
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
        ood_score = float(outputs[1][0]) if len(outputs) > 1 else None
        classes = [(self.about["labels"][at], float(probabilities[at])) for at in order]
        return Prediction(classes, self._abstention(best, ood_score))

    def read_image(self, file: bytes) -> Image.Image:
        """Decode an image to RGB, rotated by its EXIF orientation, on white. Raises NotAnImage."""
        size = self.about["preprocessing"]
        at_least_px = 2 * max(size["width_px"], size["height_px"])
        try:
            with Image.open(io.BytesIO(file)) as opened:
                if opened.width * opened.height > MAX_PIXELS:
                    raise NotAnImage(f"{opened.width} x {opened.height} px")
                # Decode a large JPEG at a smaller scale, as for training.
                opened.draft(opened.mode, (at_least_px, at_least_px))
                upright = ImageOps.exif_transpose(opened)
                if not upright.has_transparency_data:
                    return upright.convert("RGB")
                rgba = upright.convert("RGBA")
                white = Image.new("RGB", rgba.size, "white")
                white.paste(rgba, mask=rgba.getchannel("A"))
                return white
        except NotAnImage:
            raise
        except Exception as error:  # the exceptions of decoders have no common base class
            raise NotAnImage(str(error)) from error

    def _pixels(self, image: Image.Image) -> Any:
        size = self.about["preprocessing"]
        resized = image.resize((size["width_px"], size["height_px"]), Image.Resampling.BILINEAR)
        return np.asarray(resized, dtype=np.uint8)

    def _calibrated(self, probabilities: Any) -> Any:
        logarithms = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
        scaled = np.exp((logarithms - logarithms.max()) / self.about["sureness"]["temperature"])
        return scaled / scaled.sum()

    def _abstention(self, best: float, ood_score: float | None) -> str:
        thresholds = self.about["sureness"]
        max_ood_score = thresholds["most_strangeness"]
        if max_ood_score is not None and ood_score is not None and not ood_score <= max_ood_score:
            return "strange"
        return "" if best >= thresholds["least_probability"] else "unlikely"
