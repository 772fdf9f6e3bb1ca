"""The forms that TensorFlow and Keras open by themselves: `.keras`, and a SavedModel for servers."""

from pathlib import Path

import numpy as np

from studio.backbones.interpreter import captured_output, tensorflow
from studio.i18n import _
from studio.share.exports.documents import write_labels
from studio.share.exports.format import Answer, Context, Format
from studio.share.exports.keras_model import keras_model
from studio.share.frozen_graph import FINAL, INPUT

_KERAS = "model.keras"
_SAVED = Path("saved_model") / "1"
"""A server looks for numbered versions."""


def _write_keras(run_dir: Path, output_dir: Path, context: Context) -> None:
    context.progress.report(_("Converting"), 0, None)
    model = keras_model(run_dir)
    with captured_output():
        model.save(output_dir / _KERAS)
    write_labels(run_dir, output_dir)


def _opened_keras(output_dir: Path) -> Answer:
    tensorflow()
    import keras

    with captured_output():
        model = keras.models.load_model(output_dir / _KERAS)
    return lambda pixels: np.asarray(model.predict_on_batch(pixels[np.newaxis])[0], np.float32)


def _write_saved(run_dir: Path, output_dir: Path, context: Context) -> None:
    context.progress.report(_("Converting"), 0, None)
    model = keras_model(run_dir)
    tf = tensorflow()
    taken = tf.TensorSpec((None, *model.input.shape[1:]), tf.uint8, name=INPUT)

    @tf.function(input_signature=[taken], autograph=False)
    def answer(pixels):  # type: ignore[no-untyped-def]
        return {FINAL: model(pixels, training=False)}

    served = tf.Module()
    # Of Keras' own exporting every weight comes out twice.
    served.weights = [variable.value for variable in model.variables]
    with captured_output():
        tf.saved_model.save(served, str(output_dir / _SAVED), signatures={"serving_default": answer})
    write_labels(run_dir, output_dir)


def _opened_saved(output_dir: Path) -> Answer:
    tf = tensorflow()
    with captured_output():
        loaded = tf.saved_model.load(str(output_dir / _SAVED))
    serve = loaded.signatures["serving_default"]
    # The signature alone would not keep its variables.
    return lambda pixels, _kept=loaded: np.asarray(  # type: ignore[misc]
        serve(**{INPUT: tf.constant(pixels[np.newaxis])})[FINAL][0], np.float32
    )


KERAS = Format(
    "keras",
    _("Keras"),
    _("For going on in Python with Keras 3: `model.keras`, with Keras' own layers only."),
    _write_keras,
    _(
        """\
`model.keras` takes images as they are, `uint8`, `[N, $height_px, $width_px, 3]`, 0-255, with the scaling
inside, and gives `[N, $classes]` probabilities. It has no layers of its own making, so that plain Keras 3
(`pip install keras tensorflow pillow`) loads it:

```python
import keras
import numpy as np
from PIL import Image, ImageOps

model = keras.models.load_model("model.keras")
labels = open("labels.txt", encoding="utf-8").read().splitlines()
image = ImageOps.exif_transpose(Image.open("image.jpg")).convert("RGB")
pixels = np.asarray(image.resize(($width_px, $height_px), Image.Resampling.BILINEAR))
scores = model.predict(pixels[np.newaxis])[0]
for at in np.argsort(-scores)[:5]:
    print(labels[at], scores[at])
```

Pixels that were scaled already, to 0-1 or -1 to 1, are wrong here.
"""
    ),
    _opened_keras,
    near=1e-3,
)

SAVED_MODEL = Format(
    "savedmodel",
    _("SavedModel"),
    _("For TensorFlow Serving and all else that reads TensorFlow's own format."),
    _write_saved,
    _(
        """\
`saved_model/1` has the signature `serving_default`: `input`, `uint8`, `[N, $height_px, $width_px, 3]`,
images as they are, 0-255; `final_result`, `float32`, `[N, $classes]`, probabilities in the order of
`labels.txt`.

With TensorFlow (`pip install tensorflow pillow`):

```python
import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps

model = tf.saved_model.load("saved_model/1")
labels = open("labels.txt", encoding="utf-8").read().splitlines()
image = ImageOps.exif_transpose(Image.open("image.jpg")).convert("RGB")
pixels = np.asarray(image.resize(($width_px, $height_px), Image.Resampling.BILINEAR))
scores = model.signatures["serving_default"](input=tf.constant(pixels[np.newaxis]))["final_result"][0].numpy()
for at in np.argsort(-scores)[:5]:
    print(labels[at], scores[at])
```

With TensorFlow Serving, which answers to `POST http://localhost:8501/v1/models/classifier:predict` with
`{"instances": [pixels as nested lists]}`:

```
docker run -p 8501:8501 -v "$$PWD/saved_model:/models/classifier" -e MODEL_NAME=classifier tensorflow/serving
```
"""
    ),
    _opened_saved,
    near=1e-3,
)
