"""Example images of each class, for the page behind a share link."""

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from db import models
from studio.retrain.run_folder import SNAPSHOT_FILE

EXAMPLES_PER_CLASS = 3


def example_images(session: Session, run_dir: Path, labels: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """Return the SHA-256 of a few training images of each class that are still stored.

    They are the first in the order of their hashes, which is as good as random.
    """
    by_class: dict[str, list[str]] = defaultdict(list)
    with (run_dir / SNAPSHOT_FILE).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["split"] == "training":
                by_class[row["label"]].append(row["sha256"])
    candidates = {label: sorted(by_class[label])[: 2 * EXAMPLES_PER_CLASS] for label in labels}
    wanted = [digest for digests in candidates.values() for digest in digests]
    stored = set(session.scalars(select(models.ImageRow.sha256).where(models.ImageRow.sha256.in_(wanted))))
    return {
        label: tuple(digest for digest in digests if digest in stored)[:EXAMPLES_PER_CLASS]
        for label, digests in candidates.items()
    }


def image_format(session: Session, sha256: str) -> str | None:
    """Return an image's format by Pillow's name; None if the image is unknown."""
    return session.scalar(select(models.ImageRow.format).where(models.ImageRow.sha256 == sha256))
