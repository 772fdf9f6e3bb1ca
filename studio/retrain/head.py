"""The softmax head: one linear layer on a backbone's features, trained by mini-batch gradient descent."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from studio.language import _
from studio.progress import Progress
from studio.retrain.curve import CurvePoint, OnPoints
from studio.retrain.options import RunOptions
from studio.retrain.quiet import tensorflow
from studio.retrain.training_state import Best, TrainingState

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.intp]

_CHUNK = 10
"""Steps between two looks at the clock; bounds the rows in memory to `_CHUNK * train_batch_size`."""
_POINTS_S = 0.25
_CHECKPOINT_S = 1.0


@dataclass(frozen=True)
class Head:
    """weights: float32, (features, classes); bias: float32, (classes,); for features as they come."""

    weights: Floats
    bias: Floats

    def probabilities(self, features: Floats) -> Floats:
        """Return the softmax: float32, (N, features) in, (N, classes) out."""
        logits = features @ self.weights + self.bias
        exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(exponents / exponents.sum(axis=1, keepdims=True), np.float32)


@dataclass(frozen=True)
class Lesson:
    """What a head learns from. vectors: float32, (N, features), in memory or mapped; labels: int, (N,).

    training, validation: int, rows of `vectors`. Every class has a row in `training`.
    """

    vectors: Floats
    labels: Ints
    training: Ints
    validation: Ints
    classes: int


@dataclass(frozen=True)
class TrainedHead:
    """The head that was best on the validation pictures, and after how many steps it was so.

    validation: that head's point; None without validation pictures, where the last head stands.
    """

    head: Head
    step: int
    validation: CurvePoint | None


@dataclass(frozen=True)
class _Scaling:
    """Centred features over one common deviation.

    One for all features, not one each: features that hardly vary would otherwise be raised to the others'
    level as noise. It folds into the layer afterwards.
    """

    mean: Floats
    deviation: np.float32

    @classmethod
    def of(cls, lesson: Lesson) -> "_Scaling":
        count = len(lesson.training)
        sums = np.zeros(lesson.vectors.shape[1])
        squares = np.zeros_like(sums)
        for rows in np.array_split(lesson.training, count // 4096 + 1):
            block = lesson.vectors[rows].astype(np.float64)
            sums += block.sum(axis=0)
            squares += (block**2).sum(axis=0)
        mean = sums / count
        variance = np.mean(squares / count - mean**2)
        return cls(mean.astype(np.float32), np.float32(np.sqrt(variance)) if variance > 0 else np.float32(1))

    def __call__(self, features: Floats) -> Floats:
        return (features - self.mean) / self.deviation

    def fold(self, weights: Floats, bias: Floats) -> Head:
        """Return the head that answers on unscaled features as these weights do on scaled ones."""
        folded = weights / self.deviation
        return Head(folded, np.asarray(bias - self.mean @ folded, np.float32))


def train_head(
    lesson: Lesson,
    options: RunOptions,
    *,
    checkpoint: Path,
    identity: str,
    progress: Progress,
    on_points: OnPoints,
) -> TrainedHead:
    """Train a head, going on from `checkpoint` if it holds a state of this very run.

    Each step draws classes, then pictures of them, both with replacement, as `retrain.py` does, so that
    classes count alike however many pictures they have. The draw depends on seed and step alone: a run
    that was killed goes on to exactly the head that it would have had.
    checkpoint: written about once a second; whoever calls removes it when the run is whole.
    identity: what the checkpoint must have been written with.
    Raises Stopped, with the checkpoint written.
    """
    phase = _("Training")
    total = options.how_many_training_steps
    scaling = _Scaling.of(lesson)
    draw = _Draw(lesson, options)
    validation = lesson.vectors[lesson.validation], lesson.labels[lesson.validation]
    state = TrainingState.read(checkpoint, identity)
    if state is None:
        features = lesson.vectors.shape[1]
        state = TrainingState(
            np.zeros((features, lesson.classes), np.float32), np.zeros(lesson.classes, np.float32)
        )
    told, told_at, saved_at = 0, -np.inf, time.monotonic()
    try:
        while state.step < total:
            progress.report(phase, state.step, total)
            interval = options.eval_step_interval
            end = min(state.step + _CHUNK, (state.step // interval + 1) * interval, total)
            state = _advance(state, end, draw, scaling, options.learning_rate)
            if end % interval == 0 or end == total:
                state = _validated(state, scaling, *validation)
            now = time.monotonic()
            if now - told_at > _POINTS_S:
                on_points(state.points[told:])
                told, told_at = len(state.points), now
            if now - saved_at > _CHECKPOINT_S:
                state.write(checkpoint, identity)
                saved_at = now
    finally:
        # Also on Stop: what was done is not done again.
        state.write(checkpoint, identity)
    on_points(state.points[told:])
    progress.report(phase, total, total)
    if state.best is None:
        return TrainedHead(scaling.fold(state.weights, state.bias), state.step, None)
    return TrainedHead(
        scaling.fold(state.best.weights, state.best.bias), state.best.point.step, state.best.point
    )


class _Draw:
    """The batches: float32, (steps, batch, features), unscaled, and int32 labels, (steps, batch)."""

    def __init__(self, lesson: Lesson, options: RunOptions) -> None:
        self._lesson = lesson
        self._options = options
        labels = lesson.labels[lesson.training]
        self._rows = [lesson.training[labels == label] for label in range(lesson.classes)]
        self._counts = np.array([len(rows) for rows in self._rows])

    def __call__(self, steps: range) -> tuple[Floats, npt.NDArray[np.int32]]:
        rows = np.stack([self._batch(step) for step in steps])
        return self._lesson.vectors[rows], self._lesson.labels[rows].astype(np.int32)

    def _batch(self, step: int) -> Ints:
        generator = np.random.default_rng([self._options.seed, step])
        size = self._options.train_batch_size
        labels = generator.integers(0, self._lesson.classes, size)
        places = (generator.random(size) * self._counts[labels]).astype(np.intp)
        return np.array([self._rows[label][place] for label, place in zip(labels, places, strict=True)])


def _advance(
    state: TrainingState, end: int, draw: _Draw, scaling: _Scaling, learning_rate: float
) -> TrainingState:
    steps = range(state.step + 1, end + 1)
    vectors, labels = draw(steps)
    results = gradient_descent()(state.weights, state.bias, scaling(vectors), labels, learning_rate)
    weights, bias, accuracies, cross_entropies = (result.numpy() for result in results)
    points = [
        CurvePoint(step, "training", float(accuracy), float(cross_entropy))
        for step, accuracy, cross_entropy in zip(steps, accuracies, cross_entropies, strict=True)
    ]
    return TrainingState(weights, bias, end, [*state.points, *points], state.best)


def _validated(state: TrainingState, scaling: _Scaling, features: Floats, labels: Ints) -> TrainingState:
    if not len(labels):
        return state
    probabilities = scaling.fold(state.weights, state.bias).probabilities(features)
    right = probabilities[np.arange(len(labels)), labels]
    point = CurvePoint(
        state.step,
        "validation",
        float(np.mean(probabilities.argmax(axis=1) == labels)),
        float(-np.mean(np.log(np.maximum(right, np.finfo(np.float32).tiny)))),
    )
    best = state.best
    if best is None or _merit(point) > _merit(best.point):
        best = Best(state.weights, state.bias, point)
    return TrainingState(state.weights, state.bias, state.step, [*state.points, point], best)


def _merit(point: CurvePoint) -> tuple[float, float]:
    return point.accuracy, -point.cross_entropy


@cache
def gradient_descent() -> Callable[..., Any]:
    """Return the compiled loop of plain gradient descent on softmax cross-entropy.

    It takes weights, bias, vectors (steps, batch, features), labels (steps, batch) and the learning rate,
    and returns weights, bias and, for each step, accuracy and cross-entropy on the batch before the step.
    """
    tf = tensorflow()

    def loop(weights: Any, bias: Any, vectors: Any, labels: Any, learning_rate: Any) -> Any:
        steps = tf.shape(vectors)[0]

        def body(step: Any, weights: Any, bias: Any, accuracies: Any, cross_entropies: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch((weights, bias))
                logits = vectors[step] @ weights + bias
                cross_entropy = tf.reduce_mean(
                    tf.nn.sparse_softmax_cross_entropy_with_logits(labels[step], logits)
                )
            slopes = tape.gradient(cross_entropy, (weights, bias))
            right = tf.argmax(logits, axis=1, output_type=tf.int32) == labels[step]
            return (
                step + 1,
                weights - learning_rate * slopes[0],
                bias - learning_rate * slopes[1],
                accuracies.write(step, tf.reduce_mean(tf.cast(right, tf.float32))),
                cross_entropies.write(step, cross_entropy),
            )

        start = (0, weights, bias, tf.TensorArray(tf.float32, steps), tf.TensorArray(tf.float32, steps))
        _step, weights, bias, accuracies, cross_entropies = tf.while_loop(
            lambda step, *_rest: step < steps, body, start
        )
        return weights, bias, accuracies.stack(), cross_entropies.stack()

    # Open shapes: traced once for all runs of a process.
    signature = [
        tf.TensorSpec(shape, dtype)
        for shape, dtype in (
            ((None, None), tf.float32),
            ((None,), tf.float32),
            ((None, None, None), tf.float32),
            ((None, None), tf.int32),
            ((), tf.float32),
        )
    ]
    compiled: Callable[..., Any] = tf.function(loop, input_signature=signature, autograph=False)
    return compiled
