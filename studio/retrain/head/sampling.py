"""Pictures drawn to be asked: classes alike, and with replacement, as `retrain.py` draws them."""

import numpy as np

from studio.arrays import IndexArray
from studio.retrain.options import RunOptions
from studio.retrain.snapshot import Snapshot


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
