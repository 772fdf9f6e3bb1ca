"""The softmax head: one linear layer on a backbone's features, trained by mini-batch gradient descent."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from studio.arrays import Float32Array, IndexArray
from studio.i18n import _
from studio.progress import Progress
from studio.retrain.curve import CurvePoint, OnPoints
from studio.retrain.head.checkpoint import Best, TrainingState
from studio.retrain.head.dataset import Draw, Lesson, Scaling, sampled
from studio.retrain.head.optimizers import MOMENTS, descent
from studio.retrain.options import RunOptions

_DEVIATION = 0.001
_WITHIN = 2.0
"""Deviations: what a truncated normal draws beyond them is drawn again."""


@dataclass(frozen=True)
class Manner:
    """How a head is trained.

    scaling: of the features; the peer takes them as they come.
    weights: the first ones, float32, (features, classes).
    behind: how much less a step's number is than the steps taken by its end; the peer counts from 0.
    keeps_best: whether the head that was best on the validation images stands, or the last.
    """

    scaling: Scaling
    weights: Float32Array
    behind: int
    keeps_best: bool

    @classmethod
    def of(cls, lesson: Lesson, options: RunOptions) -> "Manner":
        """Return the manner that `options.compat` asks for."""
        shape = lesson.vectors.shape[1], lesson.classes
        if not options.compat:
            return cls(Scaling.of(lesson), np.zeros(shape, np.float32), 0, True)
        as_they_come = Scaling(np.zeros(shape[0], np.float32), np.float32(1))
        return cls(as_they_come, _truncated_normal(shape, options.seed), 1, False)

    def next_due(self, step: int, interval: int) -> int:
        """Return after how many steps, more than `step`, `interval` divides the last one's number."""
        return step + interval - (step - self.behind) % interval


def _truncated_normal(shape: tuple[int, int], seed: int) -> Float32Array:
    generator = np.random.default_rng(seed)
    drawn = generator.standard_normal(shape)
    while (beyond := np.abs(drawn) > _WITHIN).any():
        drawn[beyond] = generator.standard_normal(np.count_nonzero(beyond))
    return (_DEVIATION * drawn).astype(np.float32)


L2S = (0.0, 0.001, 0.01, 0.1)
"""What is tried where the validation images choose."""
_CHUNK = 10
"""Steps between two looks at the clock; bounds the rows in memory to `_CHUNK * train_batch_size`."""
_POINTS_S = 0.25
_CHECKPOINT_S = 1.0


@dataclass(frozen=True)
class Head:
    """weights: float32, (features, classes); bias: float32, (classes,); for features as they come."""

    weights: Float32Array
    bias: Float32Array

    def probabilities(self, features: Float32Array) -> Float32Array:
        """Return the softmax: float32, (N, features) in, (N, classes) out."""
        return softmax(self.logits(features))

    def logits(self, features: Float32Array) -> Float32Array:
        """Return float32, (N, classes), for features, float32, (N, features)."""
        return np.asarray(features @ self.weights + self.bias, np.float32)


@dataclass(frozen=True)
class Watch:
    """Somebody who is shown the head each `every` steps: see(step, head). last: and after the last one."""

    every: int
    see: Callable[[int, Head], None]
    last: bool = False


@dataclass(frozen=True)
class TrainedHead:
    """The head that was best on the validation images, and after how many steps it was so.

    validation: that head's point; None without validation images, where the last head stands.
    steps: all that were taken; stopped_early: whether patience ended them. l2: as it was, given or chosen.
    """

    head: Head
    step: int
    validation: CurvePoint | None
    steps: int
    stopped_early: bool
    l2: float
    seconds: float


def choose_l2(
    lesson: Lesson,
    options: RunOptions,
    *,
    checkpoint: Path,
    identity: str,
    progress: Progress,
    on_points: OnPoints,
    watches: Sequence[Watch] = (),
) -> tuple[TrainedHead, tuple[TrainedHead, ...]]:
    """Train one head, or, where `options.l2` is None, one for each of `L2S`; return the best, and all.

    Arguments as in `train_head`; each head has a checkpoint of its own beside `checkpoint`, so that none is
    trained twice. Only the best one's points are told, once it is known; several are not watched.
    """
    if options.l2 is not None:
        only = train_head(
            lesson,
            options,
            checkpoint=checkpoint,
            identity=identity,
            progress=progress,
            on_points=on_points,
            watches=watches,
        )
        return only, (only,)

    def train(l2: float, on_points: OnPoints) -> TrainedHead:
        return train_head(
            lesson,
            replace(options, l2=l2),
            checkpoint=checkpoint.with_name(f"{checkpoint.stem}-{l2:g}{checkpoint.suffix}"),
            identity=identity,
            progress=progress,
            on_points=on_points,
        )

    heads = tuple(train(l2, lambda _points: None) for l2 in L2S)
    # Without validation images all are alike, and the first stands: no L2.
    best = max(heads, key=lambda trained: merit(trained.validation))
    train(best.l2, on_points)  # nothing is left to train: it only tells
    return best, heads


def train_head(
    lesson: Lesson,
    options: RunOptions,
    *,
    checkpoint: Path,
    identity: str,
    progress: Progress,
    on_points: OnPoints,
    watches: Sequence[Watch] = (),
) -> TrainedHead:
    """Train a head, going on from `checkpoint` if it holds a state of this very run.

    A batch depends on seed and step alone, and the optimizer's moments are in the checkpoint: a run that was
    killed goes on to exactly the head that it would have had.
    options: its l2 is a number; see `choose_l2`.
    checkpoint: written about once a second; whoever calls removes it when the run is whole.
    identity: what the checkpoint must have been written with.
    watches: are not shown again what a run that goes on had shown before.
    Raises Stopped, with the checkpoint written.
    """
    if options.l2 is None:
        raise ValueError("expected l2 as a number; got None, which choose_l2 understands")
    phase = _("Training")
    total = options.how_many_training_steps
    manner = Manner.of(lesson, options)
    draw = Draw(lesson, options)
    validation = lesson.vectors[lesson.validation], lesson.labels[lesson.validation]
    state = TrainingState.read(checkpoint, identity) or _beginning(manner, options)
    began = time.monotonic() - state.elapsed_s
    told, told_at, saved_at = 0, -np.inf, time.monotonic()
    try:
        while state.step < total and not _lost_patience(state, options):
            progress.report(phase, state.step, total)
            intervals = [options.eval_step_interval, *(watch.every for watch in watches)]
            due = [manner.next_due(state.step, interval) for interval in intervals]
            end = min(state.step + _CHUNK, total, *due)
            state = _advance(state, end, draw, manner, options, lambda: time.monotonic() - began)
            if end in (due[0], total):
                state = _validated(state, manner, options, *validation)
            for watch, next_due in zip(watches, due[1:], strict=True):
                if end == next_due or (watch.last and end == total):
                    watch.see(end - manner.behind, Head(*manner.scaling.fold(*state.layer[:2])))
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
    layer, validated = state.layer[:2], state.validated
    step = state.step - manner.behind
    if state.best is not None and manner.keeps_best:
        layer, validated = (state.best.weights, state.best.bias), state.best.point
        step = validated.step
    return TrainedHead(
        Head(*manner.scaling.fold(*layer)),
        step,
        validated,
        state.step,
        state.step < total,
        options.l2,
        state.elapsed_s,
    )


def merit(point: CurvePoint | None) -> tuple[float, float]:
    """Return what is compared of two validation points: accuracy, then cross-entropy."""
    return (0.0, 0.0) if point is None else (point.accuracy, -point.cross_entropy)


def _beginning(manner: Manner, options: RunOptions) -> TrainingState:
    weights, moments = manner.weights.shape, MOMENTS[options.optimizer]
    shapes = (weights[1:], (moments, *weights), (moments, *weights[1:]))
    return TrainingState((manner.weights, *(np.zeros(shape, np.float32) for shape in shapes)))


def _lost_patience(state: TrainingState, options: RunOptions) -> bool:
    return 0 < options.patience <= state.fruitless


def _advance(
    state: TrainingState,
    end: int,
    draw: Draw,
    manner: Manner,
    options: RunOptions,
    elapsed_s: Callable[[], float],
) -> TrainingState:
    steps = range(state.step + 1, end + 1)
    vectors, labels = draw(steps)
    layer, accuracies, cross_entropies = descent(options.optimizer)(
        state.layer, manner.scaling(vectors), labels, state.step, options.learning_rate, options.l2
    )
    now_s = elapsed_s()
    # The clock is looked at once a chunk; its steps stand evenly between two looks.
    times = np.linspace(state.elapsed_s, now_s, len(steps) + 1)[1:]
    points = [
        CurvePoint(step - manner.behind, "training", *map(float, values))
        for step, *values in zip(steps, accuracies.numpy(), cross_entropies.numpy(), times, strict=True)
    ]
    return TrainingState(
        tuple(array.numpy() for array in layer), end, [*state.points, *points], state.best, now_s
    )


def _validated(
    state: TrainingState, manner: Manner, options: RunOptions, features: Float32Array, labels: IndexArray
) -> TrainingState:
    if not len(labels):
        return state
    if options.validation_batch_size > 0:
        # A third number, so that this is not the training batch's draw.
        generator = np.random.default_rng([options.seed, state.step, 1])
        asked = sampled(labels, options.validation_batch_size, generator)
        features, labels = features[asked], labels[asked]
    probabilities = Head(*manner.scaling.fold(*state.layer[:2])).probabilities(features)
    judgement = judged(probabilities, labels)
    point = CurvePoint(state.step - manner.behind, "validation", *judgement, state.elapsed_s)
    best = state.best
    if best is None or merit(point) > merit(best.point):
        best = Best(state.layer[0], state.layer[1], point)
    return replace(state, points=[*state.points, point], best=best)


def softmax(logits: Float32Array) -> Float32Array:
    """Return probabilities: float32, (N, classes), for logits of that shape."""
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponents / exponents.sum(axis=1, keepdims=True), np.float32)


def judged(probabilities: Float32Array, labels: IndexArray) -> tuple[float, float]:
    """Return accuracy, 0-1, and cross-entropy, nats. probabilities: (N, classes); labels: (N,)."""
    right = probabilities[np.arange(len(labels)), labels]
    return (
        float(np.mean(probabilities.argmax(axis=1) == labels)),
        float(-np.mean(np.log(np.maximum(right, np.finfo(np.float32).tiny)))),
    )
