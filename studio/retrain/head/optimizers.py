"""The compiled loops that train a softmax layer: gradient descent plain, with momentum, and Adam."""

from collections.abc import Callable
from functools import cache
from typing import Any

from studio.backbones.interpreter import tensorflow
from studio.retrain.options import Optimizer

MOMENTS: dict[Optimizer, int] = {"sgd": 0, "momentum": 1, "adam": 2}
"""Running averages that an optimizer keeps of each weight."""
_MOMENTUM = 0.9
_DECAYS = 0.9, 0.999
_EPSILON = 1e-7


@cache
def descent(optimizer: Optimizer) -> Callable[..., Any]:
    """Return the compiled loop of an optimizer on softmax cross-entropy.

    It takes a layer (weights (features, classes), bias (classes,), and the moments of both, each with the
    optimizer's `MOMENTS` in front), vectors (steps, batch, features), labels (steps, batch), the number of
    steps taken before, the learning rate and l2, the weight of half the squared weights; it returns the layer
    and, for each step, accuracy and cross-entropy on the batch before the step. Momentum: Polyak 1964, as
    TensorFlow's `MomentumOptimizer`; Adam: Kingma and Ba 2015.
    """
    tf = tensorflow()

    def moved(value: Any, moments: Any, slope: Any, step: Any, learning_rate: Any) -> tuple[Any, Any]:
        if optimizer == "sgd":
            return value - learning_rate * slope, moments
        if optimizer == "momentum":
            speed = _MOMENTUM * moments[0] + slope
            return value - learning_rate * speed, speed[tf.newaxis]
        kept = [
            decay * moment + (1 - decay) * part
            for decay, moment, part in zip(_DECAYS, tf.unstack(moments, 2), (slope, slope**2), strict=True)
        ]
        taken = tf.cast(step + 1, tf.float32)
        mean, square = (moment / (1 - decay**taken) for decay, moment in zip(_DECAYS, kept, strict=True))
        return value - learning_rate * mean / (tf.sqrt(square) + _EPSILON), tf.stack(kept)

    def loop(layer: Any, vectors: Any, labels: Any, before: Any, learning_rate: Any, l2: Any) -> Any:
        steps = tf.shape(vectors)[0]

        def body(step: Any, layer: Any, accuracies: Any, cross_entropies: Any) -> Any:
            weights, bias, weight_moments, bias_moments = layer
            with tf.GradientTape() as tape:
                tape.watch((weights, bias))
                logits = vectors[step] @ weights + bias
                cross_entropy = tf.reduce_mean(
                    tf.nn.sparse_softmax_cross_entropy_with_logits(labels[step], logits)
                )
            slopes = tape.gradient(cross_entropy, (weights, bias))
            right = tf.argmax(logits, axis=1, output_type=tf.int32) == labels[step]
            at = before + step, learning_rate
            weights, weight_moments = moved(weights, weight_moments, slopes[0] + l2 * weights, *at)
            bias, bias_moments = moved(bias, bias_moments, slopes[1], *at)
            return (
                step + 1,
                (weights, bias, weight_moments, bias_moments),
                accuracies.write(step, tf.reduce_mean(tf.cast(right, tf.float32))),
                cross_entropies.write(step, cross_entropy),
            )

        start = (0, layer, tf.TensorArray(tf.float32, steps), tf.TensorArray(tf.float32, steps))
        _step, layer, accuracies, cross_entropies = tf.while_loop(
            lambda step, *_rest: step < steps, body, start
        )
        return layer, accuracies.stack(), cross_entropies.stack()

    # Open shapes: traced once for all runs of a process.
    count = MOMENTS[optimizer]
    layer = [
        tf.TensorSpec(shape, tf.float32)
        for shape in ((None, None), (None,), (count, None, None), (count, None))
    ]
    rest = [
        tf.TensorSpec(shape, dtype)
        for shape, dtype in (
            ((None, None, None), tf.float32),
            ((None, None), tf.int32),
            ((), tf.int32),
            ((), tf.float32),
            ((), tf.float32),
        )
    ]
    compiled: Callable[..., Any] = tf.function(loop, input_signature=[tuple(layer), *rest], autograph=False)
    return compiled
