"""Writing into a project what has arrived: images, provenance, labels, and what became of each file."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db import duplicate_groups, models
from db.engine import Database, insert_ignoring
from db.labelling import Target, class_ids, record
from studio.datasets.sources import Source
from studio.errors import ProjectError
from studio.i18n import _
from studio.images.near_duplicates import NearDuplicateIndex, NearDuplicatePair


@dataclass(frozen=True)
class FileFacts:
    """What is known of an image from its file alone; the size is upright."""

    format: str
    width_px: int
    height_px: int
    size_bytes: int
    perceptual_hash: str
    """64 bits in hexadecimal."""


@dataclass(frozen=True)
class ReadImage:
    """A source that has been read, and whose files are in the store; or why it was refused."""

    source: Source
    sha256: str = ""
    facts: FileFacts | None = None
    """None for an image that was in the database already."""
    refusal: str = ""
    why: str = ""


@dataclass(frozen=True)
class IngestOutcome:
    """What became of one source.

    reason: why it is no new image, or that an added one is nearly the same as another; why: the kind of
    refusal.
    """

    name: str
    outcome: str
    """added, copy or refused."""
    reason: str = ""
    why: str = ""


class RecordedOutcome(NamedTuple):
    """A find, and what is written with it."""

    find: IngestOutcome
    page_address: str = ""
    """The page that named it."""
    site: str = ""
    image_id: int | None = None


@dataclass
class _Place:
    """Where an image stands in the project."""

    target: Target
    address: str


def write_batch(
    database: Database,
    project_id: int,
    batch: Sequence[ReadImage],
    *,
    at: datetime,
    job_id: int | None,
    operation_id: str,
    near_copies: NearDuplicateIndex,
) -> list[IngestOutcome]:
    """Write a batch in one transaction and return what became of each, in order.

    An image keeps its first class; one that had none gets the class that a copy of it brings, or is rejected
    as that was. One that no split was given gets what a copy brings. Images that `near_copies` finds to be
    nearly the same as others are grouped with them.
    Raises ProjectError when the project is not there.
    """
    if not batch:
        return []
    with database.write() as session:
        # The lock makes two ingests into one project take turns, on databases that would not anyway.
        if session.scalar(select(models.ProjectRow.id).filter_by(id=project_id).with_for_update()) is None:
            raise ProjectError(_("There is no such project. It may have been deleted; choose another."))
        images = [arrived for arrived in batch if not arrived.refusal]
        image_ids = _images(session, images, at)
        names = [p.source.class_name for p in images if p.source.class_name]
        classes = class_ids(session, project_id, names)
        class_names = {class_id: name for name, class_id in classes.items()}
        places = _places(session, project_id, list(image_ids.values()))
        targets: dict[int, Target] = {}
        added: dict[int, int] = {}  # image id → place in the batch
        finds: list[IngestOutcome] = []
        for arrived in batch:
            source = arrived.source
            if arrived.refusal:
                finds.append(IngestOutcome(source.name, "refused", arrived.refusal, arrived.why))
                continue
            image_id = image_ids[arrived.sha256]
            target = _target(source.state, classes.get(source.class_name or ""))
            place = places.get(image_id)
            if place is None:
                places[image_id] = _Place(target, source.name)
                targets[image_id] = target
                added[image_id] = len(finds)
                finds.append(IngestOutcome(source.name, "added"))
                continue
            finds.append(IngestOutcome(source.name, "copy", _where(place, target, class_names)))
            if place.target[0] == "unlabelled" and target != place.target:
                place.target = targets[image_id] = target
        record(session, operation_id=operation_id, project_id=project_id, at=at, targets=targets)
        splits = {image_ids[p.sha256]: p.source.split for p in reversed(images) if p.source.split}
        _give_splits(session, project_id, splits)
        pairs = near_copies.of(session, list(added)) if added else []
        if pairs:
            duplicate_groups.join(session, project_id, pairs)
            for image_id, name in _nearest(session, project_id, pairs, places).items():
                reason = _("nearly the same as {name}").format(name=name)
                finds[added[image_id]] = replace(finds[added[image_id]], reason=reason)
        insert_ignoring(
            session,
            models.ProvenanceRow,
            [row for p in images for row in _provenances(project_id, image_ids[p.sha256], p.source, at)],
        )
        noted = (
            RecordedOutcome(
                find,
                arrived.source.provenance.page_address,
                arrived.source.site,
                image_ids.get(arrived.sha256),
            )
            for find, arrived in zip(finds, batch, strict=True)
        )
        write_outcomes(session, project_id, job_id, noted, at=at)
    return finds


def write_outcomes(
    session: Session, project_id: int, job_id: int | None, noted: Iterable[RecordedOutcome], *, at: datetime
) -> None:
    """Write what became of sources; of one that the job has written already nothing is changed."""
    rows = [
        {
            "project_id": project_id,
            "job_id": job_id,
            **vars(each.find),
            "page_address": each.page_address,
            "site": each.site,
            "image_id": each.image_id,
            "at": at,
        }
        for each in noted
    ]
    insert_ignoring(session, models.IngestOutcomeRow, rows)


def _nearest(
    session: Session, project_id: int, pairs: Sequence[NearDuplicatePair], places: dict[int, _Place]
) -> dict[int, str]:
    """Return the name of the image that each `second` resembles most."""
    nearest: dict[int, int] = {}
    for first, second in pairs:
        nearest.setdefault(second, first)
    others = [image_id for image_id in nearest.values() if image_id not in places]
    places = {**places, **_places(session, project_id, others)}
    return {second: places[first].address for second, first in nearest.items()}


def _images(session: Session, images: Sequence[ReadImage], at: datetime) -> dict[str, int]:
    new = {p.sha256: p.facts for p in images if p.facts}
    insert_ignoring(
        session,
        models.ImageRow,
        # Sorted, so that two writers of the same images cannot wait for each other in a ring.
        [{"sha256": digest, "created_at": at, **vars(facts)} for digest, facts in sorted(new.items())],
    )
    rows = session.execute(
        select(models.ImageRow.sha256, models.ImageRow.id).where(
            models.ImageRow.sha256.in_({image.sha256 for image in images})
        )
    )
    return dict(rows.all())


def _places(session: Session, project_id: int, image_ids: Sequence[int]) -> dict[int, _Place]:
    label, found = models.LabelRow, models.ProvenanceRow
    address = (
        select(found.address)
        .where(found.project_id == project_id, found.image_id == label.image_id)
        .order_by(found.id)
        .limit(1)
        .scalar_subquery()
    )
    rows = session.execute(
        select(label.image_id, label.state, label.class_id, address).where(
            label.project_id == project_id, label.image_id.in_(image_ids)
        )
    )
    return {image_id: _Place((state, class_id), first or "") for image_id, state, class_id, first in rows}


def _where(place: _Place, brought: Target, class_names: dict[int, str]) -> str:
    state, class_id = place.target
    if class_id is not None:
        text = _("already in the project as {class_name} ({address})")
    elif state == "rejected":
        text = _("already in the project, rejected ({address})")
    elif brought[0] == "rejected":
        text = _("already in the project ({address}); now rejected")
    elif brought[1] is not None:
        class_id = brought[1]
        text = _("already in the project ({address}); now labelled {class_name}")
    else:
        text = _("already in the project ({address})")
    return text.format(address=place.address, class_name=class_names.get(class_id or 0, ""))


def _target(state: str, class_id: int | None) -> Target:
    if state == "rejected":
        return ("rejected", class_id)
    return ("unlabelled", None) if state == "unlabelled" or class_id is None else ("labelled", class_id)


def _give_splits(session: Session, project_id: int, splits: Mapping[int, str]) -> None:
    """Write the splits that came with images (by image id), where none was given before."""
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


def _provenances(project_id: int, image_id: int, source: Source, at: datetime) -> Iterator[dict[str, object]]:
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
