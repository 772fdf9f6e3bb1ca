"""Which images train, which choose the best head, which test: decided by a hash that never moves."""

import hashlib
from collections.abc import Iterable
from typing import Literal

Split = Literal["training", "validation", "testing"]
SPLITS: tuple[Split, ...] = ("training", "validation", "testing")


def place_of(key: str, seed: int) -> float:
    """Return a key's place in [0, 100), evenly spread and the same on every machine."""
    digest = hashlib.sha256(f"{seed}:{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 * 100


def split_of(key: str, validation_percentage: float, testing_percentage: float, seed: int) -> Split:
    """Return the split of `key`, whatever other keys there are.

    key: an image's SHA-256, or one name for a group of copies, so that they fall on the same side.
    The lowest places are validation, the next testing, the rest training, as in `retrain.py`; unlike
    there the file's path plays no part, so that moving a folder reshuffles nothing.
    """
    place = place_of(key, seed)
    if place < validation_percentage:
        return "validation"
    if place < validation_percentage + testing_percentage:
        return "testing"
    return "training"


def given_of_groups(images: Iterable[tuple[str, Split | None]]) -> dict[str, Split]:
    """Return the split of each group of near copies in which one came with an image.

    images: each one's group, and the split that came with it, if any did. Where those of one group differ,
    all are tested with, or else validated: whoever gave a test set did not mean its copies to be trained on.
    """
    found: dict[str, Split] = {}
    for group, given in images:
        if given is not None:
            found[group] = max(found.get(group, given), given, key=SPLITS.index)
    return found
