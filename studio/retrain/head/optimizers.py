"""The compiled optimizer steps that train a softmax layer: SGD, SGD with momentum, and Adam."""

from collections.abc import Callable
from functools import cache
from typing import Any

from studio.backbones.interpreter import tensorflow
from studio.retrain.options import Optimizer

MOMENT_COUNTS: dict[Optimizer, int] = {"sgd": 0, "momentum": 1, "adam": 2}
"""Number of moments that an optimizer keeps of each weight."""
_MOMENTUM = 0.9
_DECAYS = 0.9, 0.999
_EPSILON = 1e-7


@cache
def optimizer_steps(optimizer: Optimizer) -> Callable[..., Any]:
    """Return a compiled function that takes several optimizer steps on softmax cross-entropy.

    Its arguments:
    layer: weights (features, classes), bias (classes,), and the moments of both, with `MOMENT_COUNTS` as
    first dimension; vectors: (steps, batch, features); labels: (steps, batch); first_step: number of steps
    taken before; learning_rate; l2: weight of half the squared weights in the loss.
    It returns the layer, and accuracy and cross-entropy, (steps,), on each batch before its step.

    Momentum: Polyak 1964, as TensorFlow's `MomentumOptimizer`; Adam: Kingma and Ba 2015.
    """
    tf = tensorflow()

    def update(value: Any, moments: Any, gradient: Any, step: Any, learning_rate: Any) -> tuple[Any, Any]:
        if optimizer == "sgd":
            return value - learning_rate * gradient, moments
        if optimizer == "momentum":
            velocity = _MOMENTUM * moments[0] + gradient
            return value - learning_rate * velocity, velocity[tf.newaxis]
        averages = [
            decay * moment + (1 - decay) * new
            for decay, moment, new in zip(
                _DECAYS, tf.unstack(moments, 2), (gradient, gradient**2), strict=True
            )
        ]
        steps_taken = tf.cast(step + 1, tf.float32)
        mean, square = (
            average / (1 - decay**steps_taken) for decay, average in zip(_DECAYS, averages, strict=True)
        )
        return value - learning_rate * mean / (tf.sqrt(square) + _EPSILON), tf.stack(averages)

    def take_steps(
        layer: Any, vectors: Any, labels: Any, first_step: Any, learning_rate: Any, l2: Any
    ) -> Any:
        steps = tf.shape(vectors)[0]

        def body(step: Any, layer: Any, accuracies: Any, cross_entropies: Any) -> Any:
            weights, bias, weight_moments, bias_moments = layer
            with tf.GradientTape() as tape:
                tape.watch((weights, bias))
                logits = vectors[step] @ weights + bias
                cross_entropy = tf.reduce_mean(
                    tf.nn.sparse_softmax_cross_entropy_with_logits(labels[step], logits)
                )
            gradients = tape.gradient(cross_entropy, (weights, bias))
            correct = tf.argmax(logits, axis=1, output_type=tf.int32) == labels[step]
            at_step = first_step + step, learning_rate
            weights, weight_moments = update(weights, weight_moments, gradients[0] + l2 * weights, *at_step)
            bias, bias_moments = update(bias, bias_moments, gradients[1], *at_step)
            return (
                step + 1,
                (weights, bias, weight_moments, bias_moments),
                accuracies.write(step, tf.reduce_mean(tf.cast(correct, tf.float32))),
                cross_entropies.write(step, cross_entropy),
            )

        start = (0, layer, tf.TensorArray(tf.float32, steps), tf.TensorArray(tf.float32, steps))
        _step, layer, accuracies, cross_entropies = tf.while_loop(
            lambda step, *_rest: step < steps, body, start
        )
        return layer, accuracies.stack(), cross_entropies.stack()

    # Open shapes: the function is traced once for all runs of a process.
    moments = MOMENT_COUNTS[optimizer]
    layer = [
        tf.TensorSpec(shape, tf.float32)
        for shape in ((None, None), (None,), (moments, None, None), (moments, None))
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
    compiled: Callable[..., Any] = tf.function(
        take_steps, input_signature=[tuple(layer), *rest], autograph=False
    )
    return compiled
