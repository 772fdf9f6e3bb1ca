"""Training of a network's trainable blocks: the optimizer step, the training loop and its checkpoint."""

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
from studio.retrain.curve import CurvePoint
from studio.retrain.fine_tuning.features import FeatureMapDataset
from studio.retrain.fine_tuning.network import mix_logits
from studio.retrain.head.checkpoint import points_from_array, points_to_array
from studio.retrain.head.dataset import FeatureScaling
from studio.retrain.head.head import Head, TrainingContext, evaluate_probabilities, softmax
from studio.retrain.options import RunOptions

_LEARNING_RATE = 5e-4
_WEIGHT_DECAY = 0.01
_DROPOUT = 0.2
_LABEL_SMOOTHING = 0.1
_PREDICT_BATCH_SIZE = 64
_REPORT_INTERVAL_S = 0.5
_CHECKPOINT_INTERVAL_S = 15.0


def predict_in_batches(
    model: Callable[[Any], Any], maps: npt.NDArray[np.float16], width: int
) -> Float32Array:
    """Return the outputs, float32, (N, width), of a Keras model or TensorFlow function on feature maps."""
    starts = range(0, len(maps), _PREDICT_BATCH_SIZE)
    parts = [model(maps[at : at + _PREDICT_BATCH_SIZE].astype(np.float32)).numpy() for at in starts]
    return np.concatenate([np.zeros((0, width), np.float32), *parts])


class BlockTrainer:
    """A trainer of blocks and a head by AdamW (Loshchilov and Hutter 2019) with cosine decay.

    Layers that behave differently in training, such as batch normalisation, run in inference mode.

    blocks: Keras model, from windows of feature maps, float32, (N, h, w, channels), to features, (N,
    features).
    full_blocks: the same blocks for whole feature maps; gets the trained weights before each prediction.
    scaling: of the features, for the head. steps: total number. seed: of the dropout.
    """

    def __init__(
        self, blocks: Any, full_blocks: Any, classes: int, scaling: FeatureScaling, *, steps: int, seed: int
    ) -> None:
        tf = tensorflow()
        import keras

        features = blocks.output.shape[-1]
        self._blocks = blocks
        self._full_blocks = full_blocks
        self._scaling = scaling
        self._weights = keras.Variable(np.zeros((features, classes), np.float32), name="final_weights")
        self._bias = keras.Variable(np.zeros(classes, np.float32), name="final_biases")
        self._trained = [*blocks.trainable_variables, self._weights, self._bias]
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
            one_hot = tf.one_hot(labels, classes)
            smoothed = one_hot * (1 - _LABEL_SMOOTHING) + _LABEL_SMOOTHING / classes
            with tf.GradientTape() as tape:
                features = scaled(blocks(windows, training=False))
                outputs = logits(
                    tf.nn.experimental.stateless_dropout(features, _DROPOUT, seed=[seed, number])
                )
                loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(smoothed, outputs))
            optimizer.apply(tape.gradient(loss, self._trained), self._trained)
            correct = tf.argmax(outputs, axis=1, output_type=tf.int32) == labels
            cross_entropy = tf.nn.softmax_cross_entropy_with_logits(one_hot, outputs)
            return tf.reduce_mean(tf.cast(correct, tf.float32)), tf.reduce_mean(cross_entropy)

        windows, maps = (tf.TensorSpec(model.input.shape, tf.float32) for model in (blocks, full_blocks))
        labels, number = tf.TensorSpec((None,), tf.int32), tf.TensorSpec((), tf.int32)
        self._step = tf.function(step, input_signature=[windows, labels, number], autograph=False)
        self._full_logits = tf.function(
            lambda maps: logits(scaled(full_blocks(maps, training=False))),
            input_signature=[maps],
            autograph=False,
        )

    @property
    def window(self) -> tuple[int, int]:
        """Height and width of the windows that a step takes."""
        _images, height, width, _channels = self._blocks.input.shape
        return height, width

    def step(self, windows: npt.NDArray[np.float16], labels: IndexArray, number: int) -> tuple[float, float]:
        """Take an optimizer step; return accuracy and cross-entropy on the batch before it, with dropout.

        windows: float16, (N, *window, channels); labels: int, (N,); number: of the step, from 1.
        """
        # Converted here: TensorFlow prints a warning in each process that passes it float16.
        accuracy, cross_entropy = self._step(windows.astype(np.float32), labels.astype(np.int32), number)
        return float(accuracy), float(cross_entropy)

    def logits(self, maps: npt.NDArray[np.float16]) -> Float32Array:
        """Return logits, float32, (N, classes), of whole feature maps, float16, (N, h, w, channels)."""
        pairs = zip(self._full_blocks.trainable_variables, self._blocks.trainable_variables, strict=True)
        for variable, trained in pairs:
            variable.assign(trained)
        return predict_in_batches(self._full_logits, maps, self._bias.shape[0])

    def head(self) -> Head:
        """Return the current head, for unscaled features."""
        return Head(*self._scaling.fold(self._weights.numpy(), self._bias.numpy()))

    def tuned_weights(self) -> dict[str, Float32Array]:
        """Return the blocks' current weights by "layer/variable", as `assign_weights` takes them."""
        return {
            f"{layer.name}/{variable.name}": variable.numpy()
            for layer in self._blocks.layers
            for variable in layer.trainable_variables
        }

    def state(self) -> list[npt.NDArray[Any]]:
        """Return the state that the next step depends on: weights and the optimizer's variables."""
        return [variable.numpy() for variable in (*self._trained, *self._optimizer.variables)]

    def restore(self, state: list[npt.NDArray[Any]]) -> None:
        """Restore what `state` returned. Raises ValueError for the state of another network."""
        variables = (*self._trained, *self._optimizer.variables)
        if [tuple(v.shape) for v in variables] != [a.shape for a in state]:
            raise ValueError("expected arrays of this network's shapes; got others")
        for variable, array in zip(variables, state, strict=True):
            variable.assign(array)


def train_blocks(
    trainer: BlockTrainer,
    dataset: FeatureMapDataset,
    options: RunOptions,
    context: TrainingContext,
    *,
    pretrained_logits: Float32Array,
) -> list[CurvePoint]:
    """Train blocks for `options.fine_tune_epochs`, and return all points of the curve.

    The last weights are used, not the best: with cosine decay, the last steps are the smallest. Each step
    adds a training point; each epoch adds a validation point, measured on the mixed logits that the finished
    model gives.
    pretrained_logits: of the pretrained blocks on the validation images, float32, (M, classes).
    context: the checkpoint is written a few times a minute, since it is large; callbacks are not called.
    Raises Stopped, with the checkpoint written.
    """
    phase = _("Fine-tuning")
    steps_per_epoch = dataset.steps_per_epoch
    total = options.fine_tune_epochs * steps_per_epoch
    checkpoint, identity = context.checkpoint, context.identity
    step, points, elapsed_s = _read_checkpoint(checkpoint, identity, trainer)
    started = time.monotonic() - elapsed_s
    reported, reported_at, saved_at = 0, -np.inf, time.monotonic()
    batches: list[IndexArray] = []
    try:
        while step < total:
            context.progress.report(phase, step, total)
            epoch, position = divmod(step, steps_per_epoch)
            if position == 0 or not batches:
                # Batches of equal size: a last one of a few images would add a step with a noisy gradient.
                batches = np.array_split(_epoch_order(dataset, options, epoch), steps_per_epoch)
            rows = batches[position]
            generator = np.random.default_rng([options.seed, step, 1])
            views = generator.integers(0, dataset.training.shape[1], len(rows))
            windows = _random_window(dataset.training[rows, views], trainer.window, generator)
            metrics = trainer.step(windows, dataset.labels[rows], step + 1)
            step += 1
            elapsed_s = time.monotonic() - started
            points.append(CurvePoint(step, "training", *metrics, elapsed_s))
            if step % steps_per_epoch == 0 and len(dataset.validation):
                probabilities = softmax(mix_logits(trainer.logits(dataset.validation), pretrained_logits))
                elapsed_s = time.monotonic() - started
                metrics = evaluate_probabilities(probabilities, dataset.validation_labels)
                points.append(CurvePoint(step, "validation", *metrics, elapsed_s))
            now = time.monotonic()
            if now - reported_at > _REPORT_INTERVAL_S:
                context.on_points(points[reported:])
                reported, reported_at = len(points), now
            if now - saved_at > _CHECKPOINT_INTERVAL_S:
                _write_checkpoint(checkpoint, identity, trainer, step, points, elapsed_s)
                saved_at = now
    finally:
        # Also on Stop, so that no step is computed twice.
        _write_checkpoint(checkpoint, identity, trainer, step, points, elapsed_s)
    context.on_points(points[reported:])
    context.progress.report(phase, total, total)
    return points


def _random_window(
    maps: npt.NDArray[np.float16], size: tuple[int, int], generator: np.random.Generator
) -> npt.NDArray[np.float16]:
    """Return a random window of a batch of maps: float16, (N, h, w, channels), to (N, *size, channels)."""
    top, left = generator.integers(0, np.subtract(maps.shape[1:3], size) + 1)
    return maps[:, top : top + size[0], left : left + size[1]]


def _epoch_order(dataset: FeatureMapDataset, options: RunOptions, epoch: int) -> IndexArray:
    """Return the rows of an epoch in their order, int, (N,): each once, or balanced by class."""
    generator = np.random.default_rng([options.seed, epoch])
    count = len(dataset.labels)
    if options.class_weighting == "none":
        return generator.permutation(count)
    classes = [np.flatnonzero(dataset.labels == label) for label in np.unique(dataset.labels)]
    share = -(-count // len(classes))
    # A small class is repeated, a large one used in part; no row is used twice before all of its class once.
    balanced = [
        np.concatenate([generator.permutation(rows) for _round in range(-(-share // len(rows)))])[:share]
        for rows in classes
    ]
    return np.asarray(generator.permutation(np.concatenate(balanced))[:count])


def _write_checkpoint(
    path: Path, identity: str, trainer: BlockTrainer, step: int, points: list[CurvePoint], elapsed_s: float
) -> None:
    arrays = {f"array_{at:04d}": array for at, array in enumerate(trainer.state())}
    arrays |= {"points": points_to_array(points), "at": np.array([step, elapsed_s])}
    with atomic_bytes(path) as file:
        np.savez(file, identity=np.array(identity), **arrays)  # type: ignore[arg-type]


def _read_checkpoint(path: Path, identity: str, trainer: BlockTrainer) -> tuple[int, list[CurvePoint], float]:
    """Restore the trainer from a checkpoint; return its steps, points and seconds, or zeros without one."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if str(arrays["identity"]) != identity:
                return 0, [], 0.0
            step, elapsed_s = arrays["at"].tolist()
            points = points_from_array(arrays["points"])
            trainer.restore([arrays[name] for name in sorted(arrays.files) if name.startswith("array_")])
            return int(step), points, elapsed_s
    except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile):
        return 0, [], 0.0  # missing, damaged, or of another run
