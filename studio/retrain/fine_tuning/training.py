"""The steps that train a network's tail: what is drawn, what is told, and what a killed run goes on from."""

import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from studio.arrays import Float32Array, IndexArray
from studio.backbones.interpreter import tensorflow
from studio.files import atomic_bytes
from studio.i18n import _
from studio.progress import Progress
from studio.retrain.curve import CurvePoint, OnPoints
from studio.retrain.fine_tuning.features import DeepLesson
from studio.retrain.fine_tuning.network import mixed
from studio.retrain.head.checkpoint import points_as_array, points_of_array
from studio.retrain.head.dataset import Scaling
from studio.retrain.head.head import Head, judged, softmax
from studio.retrain.options import RunOptions

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
        _images, height, width, _channels = self._tail.input.shape
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


_POINTS_S = 0.5
_CHECKPOINT_S = 15.0


def train_tail(
    tuner: Tuner,
    lesson: DeepLesson,
    options: RunOptions,
    *,
    beside: Float32Array,
    checkpoint: Path,
    identity: str,
    progress: Progress,
    on_points: OnPoints,
) -> list[CurvePoint]:
    """Take the tuner through `options.fine_tune_epochs`, and return all points.

    The last weights stand, not the best: on a cosine the end is where the steps are small. Points are told of
    the training batch at each step and, after each epoch, of the validation images: those as the model
    answers that will be kept, together with what stands beside the tuner.
    beside: its logits on the validation images, float32, (M, classes).
    checkpoint, identity: as in `train_head`; written a few times a minute, for it is large.
    Raises Stopped, with the checkpoint written.
    """
    phase = _("Fine-tuning")
    epoch_steps = lesson.epoch_steps
    total = options.fine_tune_epochs * epoch_steps
    step, points, elapsed_s = _read(checkpoint, identity, tuner)
    began = time.monotonic() - elapsed_s
    told, told_at, saved_at = 0, -np.inf, time.monotonic()
    batches: list[IndexArray] = []
    try:
        while step < total:
            progress.report(phase, step, total)
            epoch, place = divmod(step, epoch_steps)
            if place == 0 or not batches:
                # All equally large: a last one of a few left-over images would be a step of chance.
                batches = np.array_split(_epoch(lesson, options, epoch), epoch_steps)
            some = batches[place]
            generator = np.random.default_rng([options.seed, step, 1])
            views = generator.integers(0, lesson.training.shape[1], len(some))
            windows = _window(lesson.training[some, views], tuner.window, generator)
            judgement = tuner.step(windows, lesson.labels[some], step + 1)
            step += 1
            elapsed_s = time.monotonic() - began
            points.append(CurvePoint(step, "training", *judgement, elapsed_s))
            if step % epoch_steps == 0 and len(lesson.validation):
                answers = softmax(mixed(tuner.logits(lesson.validation), beside))
                elapsed_s = time.monotonic() - began
                judgement = judged(answers, lesson.validation_labels)
                points.append(CurvePoint(step, "validation", *judgement, elapsed_s))
            now = time.monotonic()
            if now - told_at > _POINTS_S:
                on_points(points[told:])
                told, told_at = len(points), now
            if now - saved_at > _CHECKPOINT_S:
                _write(checkpoint, identity, tuner, step, points, elapsed_s)
                saved_at = now
    finally:
        # Also on Stop: what was done is not done again.
        _write(checkpoint, identity, tuner, step, points, elapsed_s)
    on_points(points[told:])
    progress.report(phase, total, total)
    return points


def _window(
    maps: npt.NDArray[np.float16], size: tuple[int, int], generator: np.random.Generator
) -> npt.NDArray[np.float16]:
    """Return one window of a batch's maps, anywhere: float16, (N, h, w, channels) to (N, *size, channels)."""
    top, left = generator.integers(0, np.subtract(maps.shape[1:3], size) + 1)
    return maps[:, top : top + size[0], left : left + size[1]]


def _epoch(lesson: DeepLesson, options: RunOptions, epoch: int) -> IndexArray:
    """Return an epoch's rows in their order: int, (N,); each about once, or classes alike."""
    generator = np.random.default_rng([options.seed, epoch])
    count = len(lesson.labels)
    if options.class_weighting == "none":
        return generator.permutation(count)
    classes = [np.flatnonzero(lesson.labels == label) for label in np.unique(lesson.labels)]
    share = -(-count // len(classes))
    # A small class comes round again and again, a large one in part; none twice before all of it once.
    dealt = [
        np.concatenate([generator.permutation(rows) for _round in range(-(-share // len(rows)))])[:share]
        for rows in classes
    ]
    return np.asarray(generator.permutation(np.concatenate(dealt))[:count])


def _write(
    path: Path, identity: str, tuner: Tuner, step: int, points: list[CurvePoint], elapsed_s: float
) -> None:
    arrays = {f"array_{at:04d}": array for at, array in enumerate(tuner.arrays())}
    arrays |= {"points": points_as_array(points), "at": np.array([step, elapsed_s])}
    with atomic_bytes(path) as file:
        np.savez(file, identity=np.array(identity), **arrays)  # type: ignore[arg-type]


def _read(path: Path, identity: str, tuner: Tuner) -> tuple[int, list[CurvePoint], float]:
    """Put the tuner where a checkpoint stands; return the steps, points and seconds till there."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if str(arrays["identity"]) != identity:
                return 0, [], 0.0
            step, elapsed_s = arrays["at"].tolist()
            points = points_of_array(arrays["points"])
            tuner.restore([arrays[name] for name in sorted(arrays.files) if name.startswith("array_")])
            return int(step), points, elapsed_s
    except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile):
        return 0, [], 0.0  # nothing there, damaged, or another run's
