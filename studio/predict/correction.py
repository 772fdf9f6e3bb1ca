"""A wrong answer put right: the image goes into the project with the label that a person gives it."""

import hashlib
from collections.abc import Callable
from datetime import datetime

from sqlalchemy import select

from db.engine import Database
from db.models import ImageRow
from studio.collect.ingest import ingest
from studio.curate.labels import label
from studio.datasets.sources import Source
from studio.errors import ImageRefused
from studio.images.store import ImageStore
from studio.progress import Silent


def put_back(
    database: Database,
    store: ImageStore,
    project_id: int,
    data: bytes,
    name: str,
    class_name: str,
    *,
    kind: str = "upload",
    now: datetime,
    new_id: Callable[[], str],
) -> str:
    """Put an image into a project with its right class, and return its SHA-256.

    Where it is there with another class it gets this one. kind: how it came, as a source's. The step
    stands in the history of labels and can be undone there. Raises ImageRefused, ProjectError.
    """
    source = Source(name, lambda: data, class_name=class_name, kind=kind)
    report = ingest(
        database,
        store,
        project_id,
        [source],
        progress=Silent(),
        clock=lambda: now,
        threads=1,
        new_id=new_id,
    )
    for refusal in report.refused:
        raise ImageRefused(refusal.reason, refusal.why)
    digest = hashlib.sha256(data).hexdigest()
    if report.copies:  # an image keeps the class that it has, until a person says otherwise, as here
        with database.write() as session:
            image_id = session.scalar(select(ImageRow.id).where(ImageRow.sha256 == digest))
            assert image_id is not None  # noqa: S101 - it has just been found to be there
            label(session, project_id, [image_id], class_name, operation_id=new_id(), now=now)
    return digest
