"""What a head learns from, on which scale, and in which batches."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from studio.arrays import Float32Array, IndexArray
from studio.retrain.options import RunOptions
from studio.retrain.snapshot import Snapshot


@dataclass(frozen=True)
class Lesson:
    """What a head learns from. vectors: float32, (N, features), in memory or mapped; labels: int, (N,).

    training, validation: int, rows of `vectors`. Every class has a row in `training`.
    views: int, (len(training), V), the rows that show each image of `training`, its own among them where it
    is meant; None where each has only its own.
    """

    vectors: Float32Array
    labels: IndexArray
    training: IndexArray
    validation: IndexArray
    classes: int
    views: IndexArray | None = None


@dataclass(frozen=True)
class Scaling:
    """Centred features over one common deviation.

    One for all features, not one each: features that hardly vary would otherwise be raised to the others'
    level as noise. It folds into the layer afterwards.
    """

    mean: Float32Array
    deviation: np.float32

    @classmethod
    def of(cls, lesson: Lesson) -> "Scaling":
        """Measure the training images, a few thousand at a time."""
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

    def __call__(self, features: Float32Array) -> Float32Array:
        """Return the features on the scale: float32, of the same shape."""
        return (features - self.mean) / self.deviation

    def fold(self, weights: Float32Array, bias: Float32Array) -> tuple[Float32Array, Float32Array]:
        """Return the layer that answers on unscaled features as these weights do on scaled ones."""
        folded = weights / self.deviation
        return folded, np.asarray(bias - self.mean @ folded, np.float32)


class Draw:
    """The batches: float32, (steps, batch, features), unscaled, and int32 labels, (steps, batch).

    Each hangs on seed and step alone. With replacement; "balanced" draws classes, then images of them, as
    `retrain.py` does, so that classes count alike however many images they have. Of an image with several
    views one is drawn.
    """

    def __init__(self, lesson: Lesson, options: RunOptions) -> None:
        self._lesson = lesson
        self._options = options
        labels = lesson.labels[lesson.training]
        self._by_class = np.argsort(labels, kind="stable")
        self._counts = np.bincount(labels, minlength=lesson.classes)
        self._starts = np.cumsum(self._counts) - self._counts

    def __call__(self, steps: range) -> tuple[Float32Array, npt.NDArray[np.int32]]:
        """Return the batches of some steps."""
        rows = np.stack([self._batch(step) for step in steps])
        return self._lesson.vectors[rows], self._lesson.labels[rows].astype(np.int32)

    def _batch(self, step: int) -> IndexArray:
        generator = np.random.default_rng([self._options.seed, step])
        size = self._options.train_batch_size
        if self._options.class_weighting == "balanced":
            labels = generator.integers(0, self._lesson.classes, size)
            places = (generator.random(size) * self._counts[labels]).astype(np.intp)
            images = self._by_class[self._starts[labels] + places]
        else:
            images = generator.integers(0, len(self._lesson.training), size)
        views = self._lesson.views
        if views is None:
            return np.asarray(self._lesson.training[images])
        return np.asarray(views[images, generator.integers(0, views.shape[1], size)])


def sampled(labels: IndexArray, size: int, generator: np.random.Generator) -> IndexArray:
    """Return places in `labels`: all, in order, where size is -1, and else `size` of them, drawn.

    labels: int, (N,). A class is drawn first, then one of its places; classes without any are not drawn.
    """
    if size < 0 or not len(labels):
        return np.arange(len(labels))
    places = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    chosen = generator.integers(0, len(places), size)
    chances = generator.random(size)
    return np.array(
        [places[at][int(chance * len(places[at]))] for at, chance in zip(chosen, chances, strict=True)],
        np.intp,
    )


def tested_places(snapshot: Snapshot, options: RunOptions) -> IndexArray:
    """Return the places, among a snapshot's testing examples, of those that `test_batch_size` has asked."""
    labels = [snapshot.classes.index(example.label) for example in snapshot.of_split("testing")]
    # A third number, so that this is no batch's draw.
    generator = np.random.default_rng([options.seed, options.how_many_training_steps, 2])
    return sampled(np.array(labels, np.intp), options.test_batch_size, generator)
