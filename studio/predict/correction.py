"""Correction of a wrong prediction: the image is added to the project with the right label."""

import hashlib

from sqlalchemy import select

from db.models import ImageRow
from studio.collect.ingest import ImportContext, ingest
from studio.curate.labels import label_images
from studio.datasets.sources import Source
from studio.errors import ImageRefused


def add_corrected_image(
    context: ImportContext, data: bytes, name: str, class_name: str, *, kind: str = "upload"
) -> str:
    """Add an image to a project with its right class, and return its SHA-256.

    An image that is in the project already gets this class. kind: of its provenance, as `Source.kind`. The
    label operation is part of the label history and can be undone. Raises ImageRefused, ProjectError.
    """
    report = ingest(context, [Source(name, lambda: data, class_name=class_name, kind=kind)])
    for skipped in report.skipped:
        raise ImageRefused(skipped.message, skipped.skip_reason)
    digest = hashlib.sha256(data).hexdigest()
    if report.duplicates:  # ingest keeps the label of an image that is there already
        with context.database.write() as session:
            image_id = session.scalar(select(ImageRow.id).where(ImageRow.sha256 == digest))
            assert image_id is not None  # noqa: S101 - ingest has just found it
            label_images(
                session,
                context.project_id,
                [image_id],
                class_name,
                operation_id=context.new_id(),
                now=context.clock(),
            )
    return digest
