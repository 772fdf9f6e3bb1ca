"""A finished run's model as Keras builds it: what every form is made from that is not LiteRT already."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.backbones import Backbone
from studio.backbones.interpreter import captured_output, tensorflow
from studio.retrain.head.head import Head
from studio.retrain.model_file import head_of
from studio.retrain.run_folder import read_model, read_model_json
from studio.share.frozen_graph import FINAL, INPUT, network_of


@dataclass(frozen=True)
class Parts:
    """A run's model in two. backbone: with the preprocessing of the run, not its own.

    network: Keras model; float32, (N, h, w, 3), scaled, in; float32, (N, features), out.
    """

    backbone: Backbone
    network: Any
    head: Head


def parts_of(run_dir: Path) -> Parts:
    """Rebuild a run's network. Raises ModelUnreadable, and BackboneError where its weights are not here."""
    tensorflow()
    card = read_model_json(run_dir)
    head = head_of(read_model(run_dir, card))
    with captured_output():
        backbone, network = network_of(run_dir, card, head)
    return Parts(backbone, network, head)


def keras_model(run_dir: Path) -> Any:
    """Return a run's model: uint8, (N, h, w, 3), 0-255, in; float32, (N, classes), probabilities, out.

    All its layers are Keras' own. Raises what `parts_of` does.
    """
    parts = parts_of(run_dir)
    import keras

    size = parts.backbone.preprocessing
    pixels = keras.Input((size.height_px, size.width_px, 3), dtype="uint8", name=INPUT)
    return keras.Model(pixels, answers_of(parts, pixels), name="model")


def answers_of(parts: Parts, pixels: Any) -> Any:
    """Return the probabilities for pixels, 0-255, both symbolic tensors of Keras."""
    import keras

    scaling = parts.backbone.preprocessing.scaling_layer()
    scaling.name = "scaling"
    head = keras.layers.Dense(len(parts.head.bias), activation="softmax", name=FINAL)
    answers = head(parts.network(scaling(pixels)))
    head.set_weights([parts.head.weights, parts.head.bias])
    return answers
