"""The steps that train a network's tail: what is drawn, what is told, and what a killed run goes on from."""

import time
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from studio.arrays import Float32Array, IndexArray
from studio.atomic import atomic_bytes
from studio.language import _
from studio.progress import Progress
from studio.retrain.curve import CurvePoint, OnPoints
from studio.retrain.fine_tuning.deep_lesson import DeepLesson
from studio.retrain.fine_tuning.tuned_network import mixed
from studio.retrain.fine_tuning.tuner import Tuner
from studio.retrain.head.head import judged, softmax
from studio.retrain.head.training_state import points_as_array, points_of_array
from studio.retrain.options import RunOptions

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
    the training batch at each step and, after each epoch, of the validation pictures: those as the model
    answers that will be kept, together with what stands beside the tuner.
    beside: its logits on the validation pictures, float32, (M, classes).
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
                # All equally large: a last one of a few left-over pictures would be a step of chance.
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
