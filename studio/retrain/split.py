"""Which pictures train, which choose the best head, which test: decided by a hash that never moves."""

import hashlib
from typing import Literal

Split = Literal["training", "validation", "testing"]
SPLITS: tuple[Split, ...] = ("training", "validation", "testing")


def place_of(key: str, seed: int) -> float:
    """Return a key's place in [0, 100), evenly spread and the same on every machine."""
    digest = hashlib.sha256(f"{seed}:{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 * 100


def split_of(key: str, validation_percentage: float, testing_percentage: float, seed: int) -> Split:
    """Return the split of `key`, whatever other keys there are.

    key: a picture's SHA-256, or one name for a group of copies, so that they fall on the same side.
    The lowest places are validation, the next testing, the rest training, as in `retrain.py`; unlike
    there the file's path plays no part, so that moving a folder reshuffles nothing.
    """
    place = place_of(key, seed)
    if place < validation_percentage:
        return "validation"
    if place < validation_percentage + testing_percentage:
        return "testing"
    return "training"
