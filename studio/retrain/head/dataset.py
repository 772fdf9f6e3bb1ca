"""The dataset of a head: its rows by split, the scaling of its features, and the sampling of batches."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from studio.arrays import Float32Array, IndexArray
from studio.retrain.options import RunOptions
from studio.retrain.snapshot import Snapshot


@dataclass(frozen=True)
class HeadDataset:
    """The features and labels that a head is trained and validated on.

    vectors: float32, (N, features), in memory or mapped. labels: int, (N,).
    training, validation: int, rows of `vectors` by split; `training` contains each class.
    classes: number of classes.
    views: int, (len(training), V), the rows of each training image's views, which may include its undistorted
    row; None if each image has only its own row.
    """

    vectors: Float32Array
    labels: IndexArray
    training: IndexArray
    validation: IndexArray
    classes: int
    views: IndexArray | None = None


@dataclass(frozen=True)
class FeatureScaling:
    """Scaling of features: centred, and divided by one common standard deviation.

    One deviation for all features: dividing each by its own would amplify features that hardly vary, which
    are noise. After training the scaling is folded into the layer.
    """

    mean: Float32Array
    deviation: np.float32

    @classmethod
    def of(cls, dataset: HeadDataset) -> "FeatureScaling":
        """Return the scaling measured on the training images, a few thousand rows at a time."""
        count = len(dataset.training)
        sums = np.zeros(dataset.vectors.shape[1])
        squares = np.zeros_like(sums)
        for rows in np.array_split(dataset.training, count // 4096 + 1):
            block = dataset.vectors[rows].astype(np.float64)
            sums += block.sum(axis=0)
            squares += (block**2).sum(axis=0)
        mean = sums / count
        variance = np.mean(squares / count - mean**2)
        return cls(mean.astype(np.float32), np.float32(np.sqrt(variance)) if variance > 0 else np.float32(1))

    def __call__(self, features: Float32Array) -> Float32Array:
        """Return scaled features: float32, of the same shape."""
        return (features - self.mean) / self.deviation

    def fold(self, weights: Float32Array, bias: Float32Array) -> tuple[Float32Array, Float32Array]:
        """Return weights and bias for unscaled features, with the same outputs as these on scaled ones."""
        folded = weights / self.deviation
        return folded, np.asarray(bias - self.mean @ folded, np.float32)


class BatchSampler:
    """A sampler of training batches, each determined by seed and step alone.

    Draws with replacement; "balanced" draws a class first and then one of its images, as `retrain.py` does,
    so that all classes have the same weight. For an image with several views it draws one of them.
    """

    def __init__(self, dataset: HeadDataset, options: RunOptions) -> None:
        self._dataset = dataset
        self._options = options
        labels = dataset.labels[dataset.training]
        self._by_class = np.argsort(labels, kind="stable")
        self._counts = np.bincount(labels, minlength=dataset.classes)
        self._starts = np.cumsum(self._counts) - self._counts

    def __call__(self, steps: range) -> tuple[Float32Array, npt.NDArray[np.int32]]:
        """Return features and labels of the batches of some steps.

        Features: float32, (steps, batch, features), unscaled. Labels: int32, (steps, batch).
        """
        rows = np.stack([self._batch(step) for step in steps])
        return self._dataset.vectors[rows], self._dataset.labels[rows].astype(np.int32)

    def _batch(self, step: int) -> IndexArray:
        generator = np.random.default_rng([self._options.seed, step])
        size = self._options.train_batch_size
        if self._options.class_weighting == "balanced":
            labels = generator.integers(0, self._dataset.classes, size)
            positions = (generator.random(size) * self._counts[labels]).astype(np.intp)
            images = self._by_class[self._starts[labels] + positions]
        else:
            images = generator.integers(0, len(self._dataset.training), size)
        views = self._dataset.views
        if views is None:
            return np.asarray(self._dataset.training[images])
        return np.asarray(views[images, generator.integers(0, views.shape[1], size)])


def sample_balanced(labels: IndexArray, size: int, generator: np.random.Generator) -> IndexArray:
    """Return `size` random indices into `labels`, balanced by class; all of them in order if size is -1.

    labels: int, (N,). Draws a class that occurs first, then one of its indices, with replacement.
    """
    if size < 0 or not len(labels):
        return np.arange(len(labels))
    by_class = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    drawn = generator.integers(0, len(by_class), size)
    fractions = generator.random(size)
    return np.array(
        [by_class[at][int(part * len(by_class[at]))] for at, part in zip(drawn, fractions, strict=True)],
        np.intp,
    )


def sample_test_examples(snapshot: Snapshot, options: RunOptions) -> IndexArray:
    """Return the indices, among a snapshot's test examples, of those that `test_batch_size` samples."""
    labels = [snapshot.classes.index(example.label) for example in snapshot.of_split("testing")]
    # The third number makes this differ from the draw of any batch.
    generator = np.random.default_rng([options.seed, options.how_many_training_steps, 2])
    return sample_balanced(np.array(labels, np.intp), options.test_batch_size, generator)
