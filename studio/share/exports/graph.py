"""The frozen graph of `retrain.py`: for its companion script, and for the Android app of the codelab."""

from pathlib import Path

import numpy as np

from studio.arrays import Uint8Array
from studio.i18n import _
from studio.share.exports.documents import write_labels
from studio.share.exports.format import Answer, Context, Format
from studio.share.frozen_graph import SCRIPT_MEAN, SCRIPT_STD, opened_frozen_graph, write_frozen_graph

_GRAPH, _LABELS = "retrained_graph.pb", "retrained_labels.txt"


def _write(run_dir: Path, output_dir: Path, context: Context) -> None:
    context.progress.report(_("Converting"), 0, None)
    write_frozen_graph(run_dir, output_dir / _GRAPH)
    write_labels(run_dir, output_dir, _LABELS)


def _opened(output_dir: Path) -> Answer:
    ask = opened_frozen_graph((output_dir / _GRAPH).read_bytes())

    def answer(pixels: Uint8Array) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        scaled = (pixels[np.newaxis].astype(np.float32) - np.float32(SCRIPT_MEAN)) / np.float32(SCRIPT_STD)
        return np.asarray(ask(scaled)[0])

    return answer


GRAPH = Format(
    "graph",
    _("Frozen graph"),
    _("For the scripts and the Android app of TensorFlow for Poets: `retrained_graph.pb`."),
    _write,
    _(
        """\
`retrained_graph.pb` and `retrained_labels.txt` are what the codelab's own `retrain.py` leaves: input `input`,
`float32`, `[N, $height_px, $width_px, 3]`, as `(pixel - 128) / 128`; output `final_result`, `float32`,
`[N, $classes]`, probabilities. Put both into `tf_files/`, and

```
python -m scripts.label_image --graph=tf_files/retrained_graph.pb --image=image.jpg \\
  --input_height=$height_px --input_width=$width_px
```

answers (224 x 224 is the script's default). In the codelab's Android app both go into `assets/` as `graph.pb`
and `labels.txt`; the size there is `INPUT_SIZE = $height_px`, mean and deviation are 128, and the names are
those above. The script resizes in its own way, without looking at all pixels of a large image, so that its
answers may differ a little from the studio's. Whoever wants the studio's resizes with Pillow first:

```python
from PIL import Image, ImageOps

image = ImageOps.exif_transpose(Image.open("image.jpg")).convert("RGB")
image.resize(($width_px, $height_px), Image.Resampling.BILINEAR).save("resized.png")
```
"""
    ),
    _opened,
    near=1e-3,
)
