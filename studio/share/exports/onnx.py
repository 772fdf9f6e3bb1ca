"""ONNX: for ONNX Runtime and the many tools that read it, on any platform and in any language."""

from pathlib import Path
from typing import Any

import numpy as np

from studio.backbones.interpreter import captured_output, tensorflow
from studio.files import atomic_bytes
from studio.i18n import _
from studio.share.exports.documents import write_labels
from studio.share.exports.format import Answer, Context, Format
from studio.share.exports.keras_model import keras_model
from studio.share.frozen_graph import FINAL, INPUT

_FILE = "model.onnx"
_OPSET = 18
"""Of 2022: ONNX Runtime reads it since 1.14."""


def onnx_file(model: Any) -> bytes:
    """Return a Keras model of `keras_model` as ONNX: `input`, uint8, (N, h, w, 3), in; `final_result` out."""
    tf = tensorflow()
    taken = tf.TensorSpec((None, *model.input.shape[1:]), tf.uint8, name=INPUT)

    @tf.function(input_signature=[taken], autograph=False)
    def answer(pixels):  # type: ignore[no-untyped-def]
        return {FINAL: model(pixels, training=False)}

    with captured_output():
        import tf2onnx

        made, _storage = tf2onnx.convert.from_function(answer, input_signature=[taken], opset=_OPSET)
    _name(made.graph)
    return bytes(made.SerializeToString())


def _name(graph: Any) -> None:
    """Give input, output and the open number of images names that a person can guess."""
    called = {graph.input[0].name: INPUT, graph.output[0].name: FINAL}
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [called.get(name, name) for name in names]
    for end in (graph.input[0], graph.output[0]):
        end.name = called[end.name]
        end.type.tensor_type.shape.dim[0].dim_param = "N"
    graph.name = "classifier"


def _write(run_dir: Path, output_dir: Path, context: Context) -> None:
    context.progress.report(_("Converting"), 0, None)
    content = onnx_file(keras_model(run_dir))
    with atomic_bytes(output_dir / _FILE) as file:
        file.write(content)
    write_labels(run_dir, output_dir)


def _opened(output_dir: Path) -> Answer:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        (output_dir / _FILE).read_bytes(), options, providers=["CPUExecutionProvider"]
    )
    return lambda pixels: np.asarray(session.run([FINAL], {INPUT: pixels[np.newaxis]})[0][0], np.float32)


ONNX = Format(
    "onnx",
    "ONNX",
    _("For ONNX Runtime, on any system and from any language."),
    _write,
    _(
        """\
`model.onnx` (opset 18) takes `input`, `uint8`, `[N, $height_px, $width_px, 3]`, images as they are, 0-255,
and gives `final_result`, `float32`, `[N, $classes]`, probabilities in the order of `labels.txt`.
`pip install onnxruntime pillow numpy`:

```python
import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession("model.onnx")
labels = open("labels.txt", encoding="utf-8").read().splitlines()
image = ImageOps.exif_transpose(Image.open("image.jpg")).convert("RGB")
pixels = np.asarray(image.resize(($width_px, $height_px), Image.Resampling.BILINEAR))
scores = session.run(["final_result"], {"input": pixels[np.newaxis]})[0][0]
for at in np.argsort(-scores)[:5]:
    print(labels[at], scores[at])
```
"""
    ),
    _opened,
    near=1e-3,
)
