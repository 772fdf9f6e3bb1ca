"""Teachable Machine's layout, so that the snippets which its users have go on working with this model."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from studio.arrays import Uint8Array
from studio.backbones.conversion import converted
from studio.backbones.interpreter import captured_output, tensorflow
from studio.files import atomic_bytes
from studio.i18n import _
from studio.share.exports.documents import write_labels
from studio.share.exports.format import Answer, Context, Format
from studio.share.exports.keras_model import answers_of, parts_of

_KERAS, _LITE = "keras_model.h5", "model_unquant.tflite"
_SIDE_PX = 224
"""In each of its snippets."""
_HALF = 127.5
"""`pixel / 127.5 - 1`, in each of its snippets."""


def _write(run_dir: Path, output_dir: Path, context: Context) -> None:
    context.progress.report(_("Converting"), 0, None)
    parts = parts_of(run_dir)
    model = _model(parts)
    _tell_apart(model)
    with captured_output():
        model.save(output_dir / _KERAS)
    lite = converted(_model(parts, batch=1))
    with atomic_bytes(output_dir / _LITE) as file:
        file.write(lite)
    write_labels(run_dir, output_dir, numbered=True)


def _model(parts: Any, batch: int | None = None) -> Any:
    """Return the Keras model: float32, (N, 224, 224, 3), -1 to 1, in; float32, (N, classes) out."""
    import keras

    taken = keras.Input(batch_shape=(batch, _SIDE_PX, _SIDE_PX, 3), name="input")
    pixels = keras.layers.Rescaling(_HALF, offset=_HALF, name="pixels")(taken)
    size = parts.backbone.preprocessing
    if (size.height_px, size.width_px) != (_SIDE_PX, _SIDE_PX):
        pixels = keras.layers.Resizing(size.height_px, size.width_px, name="resized")(pixels)
    return keras.Model(taken, answers_of(parts, pixels), name="teachable_machine")


def _tell_apart(model: Any) -> None:
    """Give every weight a path of its own: HDF5 files them so, and networks side by side share theirs.

    They are read back in their order, whatever they are called.
    """
    for number, variable in enumerate(model.variables):
        variable._path = f"{number}/{variable.path}"  # Keras has no public way


def _opened(output_dir: Path) -> Answer:
    tensorflow()
    import keras

    with captured_output():
        model = keras.models.load_model(output_dir / _KERAS, compile=False)

    def answer(pixels: Uint8Array) -> npt.NDArray[np.float32]:
        if pixels.shape[:2] != (_SIDE_PX, _SIDE_PX):
            resized = Image.fromarray(pixels).resize((_SIDE_PX, _SIDE_PX), Image.Resampling.BILINEAR)
            pixels = np.asarray(resized)
        scaled = pixels[np.newaxis].astype(np.float32) / np.float32(_HALF) - np.float32(1)
        return np.asarray(model.predict_on_batch(scaled)[0], np.float32)

    return answer


TEACHABLE_MACHINE = Format(
    "teachable-machine",
    "Teachable Machine",
    _("The files that Teachable Machine gives, for code that was written for it."),
    _write,
    _(
        """\
`keras_model.h5`, `model_unquant.tflite` and `labels.txt` (`0 $first_label`, ...) are named, scaled and
numbered as Teachable Machine does it: 224 x 224 pixels as `pixel / 127.5 - 1`, `float32`. Its snippets need
no change; this is the one for Keras (`pip install "tensorflow>=2.16" pillow`):

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

That snippet cuts the middle out of an image; the studio sees all of it, squeezed. On images that are far
from square the two therefore differ. `image.resize((224, 224), Image.Resampling.BILINEAR)` in place of
`ImageOps.fit(...)` answers as the studio does.
"""
    ),
    _opened,
    near=1e-3,
    side_px=_SIDE_PX,
)
