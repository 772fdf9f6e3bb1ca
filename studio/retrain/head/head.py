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
from studio.retrain.head.checkpoint import BestHead, TrainingState
from studio.retrain.head.dataset import BatchSampler, FeatureScaling, HeadDataset, sample_balanced
from studio.retrain.head.optimizers import MOMENT_COUNTS, optimizer_steps
from studio.retrain.options import RunOptions

L2_CANDIDATES = (0.0, 0.001, 0.01, 0.1)
"""The values among which the validation images choose where `RunOptions.l2` is None."""
_INITIAL_STD = 0.001
_TRUNCATION = 2.0
"""Standard deviations beyond which a truncated normal distribution draws again."""
_STEPS_PER_CALL = 10
"""Optimizer steps per compiled call; limits the rows in memory to this many batches."""
_REPORT_INTERVAL_S = 0.25
_CHECKPOINT_INTERVAL_S = 1.0


@dataclass(frozen=True)
class Head:
    """A linear layer for unscaled features.

    weights: float32, (features, classes); bias: float32, (classes,).
    """

    weights: Float32Array
    bias: Float32Array

    def probabilities(self, features: Float32Array) -> Float32Array:
        """Return the softmax, float32, (N, classes), of features, float32, (N, features)."""
        return softmax(self.logits(features))

    def logits(self, features: Float32Array) -> Float32Array:
        """Return the logits, float32, (N, classes), of features, float32, (N, features)."""
        return np.asarray(features @ self.weights + self.bias, np.float32)


@dataclass(frozen=True)
class HeadCallback:
    """A callback that receives the head during training.

    every: number of steps between two calls; on_step: called with (step, head); at_end: also call it after
    the last step.
    """

    every: int
    on_step: Callable[[int, Head], None]
    at_end: bool = False


@dataclass(frozen=True)
class TrainingContext:
    """The checkpoint, progress and callbacks of one training.

    checkpoint: file that an interrupted training resumes from; the caller removes it when the run is
    finished.
    identity: stored in the checkpoint; a checkpoint with another identity is ignored.
    on_points: receives the curve. callbacks: do not receive again what they received before a resume.
    """

    checkpoint: Path
    identity: str
    progress: Progress
    on_points: OnPoints
    callbacks: Sequence[HeadCallback] = ()


@dataclass(frozen=True)
class TrainedHead:
    """A trained head: the best on the validation images, or the last one without validation images.

    step: after which it was reached; validation: its point, None without validation images.
    steps: number of steps taken in all; stopped_early: whether `patience` ended training.
    l2: as given or as chosen. seconds: of training.
    """

    head: Head
    step: int
    validation: CurvePoint | None
    steps: int
    stopped_early: bool
    l2: float
    seconds: float


@dataclass(frozen=True)
class TrainingConventions:
    """The parts of training in which the studio and `retrain.py` differ.

    scaling: of the features; `retrain.py` does not scale them.
    initial_weights: float32, (features, classes).
    step_offset: how many less a step's number is than the steps taken at its end; `retrain.py` counts from 0.
    keep_best: whether to return the best head on the validation images, or the last one.
    """

    scaling: FeatureScaling
    initial_weights: Float32Array
    step_offset: int
    keep_best: bool

    @classmethod
    def of(cls, dataset: HeadDataset, options: RunOptions) -> "TrainingConventions":
        """Return the conventions that `options.compat` selects."""
        shape = dataset.vectors.shape[1], dataset.classes
        if not options.compat:
            return cls(FeatureScaling.of(dataset), np.zeros(shape, np.float32), 0, True)
        unscaled = FeatureScaling(np.zeros(shape[0], np.float32), np.float32(1))
        return cls(unscaled, _truncated_normal(shape, options.seed), 1, False)

    def next_step(self, step: int, interval: int) -> int:
        """Return the next number of steps, above `step`, at which `interval` divides the step's number."""
        return step + interval - (step - self.step_offset) % interval


def search_l2(
    dataset: HeadDataset, options: RunOptions, context: TrainingContext
) -> tuple[TrainedHead, tuple[TrainedHead, ...]]:
    """Train a head, for each of `L2_CANDIDATES` if `options.l2` is None; return the best head, and all.

    Each head of several has its own checkpoint beside `context.checkpoint`, so that none is trained twice.
    Only the best one's points are reported, at the end, and callbacks are not called.
    """
    if options.l2 is not None:
        trained = fit_head(dataset, options, context)
        return trained, (trained,)

    def train(l2: float, on_points: OnPoints) -> TrainedHead:
        path = context.checkpoint
        own = replace(
            context,
            checkpoint=path.with_name(f"{path.stem}-{l2:g}{path.suffix}"),
            on_points=on_points,
            callbacks=(),
        )
        return fit_head(dataset, replace(options, l2=l2), own)

    heads = tuple(train(l2, lambda _points: None) for l2 in L2_CANDIDATES)
    # Without validation images all scores are equal, and the first candidate is used: no L2.
    best = max(heads, key=lambda trained: validation_score(trained.validation))
    train(best.l2, context.on_points)  # its checkpoint is complete: this only reports the points
    return best, heads


def fit_head(dataset: HeadDataset, options: RunOptions, context: TrainingContext) -> TrainedHead:
    """Train a head, resuming from the checkpoint if it belongs to this training.

    A batch depends on seed and step alone, and the checkpoint contains the optimizer's moments: an
    interrupted training resumes to exactly the same head. The checkpoint is written about once a second.
    options: `l2` must be a number; see `search_l2`.
    Raises Stopped, with the checkpoint written.
    """
    if options.l2 is None:
        raise ValueError("expected l2 as a number; got None, which search_l2 accepts")
    phase = _("Training")
    total = options.how_many_training_steps
    conventions = TrainingConventions.of(dataset, options)
    sampler = BatchSampler(dataset, options)
    validation = dataset.vectors[dataset.validation], dataset.labels[dataset.validation]
    state = TrainingState.read(context.checkpoint, context.identity) or _initial_state(conventions, options)
    started = time.monotonic() - state.elapsed_s
    reported, reported_at, saved_at = 0, -np.inf, time.monotonic()
    try:
        while state.step < total and not _patience_exceeded(state, options):
            context.progress.report(phase, state.step, total)
            intervals = [options.eval_step_interval, *(callback.every for callback in context.callbacks)]
            due = [conventions.next_step(state.step, interval) for interval in intervals]
            end = min(state.step + _STEPS_PER_CALL, total, *due)
            state = _train_steps(
                state, end, sampler, conventions, options, lambda: time.monotonic() - started
            )
            if end in (due[0], total):
                state = _validate(state, conventions, options, *validation)
            for callback, due_step in zip(context.callbacks, due[1:], strict=True):
                if end == due_step or (callback.at_end and end == total):
                    head = Head(*conventions.scaling.fold(*state.layer[:2]))
                    callback.on_step(end - conventions.step_offset, head)
            now = time.monotonic()
            if now - reported_at > _REPORT_INTERVAL_S:
                context.on_points(state.points[reported:])
                reported, reported_at = len(state.points), now
            if now - saved_at > _CHECKPOINT_INTERVAL_S:
                state.write(context.checkpoint, context.identity)
                saved_at = now
    finally:
        # Also on Stop, so that no step is computed twice.
        state.write(context.checkpoint, context.identity)
    context.on_points(state.points[reported:])
    context.progress.report(phase, total, total)
    layer, validation_point = state.layer[:2], state.last_validation
    step = state.step - conventions.step_offset
    if state.best is not None and conventions.keep_best:
        layer, validation_point = (state.best.weights, state.best.bias), state.best.point
        step = validation_point.step
    return TrainedHead(
        Head(*conventions.scaling.fold(*layer)),
        step,
        validation_point,
        state.step,
        state.step < total,
        options.l2,
        state.elapsed_s,
    )


def validation_score(point: CurvePoint | None) -> tuple[float, float]:
    """Return the values that two validation points are compared by: accuracy, then cross-entropy."""
    return (0.0, 0.0) if point is None else (point.accuracy, -point.cross_entropy)


def softmax(logits: Float32Array) -> Float32Array:
    """Return probabilities: float32, (N, classes), for logits of that shape."""
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponents / exponents.sum(axis=1, keepdims=True), np.float32)


def evaluate_probabilities(probabilities: Float32Array, labels: IndexArray) -> tuple[float, float]:
    """Return accuracy, 0-1, and cross-entropy in nats. probabilities: (N, classes); labels: (N,)."""
    of_label = probabilities[np.arange(len(labels)), labels]
    return (
        float(np.mean(probabilities.argmax(axis=1) == labels)),
        float(-np.mean(np.log(np.maximum(of_label, np.finfo(np.float32).tiny)))),
    )


def _truncated_normal(shape: tuple[int, int], seed: int) -> Float32Array:
    generator = np.random.default_rng(seed)
    drawn = generator.standard_normal(shape)
    while (beyond := np.abs(drawn) > _TRUNCATION).any():
        drawn[beyond] = generator.standard_normal(np.count_nonzero(beyond))
    return (_INITIAL_STD * drawn).astype(np.float32)


def _initial_state(conventions: TrainingConventions, options: RunOptions) -> TrainingState:
    weights = conventions.initial_weights
    moments = MOMENT_COUNTS[options.optimizer]
    shapes = (weights.shape[1:], (moments, *weights.shape), (moments, *weights.shape[1:]))
    return TrainingState((weights, *(np.zeros(shape, np.float32) for shape in shapes)))


def _patience_exceeded(state: TrainingState, options: RunOptions) -> bool:
    return 0 < options.patience <= state.validations_since_best


def _train_steps(
    state: TrainingState,
    end: int,
    sampler: BatchSampler,
    conventions: TrainingConventions,
    options: RunOptions,
    elapsed_s: Callable[[], float],
) -> TrainingState:
    """Return the state after the steps up to `end`."""
    steps = range(state.step + 1, end + 1)
    vectors, labels = sampler(steps)
    layer, accuracies, cross_entropies = optimizer_steps(options.optimizer)(
        state.layer, conventions.scaling(vectors), labels, state.step, options.learning_rate, options.l2
    )
    now_s = elapsed_s()
    # Time is measured once per call and divided evenly among its steps.
    times = np.linspace(state.elapsed_s, now_s, len(steps) + 1)[1:]
    points = [
        CurvePoint(step - conventions.step_offset, "training", *map(float, values))
        for step, *values in zip(steps, accuracies.numpy(), cross_entropies.numpy(), times, strict=True)
    ]
    return TrainingState(
        tuple(array.numpy() for array in layer), end, [*state.points, *points], state.best, now_s
    )


def _validate(
    state: TrainingState,
    conventions: TrainingConventions,
    options: RunOptions,
    features: Float32Array,
    labels: IndexArray,
) -> TrainingState:
    """Return the state with a validation point, if there are validation images."""
    if not len(labels):
        return state
    if options.validation_batch_size > 0:
        # The third number makes this differ from the draw of the training batch.
        generator = np.random.default_rng([options.seed, state.step, 1])
        sample = sample_balanced(labels, options.validation_batch_size, generator)
        features, labels = features[sample], labels[sample]
    probabilities = Head(*conventions.scaling.fold(*state.layer[:2])).probabilities(features)
    metrics = evaluate_probabilities(probabilities, labels)
    point = CurvePoint(state.step - conventions.step_offset, "validation", *metrics, state.elapsed_s)
    best = state.best
    if best is None or validation_score(point) > validation_score(best.point):
        best = BestHead(state.layer[0], state.layer[1], point)
    return replace(state, points=[*state.points, point], best=best)
