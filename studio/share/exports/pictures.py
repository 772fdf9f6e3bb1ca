"""A run's own pictures as its model takes them: to measure on, and to calibrate with."""

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from studio.arrays import Uint8Array
from studio.errors import PictureRefused
from studio.retrain.preprocessing import Preprocessing
from studio.retrain.snapshot import Example, Snapshot

_AHEAD = 16


def read_pictures(
    examples: Sequence[Example], preprocessing: Preprocessing, threads: int
) -> Iterator[tuple[Example, Uint8Array | None]]:
    """Yield each picture's pixels, a few read ahead; None for one that is not there any more."""
    with ThreadPoolExecutor(max_workers=threads) as pool:
        for start in range(0, len(examples), _AHEAD):
            some = examples[start : start + _AHEAD]
            yield from zip(some, pool.map(lambda one: _read(one, preprocessing), some), strict=True)


def _read(example: Example, preprocessing: Preprocessing) -> Uint8Array | None:
    try:
        return preprocessing.read(example.path, example.path.name)
    except PictureRefused:
        return None


def for_calibration(snapshot: Snapshot, count: int) -> list[Example]:
    """Return training pictures in an order of chance that is always the same, the classes taking turns.

    count: how many are wanted; twice as many come where there are, since some may be gone.
    """
    of_class: defaultdict[str, list[Example]] = defaultdict(list)
    for example in snapshot.of_split("training"):
        of_class[example.label].append(example)
    chance = random.Random(0)  # noqa: S311 - nothing is kept secret by it
    for examples in of_class.values():
        chance.shuffle(examples)
    deepest = max(map(len, of_class.values()), default=0)
    turns = (of_class[label][at] for at in range(deepest) for label in of_class if at < len(of_class[label]))
    return [example for example, _number in zip(turns, range(2 * count), strict=False)]
