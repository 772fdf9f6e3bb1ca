"""A finished run's model rebuilt in Keras, from which the formats other than LiteRT are written."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.backbones import Backbone
from studio.backbones.interpreter import captured_output, tensorflow
from studio.retrain.head.head import Head
from studio.retrain.model_file import read_head
from studio.retrain.run_folder import read_model, read_model_json
from studio.share.exports.frozen_graph import INPUT_NAME, OUTPUT_NAME, load_network


@dataclass(frozen=True)
class ModelParts:
    """A run's model in parts.

    backbone: with the preprocessing of the run. network: Keras model from scaled pixels, float32,
    (N, height, width, 3), to features, float32, (N, features). head: from features to classes.
    """

    backbone: Backbone
    network: Any
    head: Head


def load_model_parts(run_dir: Path) -> ModelParts:
    """Rebuild a run's network. Raises ModelUnreadable, and BackboneError if its weights are missing."""
    tensorflow()
    card = read_model_json(run_dir)
    head = read_head(read_model(run_dir, card))
    with captured_output():
        backbone, network = load_network(run_dir, card, head)
    return ModelParts(backbone, network, head)


def build_keras_model(run_dir: Path) -> Any:
    """Build a run's model: from uint8, (N, height, width, 3), 0-255, to probabilities, float32, (N, classes).

    All layers are Keras' own. Raises as `load_model_parts` does.
    """
    parts = load_model_parts(run_dir)
    import keras

    size = parts.backbone.preprocessing
    pixels = keras.Input((size.height_px, size.width_px, 3), dtype="uint8", name=INPUT_NAME)
    return keras.Model(pixels, probabilities_of(parts, pixels), name="model")


def probabilities_of(parts: ModelParts, pixels: Any) -> Any:
    """Return the probabilities for pixels, 0-255; both are symbolic Keras tensors."""
    import keras

    scaling = parts.backbone.preprocessing.scaling_layer()
    scaling.name = "scaling"
    head = keras.layers.Dense(len(parts.head.bias), activation="softmax", name=OUTPUT_NAME)
    probabilities = head(parts.network(scaling(pixels)))
    head.set_weights([parts.head.weights, parts.head.bias])
    return probabilities
