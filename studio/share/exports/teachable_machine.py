"""The export format `teachable-machine`: the files that Teachable Machine exports."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from studio.arrays import Uint8Array
from studio.backbones.conversion import convert
from studio.backbones.interpreter import captured_output, tensorflow
from studio.files import atomic_bytes
from studio.i18n import _
from studio.share.exports.documents import write_labels
from studio.share.exports.export_format import ExportContext, ExportFormat, PredictFunction
from studio.share.exports.keras_model import ModelParts, load_model_parts, probabilities_of

_KERAS, _TFLITE = "keras_model.h5", "model_unquant.tflite"
_SIDE_PX = 224
"""The input size in all of Teachable Machine's snippets."""
_HALF_RANGE = 127.5
"""Pixels are scaled as `pixel / 127.5 - 1` in all of Teachable Machine's snippets."""


def _write(run_dir: Path, output_dir: Path, context: ExportContext) -> None:
    context.progress.report(_("Converting"), 0, None)
    parts = load_model_parts(run_dir)
    model = _build_model(parts)
    _number_weights(model)
    with captured_output():
        model.save(output_dir / _KERAS)
    tflite = convert(_build_model(parts, batch=1))
    with atomic_bytes(output_dir / _TFLITE) as file:
        file.write(tflite)
    write_labels(run_dir, output_dir, numbered=True)


def _build_model(parts: ModelParts, batch: int | None = None) -> Any:
    """Build the Keras model: from float32, (N, 224, 224, 3), -1 to 1, to float32, (N, classes)."""
    import keras

    inputs = keras.Input(batch_shape=(batch, _SIDE_PX, _SIDE_PX, 3), name="input")
    pixels = keras.layers.Rescaling(_HALF_RANGE, offset=_HALF_RANGE, name="pixels")(inputs)
    size = parts.backbone.preprocessing
    if (size.height_px, size.width_px) != (_SIDE_PX, _SIDE_PX):
        pixels = keras.layers.Resizing(size.height_px, size.width_px, name="resized")(pixels)
    return keras.Model(inputs, probabilities_of(parts, pixels), name="teachable_machine")


def _number_weights(model: Any) -> None:
    """Give every weight a unique path, since HDF5 files use paths as keys and joined backbones share some.

    Keras reads the weights back in order, whatever their paths.
    """
    for number, variable in enumerate(model.variables):
        variable._path = f"{number}/{variable.path}"  # Keras has no public setter


def _load_predictor(output_dir: Path) -> PredictFunction:
    tensorflow()
    import keras

    with captured_output():
        model = keras.models.load_model(output_dir / _KERAS, compile=False)

    def predict(pixels: Uint8Array) -> npt.NDArray[np.float32]:
        if pixels.shape[:2] != (_SIDE_PX, _SIDE_PX):
            resized = Image.fromarray(pixels).resize((_SIDE_PX, _SIDE_PX), Image.Resampling.BILINEAR)
            pixels = np.asarray(resized)
        scaled = pixels[np.newaxis].astype(np.float32) / np.float32(_HALF_RANGE) - np.float32(1)
        return np.asarray(model.predict_on_batch(scaled)[0], np.float32)

    return predict


TEACHABLE_MACHINE = ExportFormat(
    "teachable-machine",
    "Teachable Machine",
    _("The files that Teachable Machine exports, for code written for them."),
    _write,
    _(
        """\
`keras_model.h5`, `model_unquant.tflite` and `labels.txt` (`0 $first_label`, ...) have the names, scaling and
numbering of Teachable Machine: 224 x 224 pixels as `pixel / 127.5 - 1`, `float32`. Its snippets work without
changes; this is the one for Keras (`pip install "tensorflow>=2.16" pillow`):

```python
from keras.models import load_model
from PIL import Image, ImageOps
import numpy as np

model = load_model("keras_model.h5", compile=False)
class_names = open("labels.txt", "r", encoding="utf-8").readlines()
data = np.ndarray(shape=(1, 224, 224, 3), dtype=np.float32)
image = Image.open("image.jpg").convert("RGB")
image = ImageOps.fit(image, (224, 224), Image.Resampling.LANCZOS)
data[0] = (np.asarray(image).astype(np.float32) / 127.5) - 1
prediction = model.predict(data)
index = np.argmax(prediction)
print("Class:", class_names[index][2:], "Confidence Score:", prediction[0][index])
```

That snippet crops the centre of an image; the studio resizes the whole image. On images that are far from
square the predictions therefore differ. To predict as the studio does, use
`image.resize((224, 224), Image.Resampling.BILINEAR)` instead of `ImageOps.fit(...)`.
"""
    ),
    _load_predictor,
    max_difference=1e-3,
    input_side_px=_SIDE_PX,
)
