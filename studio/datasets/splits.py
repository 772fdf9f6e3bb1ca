"""Training, validation and testing splits, by a hash that does not move when images are added."""

import hashlib
from collections.abc import Iterable
from typing import Literal

Split = Literal["training", "validation", "testing"]
SPLITS: tuple[Split, ...] = ("training", "validation", "testing")
SPLIT_FOLDERS: dict[Split, str] = {"training": "train", "validation": "validation", "testing": "test"}
"""The folders of the splits in exports that other programs read."""


def hash_percentile(key: str, seed: int) -> float:
    """Return a key's position in [0, 100), evenly distributed and the same on every machine."""
    digest = hashlib.sha256(f"{seed}:{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 * 100


def split_of(key: str, validation_percentage: float, testing_percentage: float, seed: int) -> Split:
    """Return the split of `key`, which does not depend on other keys.

    key: an image's SHA-256, or one name for a group of near-duplicates, so that all get the same split. The
    lowest positions are validation, the next testing, the rest training, as in `retrain.py`; unlike there
    the file's path plays no part, so that moving a folder changes no split.
    """
    position = hash_percentile(key, seed)
    if position < validation_percentage:
        return "validation"
    if position < validation_percentage + testing_percentage:
        return "testing"
    return "training"


def group_splits(images: Iterable[tuple[str, Split | None]]) -> dict[str, Split]:
    """Return the split of each group of near-duplicates of which an image came with a split.

    images: each one's group, and the split that came with it, or None. Where they differ in a group, testing
    has precedence over validation, and validation over training: no duplicate of a test image is trained on.
    """
    splits: dict[str, Split] = {}
    for group, given in images:
        if given is not None:
            splits[group] = max(splits.get(group, given), given, key=SPLITS.index)
    return splits
