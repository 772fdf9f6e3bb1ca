"""Image files made for tests, and a project to import them into."""

import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from pathlib import Path

import numpy as np
from PIL import Image
from sqlalchemy import select

from db import models
from db.engine import Database
from studio.collect.ingest import ImportContext, IngestReport, ingest
from studio.datasets.sources import Source
from studio.errors import Stopped
from studio.images.store import ImageStore
from tests.conftest import NOW


def image_bytes(seed: int = 0, width_px: int = 48, height_px: int = 32, format_name: str = "JPEG") -> bytes:
    """Return an image file; every seed gives another image, with low frequencies like a photograph."""
    rng = np.random.default_rng(seed)
    image = Image.fromarray(rng.integers(0, 256, (4, 6, 3), np.uint8)).resize((width_px, height_px))
    file = io.BytesIO()
    image.save(file, format_name)
    return file.getvalue()


def files(*names: str) -> dict[str, bytes]:
    """Return a different image file for each name."""
    return {name: image_bytes(seed) for seed, name in enumerate(names)}


def write_files(root: Path, content: dict[str, bytes]) -> Path:
    for name, data in content.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


@dataclass
class RecordingProgress:
    """A `Progress` that records its reports, and raises Stopped after `stop_at` of them."""

    stop_at: int | None = None
    reports: list[tuple[str, int, int | None]] = field(default_factory=list)

    def report(self, phase: str, done: int, total: int | None = None) -> None:
        self.reports.append((phase, done, total))
        if self.stop_at is not None and len(self.reports) > self.stop_at:
            raise Stopped("Stopped.")


@dataclass
class Bench:
    """A project, and everything needed to import images into it."""

    database: Database
    store: ImageStore
    project_id: int
    progress: RecordingProgress = field(default_factory=RecordingProgress)
    ids: Iterable[int] = field(default_factory=count)

    def context(self, job_id: int | None = None) -> ImportContext:
        return ImportContext(
            database=self.database,
            store=self.store,
            project_id=self.project_id,
            clock=lambda: NOW,
            progress=self.progress,
            job_id=job_id,
            threads=2,
        )

    def ingest(self, sources: Iterable[Source], *, job_id: int | None = None) -> IngestReport:
        return ingest(self.context(job_id), sources)

    def job(self, at: datetime = NOW) -> int:
        with self.database.write() as session:
            job = models.JobRow(
                project_id=self.project_id, kind="ingest_path", arguments={}, state="running", created_at=at
            )
            session.add(job)
            session.flush()
            return job.id

    def labels(self) -> dict[str, str | None]:
        """Classes of the project's images, by SHA-256."""
        label, image, image_class = models.LabelRow, models.ImageRow, models.ImageClassRow
        with self.database.read() as session:
            rows = session.execute(
                select(image.sha256, image_class.name)
                .join(label, label.image_id == image.id)
                .join(image_class, image_class.id == label.class_id, isouter=True)
                .where(label.project_id == self.project_id)
            )
            return dict(rows.tuples().all())

    def outcomes(self) -> dict[str, tuple[str, str]]:
        """Outcome and message of each file, by its name."""
        with self.database.read() as session:
            rows = session.execute(
                select(models.IngestOutcomeRow).order_by(models.IngestOutcomeRow.id)
            ).scalars()
            return {row.name: (row.outcome, row.reason) for row in rows}


def sources(content: dict[str, bytes], class_name: str | None = "daisy") -> list[Source]:
    return [Source(name, lambda data=data: data, class_name) for name, data in content.items()]  # type: ignore[misc]
