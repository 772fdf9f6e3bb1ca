"""The export format `graph`: a frozen GraphDef as `retrain.py` writes and `label_image.py` reads it.

Also used by `retrain --output_graph`, for intermediate graphs, and to open graphs made elsewhere.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from studio.arrays import Uint8Array
from studio.backbones import Backbone, get_backbone
from studio.backbones.interpreter import captured_output, tensorflow
from studio.backbones.preprocessing import Preprocessing
from studio.errors import JobFailed
from studio.files import atomic_bytes
from studio.i18n import _
from studio.predict.model import Model
from studio.retrain.fine_tuning.network import assign_weights, fine_tuned_network
from studio.retrain.head.head import Head
from studio.retrain.model_file import read_head
from studio.retrain.run_folder import read_model, read_model_json, read_tuned_weights
from studio.share.exports.export_format import ExportContext, ExportFormat, PredictFunction

INPUT_NAME, OUTPUT_NAME = "input", "final_result"
"""Operations of the input and the output in `retrain.py`'s graphs."""
_HEAD_CONSTANTS = "final_training_ops/weights/final_weights", "final_training_ops/biases/final_biases"
"""Names of the head's weights and biases in `retrain.py`'s graphs."""
SCRIPT_MEAN = SCRIPT_STD = 128.0
"""Defaults of `--input_mean` and `--input_std` in `label_image.py`, which scales the pixels itself."""
_TOLERANCE = 1e-3
_QUANTIZED_TOLERANCE = 0.9
"""On random images, where no class has a high confidence, only a broken graph differs more."""
_TEST_IMAGES = 4


class FrozenGraph:
    """A backbone as a GraphDef with its variables made constants, to which any head can be added.

    Input `input`: float32, (None, height, width, 3), pixels as `(pixel - 128) / 128`; the graph converts them
    to the backbone's own scaling. Output, by default `final_result`: float32, (None, classes), probabilities.
    """

    def __init__(
        self,
        backbone: Backbone,
        classes: int,
        name: str = OUTPUT_NAME,
        network: Any = None,
    ) -> None:
        """Freeze a network: by default `backbone.network()`. network: another one; see `load_network`."""
        tf = tensorflow()
        from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

        preprocessing = backbone.preprocessing
        shape = (None, preprocessing.height_px, preprocessing.width_px, 3)
        with captured_output():
            network = network or backbone.network()
            scaling = preprocessing.scaling_layer()
            features = network.output.shape[-1]
            empty = Head(np.zeros((features, classes), np.float32), np.zeros(classes, np.float32))

            @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name="input")], autograph=False)
            def predict(pixels):  # type: ignore[no-untyped-def]
                embeddings = network(scaling(pixels * SCRIPT_STD + SCRIPT_MEAN), training=False)
                weights, bias = (
                    tf.constant(values, name=constant)
                    for constant, values in zip(_HEAD_CONSTANTS, (empty.weights, empty.bias), strict=True)
                )
                return tf.identity(tf.nn.softmax(embeddings @ weights + bias), name=name)

            frozen = convert_variables_to_constants_v2(predict.get_concrete_function())
            self._graph_def: Any = frozen.graph.as_graph_def()

    def with_head(self, head: Head) -> bytes:
        """Return the GraphDef with a head, serialized. Takes milliseconds."""
        tf = tensorflow()
        graph_def = type(self._graph_def)()
        graph_def.CopyFrom(self._graph_def)
        values = dict(zip(_HEAD_CONSTANTS, (head.weights, head.bias), strict=True))
        for node in graph_def.node:
            if node.name in values:
                node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(values[node.name]))
        return bytes(graph_def.SerializeToString())


def write_frozen_graph(run_dir: Path, path: Path, name: str = OUTPUT_NAME) -> None:
    """Write a finished run's model as a `FrozenGraph`. name: of the output operation.

    For a quantized backbone the graph computes with dequantized weights, so that its probabilities are close
    to the model's, not equal. Raises ModelUnreadable, and JobFailed if the probabilities differ too much.
    """
    card = read_model_json(run_dir)
    head = read_head(read_model(run_dir, card))
    backbone, network = load_network(run_dir, card, head)
    content = FrozenGraph(backbone, len(head.bias), name, network).with_head(head)
    tolerance = _QUANTIZED_TOLERANCE if backbone.quantized else _TOLERANCE
    _check_parity(content, Model.open(run_dir), backbone.preprocessing, name, tolerance)
    with atomic_bytes(path) as file:
        file.write(content)


def load_network(run_dir: Path, card: dict[str, Any], head: Head) -> tuple[Backbone, Any]:
    """Return a finished run's backbone, with the run's preprocessing, and its Keras network without the head.

    The network maps scaled pixels, float32, (N, height, width, 3), to features, float32, (N, features).
    Raises ModelUnreadable.
    """
    backbone = get_backbone(card["backbone"]["name"])
    backbone = replace(backbone, preprocessing=Preprocessing.from_json(card["preprocessing"]))
    tuned = read_tuned_weights(run_dir, card)
    if len(head.weights) > backbone.features:
        return backbone, fine_tuned_network(backbone, card["facts"]["fine_tuning"]["before"], tuned)
    network = backbone.network()
    assign_weights(network, tuned)  # older runs have no frozen features beside the trained blocks
    return backbone, network


def _check_parity(
    content: bytes, model: Model, preprocessing: Preprocessing, name: str, tolerance: float
) -> None:
    height_px, width_px = preprocessing.height_px, preprocessing.width_px
    # Blocks of colour: enough structure for the predictions to differ.
    blocks = np.random.default_rng(0).integers(0, 256, (_TEST_IMAGES, 4, 4, 3), dtype=np.uint8)
    tall, wide = -(-height_px // 4), -(-width_px // 4)
    images = blocks.repeat(tall, axis=1).repeat(wide, axis=2)[:, :height_px, :width_px]
    scaled = (images.astype(np.float32) - SCRIPT_MEAN) / SCRIPT_STD
    expected = np.stack([model.probabilities(image) for image in images])
    difference = float(np.abs(run_frozen_graph(content, scaled, output=name) - expected).max())
    if not difference <= tolerance:  # NaN included
        raise JobFailed(
            _(
                "A probability of the frozen graph differs from the model's by {difference:.3g}; at most "
                "{limit} was expected. The graph was not written."
            ).format(difference=difference, limit=tolerance)
        )


def run_frozen_graph(
    content: bytes, images: npt.NDArray[np.float32], *, output: str = OUTPUT_NAME, input_: str = INPUT_NAME
) -> npt.NDArray[np.float32]:
    """Return a GraphDef's predictions for images, float32, (N, height, width, 3); see `open_frozen_graph`."""
    return open_frozen_graph(content, output=output, input_=input_)(images)


def open_frozen_graph(
    content: bytes, *, output: str = OUTPUT_NAME, input_: str = INPUT_NAME
) -> Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]:
    """Return a GraphDef's predict function: from float32, (N, height, width, 3), to float32, (N, classes).

    output, input_: names of operations. Raises KeyError for a name that is not in the graph.
    """
    tf = tensorflow()
    graph_def = tf.compat.v1.GraphDef.FromString(content)
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="import")
    feed, fetch = (graph.get_operation_by_name(f"import/{name}").outputs[0] for name in (input_, output))
    session = tf.compat.v1.Session(graph=graph)

    def predict(images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        predictions: npt.NDArray[np.float32] = session.run(fetch, {feed: images})
        return predictions

    return predict


def intermediate_graph_writer(backbone: str, folder: Path, name: str) -> Callable[[int, Head], None]:
    """Return a callback that writes `intermediate_<step>.pb` into `folder` for each head it is given.

    backbone: name in the registry. name: of the output operation. The network is frozen once, at the first
    head.
    """
    frozen: list[FrozenGraph] = []

    def write_graph(step: int, head: Head) -> None:
        if not step:  # `retrain.py` counts from 0 and writes no graph at step 0
            return
        if not frozen:
            frozen.append(FrozenGraph(get_backbone(backbone), len(head.bias), name))
        with atomic_bytes(folder / f"intermediate_{step}.pb") as file:
            file.write(frozen[0].with_head(head))

    return write_graph


_GRAPH, _LABELS = "retrained_graph.pb", "retrained_labels.txt"


def _write(run_dir: Path, output_dir: Path, context: ExportContext) -> None:
    # Here, so that `label_image`, which only reads graphs, does not import SQLAlchemy.
    from studio.share.exports.documents import write_labels

    context.progress.report(_("Converting"), 0, None)
    write_frozen_graph(run_dir, output_dir / _GRAPH)
    write_labels(run_dir, output_dir, _LABELS)


def _load_predictor(output_dir: Path) -> PredictFunction:
    predict_batch = open_frozen_graph((output_dir / _GRAPH).read_bytes())

    def predict(pixels: Uint8Array) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        scaled = (pixels[np.newaxis].astype(np.float32) - np.float32(SCRIPT_MEAN)) / np.float32(SCRIPT_STD)
        return np.asarray(predict_batch(scaled)[0])

    return predict


FROZEN_GRAPH = ExportFormat(
    "graph",
    _("Frozen graph"),
    _("For the scripts and the Android app of TensorFlow for Poets: `retrained_graph.pb`."),
    _write,
    _(
        """\
`retrained_graph.pb` and `retrained_labels.txt` are as the codelab's `retrain.py` writes them: input `input`,
`float32`, `[N, $height_px, $width_px, 3]`, as `(pixel - 128) / 128`; output `final_result`, `float32`,
`[N, $classes]`, probabilities. Put both into `tf_files/` and run

```
python -m scripts.label_image --graph=tf_files/retrained_graph.pb --image=image.jpg \\
  --input_height=$height_px --input_width=$width_px
```

(224 x 224 is the script's default size). In the codelab's Android app put both into `assets/` as `graph.pb`
and `labels.txt`, and set `INPUT_SIZE = $height_px`, mean and standard deviation 128, and the names above.
The script resizes without antialiasing, so that its predictions may differ a little from the studio's. To get
the studio's predictions, resize with Pillow first:

```python
from PIL import Image, ImageOps

image = ImageOps.exif_transpose(Image.open("image.jpg")).convert("RGB")
image.resize(($width_px, $height_px), Image.Resampling.BILINEAR).save("resized.png")
```
"""
    ),
    _load_predictor,
    max_difference=1e-3,
)
