"""A network's last blocks and a head in training, on deep bottlenecks."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from studio.arrays import Float32Array, IndexArray
from studio.retrain.head.head import Head
from studio.retrain.head.lesson import Scaling
from studio.retrain.quiet import tensorflow

_LEARNING_RATE = 5e-4
_WEIGHT_DECAY = 0.01
_DROPOUT = 0.2
_LABEL_SMOOTHING = 0.1
_ASKED_AT_ONCE = 64


def in_batches(answer: Callable[[Any], Any], maps: npt.NDArray[np.float16], width: int) -> Float32Array:
    """Return what a Keras model or a function of TensorFlow answers on maps: float32, (N, width)."""
    starts = range(0, len(maps), _ASKED_AT_ONCE)
    parts = [answer(maps[at : at + _ASKED_AT_ONCE].astype(np.float32)).numpy() for at in starts]
    return np.concatenate([np.zeros((0, width), np.float32), *parts])


class Tuner:
    """Trains by AdamW (Loshchilov and Hutter 2019) on a cosine; BatchNorm keeps its averages, and so does
    every layer that is otherwise when it trains.

    tail: Keras model, from windows of maps, float32 (N, h, w, channels), to features (N, features).
    whole: the same tail for whole maps; it has the trained weights whenever it is asked.
    scaling: of the features, for the head. steps: in all. seed: decides what is dropped out.
    """

    def __init__(
        self, tail: Any, whole: Any, classes: int, scaling: Scaling, *, steps: int, seed: int
    ) -> None:
        tf = tensorflow()
        import keras

        features = tail.output.shape[-1]
        self._tail = tail
        self._whole = whole
        self._scaling = scaling
        self._weights = keras.Variable(np.zeros((features, classes), np.float32), name="final_weights")
        self._bias = keras.Variable(np.zeros(classes, np.float32), name="final_biases")
        self._trained = [*tail.trainable_variables, self._weights, self._bias]
        optimizer = keras.optimizers.AdamW(
            keras.optimizers.schedules.CosineDecay(_LEARNING_RATE, steps), weight_decay=_WEIGHT_DECAY
        )
        optimizer.exclude_from_weight_decay([v for v in self._trained if len(v.shape) == 1])
        optimizer.build(self._trained)
        self._optimizer = optimizer

        def scaled(features: Any) -> Any:
            return (features - scaling.mean) / scaling.deviation

        def logits(features: Any) -> Any:
            return tf.matmul(features, self._weights) + self._bias

        def step(windows: Any, labels: Any, number: Any) -> Any:
            truth = tf.one_hot(labels, classes)
            aim = truth * (1 - _LABEL_SMOOTHING) + _LABEL_SMOOTHING / classes
            with tf.GradientTape() as tape:
                features = scaled(tail(windows, training=False))
                answers = logits(
                    tf.nn.experimental.stateless_dropout(features, _DROPOUT, seed=[seed, number])
                )
                loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(aim, answers))
            optimizer.apply(tape.gradient(loss, self._trained), self._trained)
            right = tf.argmax(answers, axis=1, output_type=tf.int32) == labels
            surprise = tf.nn.softmax_cross_entropy_with_logits(truth, answers)
            return tf.reduce_mean(tf.cast(right, tf.float32)), tf.reduce_mean(surprise)

        windows, maps = (tf.TensorSpec(model.input.shape, tf.float32) for model in (tail, whole))
        labels, number = tf.TensorSpec((None,), tf.int32), tf.TensorSpec((), tf.int32)
        self._step = tf.function(step, input_signature=[windows, labels, number], autograph=False)
        self._answer = tf.function(
            lambda maps: logits(scaled(whole(maps, training=False))), input_signature=[maps], autograph=False
        )

    @property
    def window(self) -> tuple[int, int]:
        """Height and width of the windows that a step is shown."""
        _pictures, height, width, _channels = self._tail.input.shape
        return height, width

    def step(self, windows: npt.NDArray[np.float16], labels: IndexArray, number: int) -> tuple[float, float]:
        """Take a step; return accuracy and cross-entropy on the batch before it, with dropout.

        windows: float16, (N, *window, channels); labels: int, (N,); number: the step's, from 1.
        """
        # Widened here: TensorFlow grumbles at every process that shows it a float16.
        accuracy, cross_entropy = self._step(windows.astype(np.float32), labels.astype(np.int32), number)
        return float(accuracy), float(cross_entropy)

    def logits(self, maps: npt.NDArray[np.float16]) -> Float32Array:
        """Return float32, (N, classes), for whole maps, float16, (N, h, w, channels)."""
        pairs = zip(self._whole.trainable_variables, self._tail.trainable_variables, strict=True)
        for variable, trained in pairs:
            variable.assign(trained)
        return in_batches(self._answer, maps, self._bias.shape[0])

    def head(self) -> Head:
        """Return the head as it is, for features as they come."""
        return Head(*self._scaling.fold(self._weights.numpy(), self._bias.numpy()))

    def tuned(self) -> dict[str, Float32Array]:
        """Return the tail's trained weights: by layer and variable, as `tune` takes them."""
        return {
            f"{layer.name}/{variable.name}": variable.numpy()
            for layer in self._tail.layers
            for variable in layer.trainable_variables
        }

    def arrays(self) -> list[npt.NDArray[Any]]:
        """Return all that the next step hangs on."""
        return [variable.numpy() for variable in (*self._trained, *self._optimizer.variables)]

    def restore(self, arrays: list[npt.NDArray[Any]]) -> None:
        """Go back to what `arrays` gave. Raises ValueError where they are another network's."""
        variables = (*self._trained, *self._optimizer.variables)
        if [tuple(v.shape) for v in variables] != [a.shape for a in arrays]:
            raise ValueError("expected the arrays of this very network")
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(array)
