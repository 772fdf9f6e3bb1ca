"""A frozen GraphDef, as `retrain.py` writes it and `label_image.py` reads it with its default flags."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from studio.backbones import Backbone, backbone_named
from studio.backbones.interpreter import captured_output, tensorflow
from studio.backbones.preprocessing import Preprocessing
from studio.errors import JobFailed
from studio.files import atomic_bytes
from studio.i18n import _
from studio.predict.model import Model
from studio.retrain.fine_tuning.network import tune, tuned_network
from studio.retrain.head.head import Head
from studio.retrain.model_file import head_of
from studio.retrain.run_folder import read_model, read_model_json, read_tuned

INPUT, FINAL = "input", "final_result"
"""What the script calls input and output."""
_CONSTANTS = "final_training_ops/weights/final_weights", "final_training_ops/biases/final_biases"
"""What the peer calls the head's weights and biases."""
SCRIPT_MEAN = SCRIPT_STD = 128.0
"""`--input_mean` and `--input_std` of the script, which scales the pixels itself."""
_TOLERANCE = 1e-3
_QUANTIZED_TOLERANCE = 0.9
"""Only what is broken is further apart on images that no class is sure of."""
_COMPARED = 4


class FrozenGraph:
    """A backbone as a GraphDef with its variables made constants, on which any head can be put.

    Input `input`: float32, (None, h, w, 3), pixels as `(pixel - 128) / 128`, whatever scaling the backbone
    has: the graph makes up for the difference. Output, by default `final_result`: float32, (None, classes),
    probabilities.
    """

    def __init__(
        self,
        backbone: Backbone,
        classes: int,
        name: str = FINAL,
        network: Any = None,
    ) -> None:
        """Freeze a network: `backbone.network()`, or what stands in its place; see `network_of`."""
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
            def answer(pixels):  # type: ignore[no-untyped-def]
                found = network(scaling(pixels * SCRIPT_STD + SCRIPT_MEAN), training=False)
                weights, bias = (
                    tf.constant(values, name=constant)
                    for constant, values in zip(_CONSTANTS, (empty.weights, empty.bias), strict=True)
                )
                return tf.identity(tf.nn.softmax(found @ weights + bias), name=name)

            frozen = convert_variables_to_constants_v2(answer.get_concrete_function())
            self._graph_def: Any = frozen.graph.as_graph_def()

    def with_head(self, head: Head) -> bytes:
        """Return the GraphDef with a head, serialized. Takes milliseconds."""
        tf = tensorflow()
        graph_def = type(self._graph_def)()
        graph_def.CopyFrom(self._graph_def)
        values = dict(zip(_CONSTANTS, (head.weights, head.bias), strict=True))
        for node in graph_def.node:
            if node.name in values:
                node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(values[node.name]))
        return bytes(graph_def.SerializeToString())


def write_frozen_graph(run_dir: Path, path: Path, name: str = FINAL) -> None:
    """Write a finished run's model as a `FrozenGraph`. name: the output's.

    On a quantized backbone the graph computes with the numbers that its whole numbers stand for, so that its
    answers are near the model's, not the same. Raises ModelUnreadable, and JobFailed when the graph does not
    answer as the run's model does.
    """
    card = read_model_json(run_dir)
    head = head_of(read_model(run_dir, card))
    backbone, network = network_of(run_dir, card, head)
    content = FrozenGraph(backbone, len(head.bias), name, network).with_head(head)
    tolerance = _QUANTIZED_TOLERANCE if backbone.quantized else _TOLERANCE
    _compare(content, Model.open(run_dir), backbone.preprocessing, name, tolerance)
    with atomic_bytes(path) as file:
        file.write(content)


def network_of(run_dir: Path, card: dict[str, Any], head: Head) -> tuple[Backbone, Any]:
    """Return a finished run's backbone, as its model takes images, and the Keras network for its head.

    The network: float32, (N, h, w, 3), scaled, in; float32, (N, features), out. Raises ModelUnreadable.
    """
    backbone = backbone_named(card["backbone"]["name"])
    backbone = replace(backbone, preprocessing=Preprocessing.from_json(card["preprocessing"]))
    tuned = read_tuned(run_dir, card)
    if len(head.weights) > backbone.features:
        return backbone, tuned_network(backbone, card["facts"]["fine_tuning"]["before"], tuned)
    network = backbone.network()
    tune(network, tuned)  # of a run from when nothing stood beside the trained blocks
    return backbone, network


def _compare(content: bytes, model: Model, preprocessing: Preprocessing, name: str, tolerance: float) -> None:
    height_px, width_px = preprocessing.height_px, preprocessing.width_px
    # Blocks of colour: enough structure for the answers to differ from one another.
    blocks = np.random.default_rng(0).integers(0, 256, (_COMPARED, 4, 4, 3), dtype=np.uint8)
    tall, wide = -(-height_px // 4), -(-width_px // 4)
    images = blocks.repeat(tall, axis=1).repeat(wide, axis=2)[:, :height_px, :width_px]
    scaled = (images.astype(np.float32) - SCRIPT_MEAN) / SCRIPT_STD
    expected = np.stack([model.probabilities(image) for image in images])
    difference = float(np.abs(run_frozen_graph(content, scaled, output=name) - expected).max())
    if not difference <= tolerance:  # NaN included
        raise JobFailed(
            _(
                "The frozen graph answers otherwise than the model ({difference:.3g} apart): not written."
            ).format(difference=difference)
        )


def run_frozen_graph(
    content: bytes, images: npt.NDArray[np.float32], *, output: str = FINAL, input_: str = INPUT
) -> npt.NDArray[np.float32]:
    """Return what a GraphDef answers on images, float32, (N, h, w, 3); see `opened_frozen_graph`."""
    return opened_frozen_graph(content, output=output, input_=input_)(images)


def opened_frozen_graph(
    content: bytes, *, output: str = FINAL, input_: str = INPUT
) -> Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]:
    """Return what answers as the script does, by a GraphDef: float32, (N, h, w, 3) in, (N, classes) out.

    output, input_: the names of operations. Raises KeyError for a name that is not in the graph.
    """
    tf = tensorflow()
    graph_def = tf.compat.v1.GraphDef.FromString(content)
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="import")
    feed, fetch = (graph.get_operation_by_name(f"import/{name}").outputs[0] for name in (input_, output))
    session = tf.compat.v1.Session(graph=graph)

    def answer(images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        answers: npt.NDArray[np.float32] = session.run(fetch, {feed: images})
        return answers

    return answer


def intermediate_graphs(backbone: str, folder: Path, name: str) -> Callable[[int, Head], None]:
    """Return what writes `intermediate_<step>.pb` into `folder` for each head that it is shown.

    backbone: of the registry; name: of the graph's output. The network is frozen once, at the first head.
    """
    frozen: list[FrozenGraph] = []

    def see(step: int, head: Head) -> None:
        if not step:  # the peer counts from 0, and writes no graph then
            return
        if not frozen:
            frozen.append(FrozenGraph(backbone_named(backbone), len(head.bias), name))
        with atomic_bytes(folder / f"intermediate_{step}.pb") as file:
            file.write(frozen[0].with_head(head))

    return see
