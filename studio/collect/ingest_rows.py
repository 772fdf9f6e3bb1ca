"""Write ingested images to the database: image, provenance, label and outcome rows of a batch."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db import duplicate_groups, models
from db.engine import Database, insert_ignoring
from db.labelling import LabelOperation, LabelTarget, get_or_create_class_ids, record_operation
from studio.datasets.sources import Source
from studio.errors import ProjectError
from studio.i18n import _
from studio.images.near_duplicates import NearDuplicateIndex, NearDuplicatePair


@dataclass(frozen=True)
class FileFacts:
    """Format, size and perceptual hash of an image file; width and height after EXIF rotation."""

    format: str
    width_px: int
    height_px: int
    size_bytes: int
    perceptual_hash: str
    """64 bits in hexadecimal."""


@dataclass(frozen=True)
class ReadImage:
    """A source that was read and whose files are in the store, or the reason it was skipped."""

    source: Source
    sha256: str = ""
    facts: FileFacts | None = None
    """None for an image that was in the database already."""
    skip_message: str = ""
    """Empty for images that were not skipped."""
    skip_reason: str = ""


@dataclass(frozen=True)
class IngestOutcome:
    """Outcome of one source.

    `outcome`, `message` and `skip_reason` are stored in the columns outcome, reason and why.
    """

    name: str
    outcome: str
    """added, copy (a duplicate), refused (skipped) or page."""
    message: str = ""
    """Why the source added no image, or which image an added one nearly duplicates."""
    skip_reason: str = ""
    """One of SkipReason."""


class RecordedOutcome(NamedTuple):
    """An outcome, and the columns that are written with it."""

    outcome: IngestOutcome
    page_address: str = ""
    """The page that the URL was found on."""
    site: str = ""
    image_id: int | None = None


@dataclass
class _ProjectImage:
    """Label and first name of an image in the project."""

    target: LabelTarget
    name: str
    """The path or URL of its first provenance."""


def write_batch(
    database: Database,
    project_id: int,
    batch: Sequence[ReadImage],
    *,
    at: datetime,
    job_id: int | None,
    operation_id: str,
    near_duplicates: NearDuplicateIndex,
) -> list[IngestOutcome]:
    """Write a batch in one transaction and return the outcome of each source, in order.

    An image keeps its first class. An image without a class gets that of a later duplicate, or is rejected
    if the duplicate is; an image without a given split gets that of a later duplicate. Images that
    `near_duplicates` finds similar to others join their duplicate groups.
    Raises ProjectError when the project does not exist.
    """
    if not batch:
        return []
    with database.write() as session:
        # The lock serialises imports into one project on databases that allow concurrent writers.
        if session.scalar(select(models.ProjectRow.id).filter_by(id=project_id).with_for_update()) is None:
            raise ProjectError(_("There is no such project. It may have been deleted; choose another."))
        images = [image for image in batch if not image.skip_message]
        image_ids = _insert_images(session, images, at)
        names = [image.source.class_name for image in images if image.source.class_name]
        classes = get_or_create_class_ids(session, project_id, names)
        class_names = {class_id: name for name, class_id in classes.items()}
        present = _project_images(session, project_id, list(image_ids.values()))
        targets: dict[int, LabelTarget] = {}
        added: dict[int, int] = {}  # image id → index in the batch
        outcomes: list[IngestOutcome] = []
        for read_image in batch:
            source = read_image.source
            if read_image.skip_message:
                outcomes.append(
                    IngestOutcome(source.name, "refused", read_image.skip_message, read_image.skip_reason)
                )
                continue
            image_id = image_ids[read_image.sha256]
            target = _label_target(source.state, classes.get(source.class_name or ""))
            image = present.get(image_id)
            if image is None:
                present[image_id] = _ProjectImage(target, source.name)
                targets[image_id] = target
                added[image_id] = len(outcomes)
                outcomes.append(IngestOutcome(source.name, "added"))
                continue
            outcomes.append(
                IngestOutcome(source.name, "copy", _duplicate_message(image, target, class_names))
            )
            if image.target.state == "unlabelled" and target != image.target:
                image.target = targets[image_id] = target
        record_operation(session, LabelOperation(operation_id, project_id, at, targets))
        splits = {image_ids[p.sha256]: p.source.split for p in reversed(images) if p.source.split}
        _write_splits(session, project_id, splits)
        pairs = near_duplicates.find_pairs(session, list(added)) if added else []
        if pairs:
            duplicate_groups.merge_pairs(session, project_id, pairs)
            for image_id, name in _names_of_nearest(session, project_id, pairs, present).items():
                message = _("nearly the same as {name}").format(name=name)
                outcomes[added[image_id]] = replace(outcomes[added[image_id]], message=message)
        insert_ignoring(
            session,
            models.ProvenanceRow,
            [row for p in images for row in _provenance_rows(project_id, image_ids[p.sha256], p.source, at)],
        )
        recorded = (
            RecordedOutcome(
                outcome,
                read_image.source.provenance.page_address,
                read_image.source.site,
                image_ids.get(read_image.sha256),
            )
            for outcome, read_image in zip(outcomes, batch, strict=True)
        )
        write_outcomes(session, project_id, job_id, recorded, at=at)
    return outcomes


def write_outcomes(
    session: Session,
    project_id: int,
    job_id: int | None,
    recorded: Iterable[RecordedOutcome],
    *,
    at: datetime,
) -> None:
    """Write outcomes of sources; those that the job has written already stay unchanged."""
    rows = [
        {
            "project_id": project_id,
            "job_id": job_id,
            "name": each.outcome.name,
            "outcome": each.outcome.outcome,
            "reason": each.outcome.message,
            "skip_reason": each.outcome.skip_reason,
            "page_address": each.page_address,
            "site": each.site,
            "image_id": each.image_id,
            "at": at,
        }
        for each in recorded
    ]
    insert_ignoring(session, models.IngestOutcomeRow, rows)


def _names_of_nearest(
    session: Session, project_id: int, pairs: Sequence[NearDuplicatePair], present: dict[int, _ProjectImage]
) -> dict[int, str]:
    """Return the name of the most similar image for each second image of `pairs`, by its id."""
    nearest: dict[int, int] = {}
    for first, second in pairs:
        nearest.setdefault(second, first)
    others = [image_id for image_id in nearest.values() if image_id not in present]
    images = {**present, **_project_images(session, project_id, others)}
    return {second: images[first].name for second, first in nearest.items()}


def _insert_images(session: Session, images: Sequence[ReadImage], at: datetime) -> dict[str, int]:
    new = {p.sha256: p.facts for p in images if p.facts}
    insert_ignoring(
        session,
        models.ImageRow,
        # Sorted, so that two writers of the same images cannot deadlock.
        [{"sha256": digest, "created_at": at, **vars(facts)} for digest, facts in sorted(new.items())],
    )
    rows = session.execute(
        select(models.ImageRow.sha256, models.ImageRow.id).where(
            models.ImageRow.sha256.in_({image.sha256 for image in images})
        )
    )
    return dict(rows.all())


def _project_images(session: Session, project_id: int, image_ids: Sequence[int]) -> dict[int, _ProjectImage]:
    label, provenance = models.LabelRow, models.ProvenanceRow
    first_name = (
        select(provenance.address)
        .where(provenance.project_id == project_id, provenance.image_id == label.image_id)
        .order_by(provenance.id)
        .limit(1)
        .scalar_subquery()
    )
    rows = session.execute(
        select(label.image_id, label.state, label.class_id, first_name).where(
            label.project_id == project_id, label.image_id.in_(image_ids)
        )
    )
    return {
        image_id: _ProjectImage(LabelTarget(state, class_id), first or "")
        for image_id, state, class_id, first in rows
    }


def _duplicate_message(image: _ProjectImage, new: LabelTarget, class_names: dict[int, str]) -> str:
    state, class_id = image.target.state, image.target.class_id
    if class_id is not None:
        text = _("already in the project as {class_name} ({name})")
    elif state == "rejected":
        text = _("already in the project, rejected ({name})")
    elif new.state == "rejected":
        text = _("already in the project ({name}); now rejected")
    elif new.class_id is not None:
        class_id = new.class_id
        text = _("already in the project ({name}); now labelled {class_name}")
    else:
        text = _("already in the project ({name})")
    return text.format(name=image.name, class_name=class_names.get(class_id or 0, ""))


def _label_target(state: str, class_id: int | None) -> LabelTarget:
    if state == "rejected":
        return LabelTarget("rejected", class_id)
    unlabelled = state == "unlabelled" or class_id is None
    return LabelTarget("unlabelled") if unlabelled else LabelTarget("labelled", class_id)


def _write_splits(session: Session, project_id: int, splits: Mapping[int, str]) -> None:
    """Write the splits that came with images (by image id) where no split was given before."""
    for split in sorted(set(splits.values())):
        images = [image_id for image_id, given in splits.items() if given == split]
        session.execute(
            update(models.LabelRow)
            .where(
                models.LabelRow.project_id == project_id,
                models.LabelRow.image_id.in_(images),
                models.LabelRow.split.is_(None),
            )
            .values(split=split)
        )


def _provenance_rows(
    project_id: int, image_id: int, source: Source, at: datetime
) -> Iterator[dict[str, object]]:
    image = {"project_id": project_id, "image_id": image_id}
    for place in source.places:
        yield {**image, **vars(place)}
    if not source.places:
        yield {
            **image,
            "kind": source.kind,
            "address": source.name,
            **vars(source.provenance),
            "found_at": at,
        }
