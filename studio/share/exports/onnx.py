"""The export format `onnx`: an ONNX file for ONNX Runtime and other tools."""

from pathlib import Path
from typing import Any

import numpy as np

from studio.backbones.interpreter import captured_output, tensorflow
from studio.files import atomic_bytes
from studio.i18n import _
from studio.share.exports.documents import write_labels
from studio.share.exports.export_format import ExportContext, ExportFormat, PredictFunction
from studio.share.exports.frozen_graph import INPUT_NAME, OUTPUT_NAME
from studio.share.exports.keras_model import build_keras_model

_FILE = "model.onnx"
_OPSET = 18
"""Released in 2022; ONNX Runtime reads it since 1.14."""


def convert_to_onnx(model: Any) -> bytes:
    """Convert a model of `build_keras_model` to ONNX.

    Its input is `input`, uint8, (N, height, width, 3); its output `final_result`, float32, (N, classes).
    """
    tf = tensorflow()
    input_spec = tf.TensorSpec((None, *model.input.shape[1:]), tf.uint8, name=INPUT_NAME)

    @tf.function(input_signature=[input_spec], autograph=False)
    def predict(pixels):  # type: ignore[no-untyped-def]
        return {OUTPUT_NAME: model(pixels, training=False)}

    with captured_output():
        import tf2onnx

        model_proto, _storage = tf2onnx.convert.from_function(
            predict, input_signature=[input_spec], opset=_OPSET
        )
    _rename_tensors(model_proto.graph)
    return bytes(model_proto.SerializeToString())


def _rename_tensors(graph: Any) -> None:
    """Name the input, the output and the batch dimension."""
    new_names = {graph.input[0].name: INPUT_NAME, graph.output[0].name: OUTPUT_NAME}
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [new_names.get(name, name) for name in names]
    for tensor in (graph.input[0], graph.output[0]):
        tensor.name = new_names[tensor.name]
        tensor.type.tensor_type.shape.dim[0].dim_param = "N"
    graph.name = "classifier"


def _write(run_dir: Path, output_dir: Path, context: ExportContext) -> None:
    context.progress.report(_("Converting"), 0, None)
    content = convert_to_onnx(build_keras_model(run_dir))
    with atomic_bytes(output_dir / _FILE) as file:
        file.write(content)
    write_labels(run_dir, output_dir)


def _load_predictor(output_dir: Path) -> PredictFunction:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        (output_dir / _FILE).read_bytes(), options, providers=["CPUExecutionProvider"]
    )
    return lambda pixels: np.asarray(
        session.run([OUTPUT_NAME], {INPUT_NAME: pixels[np.newaxis]})[0][0], np.float32
    )


ONNX = ExportFormat(
    "onnx",
    "ONNX",
    _("For ONNX Runtime, on any platform and in any language."),
    _write,
    _(
        """\
`model.onnx` (opset 18) takes `input`, `uint8`, `[N, $height_px, $width_px, 3]`, unscaled RGB, 0-255,
and returns `final_result`, `float32`, `[N, $classes]`, probabilities in the order of `labels.txt`.
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
    _load_predictor,
    max_difference=1e-3,
)
