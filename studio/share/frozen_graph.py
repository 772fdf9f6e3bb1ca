"""A frozen GraphDef, as `retrain.py` writes it and `label_image.py` reads it with its default flags."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from studio.atomic import atomic_bytes
from studio.errors import JobFailed
from studio.language import _
from studio.predict.model import Model
from studio.retrain.backbones import backbone_named
from studio.retrain.model_file import head_of
from studio.retrain.quiet import captured_output, tensorflow
from studio.retrain.run_folder import read_card, read_model

_SCRIPT_MEAN = _SCRIPT_STD = 128.0
"""`--input_mean` and `--input_std` of the script, which scales the pixels itself."""
_TOLERANCE = 1e-3
_COMPARED = 4


def write_frozen_graph(run_dir: Path, path: Path) -> None:
    """Write a finished run's model as a GraphDef with its variables made constants.

    Input `input`: float32, (None, h, w, 3), pixels as `(pixel - 128) / 128`; output `final_result`:
    float32, (None, classes), probabilities. Where the backbone's mean is not 128, the graph shifts.
    Raises ModelUnreadable, and JobFailed when the graph does not answer as the run's model does.
    """
    card = read_card(run_dir)
    head = head_of(read_model(run_dir, card))
    backbone = backbone_named(card["backbone"]["name"])
    preprocessing = backbone.preprocessing
    factor = _SCRIPT_STD / preprocessing.scale
    shift = (_SCRIPT_MEAN - preprocessing.mean) / preprocessing.scale
    network = backbone.network()
    tf = tensorflow()
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    shape = (None, preprocessing.height_px, preprocessing.width_px, 3)

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name="input")], autograph=False)
    def answer(pixels):  # type: ignore[no-untyped-def]
        features = network(pixels * factor + shift, training=False)
        return tf.identity(tf.nn.softmax(features @ head.weights + head.bias), name="final_result")

    with captured_output():
        frozen = convert_variables_to_constants_v2(answer.get_concrete_function())
        content = frozen.graph.as_graph_def().SerializeToString()
    _compare(content, Model.open(run_dir), preprocessing.height_px, preprocessing.width_px)
    with atomic_bytes(path) as file:
        file.write(content)


def _compare(content: bytes, model: Model, height_px: int, width_px: int) -> None:
    # Blocks of colour: enough structure for the answers to differ from one another.
    blocks = np.random.default_rng(0).integers(0, 256, (_COMPARED, 4, 4, 3), dtype=np.uint8)
    tall, wide = -(-height_px // 4), -(-width_px // 4)
    pictures = blocks.repeat(tall, axis=1).repeat(wide, axis=2)[:, :height_px, :width_px]
    scaled = (pictures.astype(np.float32) - _SCRIPT_MEAN) / _SCRIPT_STD
    expected = np.stack([model.probabilities(picture) for picture in pictures])
    difference = float(np.abs(run_frozen_graph(content, scaled) - expected).max())
    if not difference <= _TOLERANCE:  # NaN included
        raise JobFailed(
            _(
                "The frozen graph answers otherwise than the model ({difference:.3g} apart): not written."
            ).format(difference=difference)
        )


def run_frozen_graph(content: bytes, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return a GraphDef's `final_result` for `input`, as the script runs it; float32, (N, classes)."""
    tf = tensorflow()
    graph_def = tf.compat.v1.GraphDef.FromString(content)
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="import")
        with tf.compat.v1.Session(graph=graph) as session:
            names = {"feed": "import/input:0", "fetch": "import/final_result:0"}
            answers: npt.NDArray[np.float32] = session.run(names["fetch"], {names["feed"]: images})
    return answers
