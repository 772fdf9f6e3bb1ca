"""The export format `keras`: a `.keras` file for Keras 3."""

from pathlib import Path

import numpy as np

from studio.backbones.interpreter import captured_output, tensorflow
from studio.i18n import _
from studio.share.exports.documents import write_labels
from studio.share.exports.export_format import ExportContext, ExportFormat, PredictFunction
from studio.share.exports.keras_model import build_keras_model

_FILE = "model.keras"


def _write(run_dir: Path, output_dir: Path, context: ExportContext) -> None:
    context.progress.report(_("Converting"), 0, None)
    model = build_keras_model(run_dir)
    with captured_output():
        model.save(output_dir / _FILE)
    write_labels(run_dir, output_dir)


def _load_predictor(output_dir: Path) -> PredictFunction:
    tensorflow()
    import keras

    with captured_output():
        model = keras.models.load_model(output_dir / _FILE)
    return lambda pixels: np.asarray(model.predict_on_batch(pixels[np.newaxis])[0], np.float32)


KERAS = ExportFormat(
    "keras",
    _("Keras"),
    _("For further work in Python with Keras 3: `model.keras`, with Keras' own layers only."),
    _write,
    _(
        """\
`model.keras` takes unscaled RGB images, `uint8`, `[N, $height_px, $width_px, 3]`, 0-255; it scales them
itself and returns `[N, $classes]` probabilities. It has no custom layers, so that Keras 3 alone
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

Do not scale the pixels to 0-1 or -1 to 1 first.
"""
    ),
    _load_predictor,
    max_difference=1e-3,
)
