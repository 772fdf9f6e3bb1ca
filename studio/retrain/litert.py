"""LiteRT files out of Keras models."""

from collections.abc import Callable
from typing import Any

from studio.retrain.quiet import captured_output, tensorflow


def converted(model: Any, configure: Callable[[Any], None] = lambda _converter: None) -> bytes:
    """Return a Keras model with one input, of fixed shape, and one output as a LiteRT file.

    Its signature `serving_default` names the input as the model does.
    configure: changes TensorFlow's converter before it runs.

    The variables are made constants here: what `from_keras_model` does with them takes several times as long
    for the same answers, and a function that still has some becomes a file that answers with NaN.
    """
    tf = tensorflow()
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    entry = model.inputs[0]
    taken = tf.TensorSpec(entry.shape, entry.dtype, name=entry.name)

    @tf.function(input_signature=[taken], autograph=False)
    def answer(pixels):  # type: ignore[no-untyped-def]
        return model(pixels, training=False)

    with captured_output():
        frozen = convert_variables_to_constants_v2(answer.get_concrete_function())
        converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen], tf.Module())
        configure(converter)
        return bytes(converter.convert())
