"""Training images of each class, to show what a model knows."""

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from db import models
from studio.retrain.run_folder import SNAPSHOT

PER_CLASS = 3


def example_images(session: Session, run_dir: Path, labels: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """Return by class the SHA-256 of its first few training images that the studio still has.

    The first by their hash, which says nothing of what is in them: it is as fair as a lottery.
    """
    of_class: dict[str, list[str]] = defaultdict(list)
    with (run_dir / SNAPSHOT).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["split"] == "training":
                of_class[row["label"]].append(row["sha256"])
    some = {label: sorted(of_class[label])[: 2 * PER_CLASS] for label in labels}
    wanted = [digest for digests in some.values() for digest in digests]
    here = set(session.scalars(select(models.ImageRow.sha256).where(models.ImageRow.sha256.in_(wanted))))
    return {
        label: tuple(digest for digest in digests if digest in here)[:PER_CLASS]
        for label, digests in some.items()
    }


def format_of(session: Session, sha256: str) -> str | None:
    """Return the format of an image, as Pillow calls it; None where there is none."""
    return session.scalar(select(models.ImageRow.format).where(models.ImageRow.sha256 == sha256))
