"""The export format `savedmodel`: a TensorFlow SavedModel."""

from pathlib import Path

import numpy as np

from studio.backbones.interpreter import captured_output, tensorflow
from studio.i18n import _
from studio.share.exports.documents import write_labels
from studio.share.exports.export_format import ExportContext, ExportFormat, PredictFunction
from studio.share.exports.frozen_graph import INPUT_NAME, OUTPUT_NAME
from studio.share.exports.keras_model import build_keras_model

_SAVED_MODEL = Path("saved_model") / "1"
"""TensorFlow Serving expects numbered versions."""


def _write(run_dir: Path, output_dir: Path, context: ExportContext) -> None:
    context.progress.report(_("Converting"), 0, None)
    model = build_keras_model(run_dir)
    tf = tensorflow()
    input_spec = tf.TensorSpec((None, *model.input.shape[1:]), tf.uint8, name=INPUT_NAME)

    @tf.function(input_signature=[input_spec], autograph=False)
    def predict(pixels):  # type: ignore[no-untyped-def]
        return {OUTPUT_NAME: model(pixels, training=False)}

    module = tf.Module()
    # Keras' own exporter would write every weight twice.
    module.weights = [variable.value for variable in model.variables]
    with captured_output():
        tf.saved_model.save(module, str(output_dir / _SAVED_MODEL), signatures={"serving_default": predict})
    write_labels(run_dir, output_dir)


def _load_predictor(output_dir: Path) -> PredictFunction:
    tf = tensorflow()
    with captured_output():
        loaded = tf.saved_model.load(str(output_dir / _SAVED_MODEL))
    serve = loaded.signatures["serving_default"]
    # The signature alone does not keep the variables alive.
    return lambda pixels, _model=loaded: np.asarray(  # type: ignore[misc]
        serve(**{INPUT_NAME: tf.constant(pixels[np.newaxis])})[OUTPUT_NAME][0], np.float32
    )


SAVED_MODEL = ExportFormat(
    "savedmodel",
    _("SavedModel"),
    _("For TensorFlow Serving and other tools that read TensorFlow's own format."),
    _write,
    _(
        """\
`saved_model/1` has the signature `serving_default`: `input`, `uint8`, `[N, $height_px, $width_px, 3]`,
unscaled RGB, 0-255; `final_result`, `float32`, `[N, $classes]`, probabilities in the order of
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

With TensorFlow Serving, which answers `POST http://localhost:8501/v1/models/classifier:predict` with
`{"instances": [pixels as nested lists]}`:

```
docker run -p 8501:8501 -v "$$PWD/saved_model:/models/classifier" -e MODEL_NAME=classifier tensorflow/serving
```
"""
    ),
    _load_predictor,
    max_difference=1e-3,
)
