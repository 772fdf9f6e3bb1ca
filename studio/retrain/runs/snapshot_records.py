"""Snapshots of a project in the database: freezing labels for runs, loading and comparing them."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import cast

from sqlalchemy import ScalarSelect, SQLColumnExpression, func, insert, literal, or_, select
from sqlalchemy.orm import Session, aliased

from db import models
from studio.datasets.splits import Split
from studio.files import atomic_text
from studio.images import attribution
from studio.images.store import ImageStore
from studio.retrain.options import RunOptions
from studio.retrain.run_folder import ATTRIBUTION_TABLE, ATTRIBUTION_TEXT
from studio.retrain.runs.compare import ImageChange, LabelAndSplit, SnapshotChanges
from studio.retrain.runs.run_records import run_row
from studio.retrain.snapshot import Example, LabelledImage, Snapshot


def current_snapshot(session: Session, project_id: int, options: RunOptions, store: ImageStore) -> Snapshot:
    """Return a snapshot of the project's current labels.

    Images of a duplicate group get the same split; a split that an image was imported with is kept.
    """
    rows = session.execute(
        select(
            models.ImageRow.sha256,
            models.ImageRow.format,
            models.ImageClassRow.name,
            _duplicate_group_sha256(models.LabelRow.project_id),
            models.LabelRow.split,
        )
        .join(models.LabelRow, models.LabelRow.image_id == models.ImageRow.id)
        .join(models.ImageClassRow, models.ImageClassRow.id == models.LabelRow.class_id)
        .where(models.LabelRow.project_id == project_id, models.LabelRow.state == "labelled")
    )
    return Snapshot.of(
        (
            LabelledImage(
                sha256, store.original(sha256, kind), name, group or "", cast("Split | None", split)
            )
            for sha256, kind, name, group, split in rows
        ),
        validation_percentage=options.validation_percentage,
        testing_percentage=options.testing_percentage,
        seed=options.seed,
    )


def labelled_sha256s(session: Session, project_id: int) -> list[str]:
    """Return the SHA-256 of the project's labelled images, in no order."""
    return list(
        session.scalars(
            select(models.ImageRow.sha256)
            .join(models.LabelRow, models.LabelRow.image_id == models.ImageRow.id)
            .where(models.LabelRow.project_id == project_id, models.LabelRow.state == "labelled")
        )
    )


def freeze_snapshot(session: Session, project_id: int, snapshot: Snapshot, now: datetime) -> int:
    """Store a snapshot and return its id; an equal one of the project is reused."""
    row = models.SnapshotRow
    stored_id = session.scalar(select(row.id).filter_by(project_id=project_id, hash=snapshot.hash))
    if stored_id is not None:
        return stored_id
    new_row = models.SnapshotRow(
        project_id=project_id, hash=snapshot.hash, images=len(snapshot.examples), created_at=now
    )
    session.add(new_row)
    session.flush()
    rows = session.execute(
        select(models.ImageRow.sha256, models.ImageRow.id)
        .join(models.LabelRow, models.LabelRow.image_id == models.ImageRow.id)
        .where(models.LabelRow.project_id == project_id)
    )
    ids = dict(rows.all())
    session.execute(
        insert(models.SnapshotImageRow),
        [
            {
                "snapshot_id": new_row.id,
                "image_id": ids[example.sha256],
                "class_name": example.label,
                "split": example.split,
            }
            for example in snapshot.examples
        ],
    )
    return new_row.id


def load_snapshot(session: Session, run_id: int, store: ImageStore) -> Snapshot:
    """Return the snapshot of a run as it was frozen, with the duplicate groups as they are now."""
    run = run_row(session, run_id)
    rows = session.execute(
        select(
            models.ImageRow.sha256,
            models.ImageRow.format,
            models.SnapshotImageRow.class_name,
            models.SnapshotImageRow.split,
            _duplicate_group_sha256(literal(run.project_id)),
        )
        .join(models.ImageRow, models.ImageRow.id == models.SnapshotImageRow.image_id)
        .where(models.SnapshotImageRow.snapshot_id == run.snapshot_id)
        .order_by(models.ImageRow.sha256)
    ).all()
    return Snapshot(
        examples=tuple(
            Example(sha256, store.original(sha256, kind), label, cast("Split", split), group or "")
            for sha256, kind, label, split, group in rows
        ),
        classes=tuple(sorted({row.class_name for row in rows})),
        seed=RunOptions.from_json(run.options).seed,
    )


def leaked_test_images(session: Session, run_id: int) -> frozenset[str]:
    """Return the SHA-256 of a run's test images that are near-duplicates of its training images.

    By the duplicate groups as they are now. A snapshot may have images of one group in both splits if it was
    frozen before they were found, or if the images were imported with their splits.
    """
    run = run_row(session, run_id)
    tested, trained = aliased(models.SnapshotImageRow), aliased(models.SnapshotImageRow)
    test_group, training_group = aliased(models.DuplicateGroupRow), aliased(models.DuplicateGroupRow)
    return frozenset(
        session.scalars(
            select(models.ImageRow.sha256)
            .join(tested, tested.image_id == models.ImageRow.id)
            .join(test_group, test_group.image_id == tested.image_id)
            .where(
                tested.snapshot_id == run.snapshot_id,
                tested.split == "testing",
                test_group.project_id == run.project_id,
                select(training_group.image_id)
                .join(trained, trained.image_id == training_group.image_id)
                .where(
                    training_group.project_id == run.project_id,
                    training_group.group_id == test_group.group_id,
                    trained.snapshot_id == run.snapshot_id,
                    trained.split == "training",
                )
                .correlate(test_group)
                .exists(),
            )
        )
    )


def compare_snapshots(session: Session, earlier_run_id: int, later_run_id: int) -> SnapshotChanges:
    """Compare the snapshots of two runs. Only the images that differ are read from the database."""
    before, after = run_row(session, earlier_run_id).snapshot_id, run_row(session, later_run_id).snapshot_id
    changed = (
        ()
        if before == after
        else (*_changed_images(session, before, after), *_added_images(session, before, after))
    )
    return SnapshotChanges.of(changed, _count_by_class(session, before), _count_by_class(session, after))


def _changed_images(session: Session, before: int, after: int) -> Iterator[ImageChange]:
    """Yield the images of the earlier snapshot that the later one does not have unchanged."""
    old, new = aliased(models.SnapshotImageRow), aliased(models.SnapshotImageRow)
    rows = session.execute(
        select(models.ImageRow.sha256, old.class_name, old.split, new.class_name, new.split)
        .select_from(old)
        .outerjoin(new, (new.snapshot_id == after) & (new.image_id == old.image_id))
        .join(models.ImageRow, models.ImageRow.id == old.image_id)
        .where(
            old.snapshot_id == before,
            or_(new.image_id.is_(None), new.class_name != old.class_name, new.split != old.split),
        )
    )
    for sha256, label, split, new_label, new_split in rows:
        yield ImageChange(
            sha256,
            LabelAndSplit(label, cast("Split", split)),
            None if new_label is None else LabelAndSplit(new_label, cast("Split", new_split)),
        )


def _added_images(session: Session, before: int, after: int) -> Iterator[ImageChange]:
    """Yield the images that only the later snapshot has."""
    old, new = aliased(models.SnapshotImageRow), aliased(models.SnapshotImageRow)
    rows = session.execute(
        select(models.ImageRow.sha256, new.class_name, new.split)
        .select_from(new)
        .outerjoin(old, (old.snapshot_id == before) & (old.image_id == new.image_id))
        .join(models.ImageRow, models.ImageRow.id == new.image_id)
        .where(new.snapshot_id == after, old.image_id.is_(None))
    )
    for sha256, label, split in rows:
        yield ImageChange(sha256, None, LabelAndSplit(label, cast("Split", split)))


def _count_by_class(session: Session, snapshot_id: int) -> dict[str, int]:
    row = models.SnapshotImageRow
    rows = session.execute(
        select(row.class_name, func.count()).where(row.snapshot_id == snapshot_id).group_by(row.class_name)
    )
    return dict(rows.all())


def write_attribution(session: Session, project_id: int, snapshot: Snapshot, folder: Path) -> None:
    """Write the authors and licences of a snapshot's images into a folder, as a table and as a text."""
    credits = attribution.image_credits(session, project_id, {e.sha256: e.label for e in snapshot.examples})
    with atomic_text(folder / ATTRIBUTION_TABLE) as file:
        file.write(attribution.as_csv(credits))
    with atomic_text(folder / ATTRIBUTION_TEXT) as file:
        file.write(attribution.as_text(credits))


def _duplicate_group_sha256(project_id: SQLColumnExpression[int]) -> ScalarSelect[str]:
    """Return a subquery for the SHA-256 of the first image of an image's duplicate group.

    That image names the group even if it is no longer in the project.
    """
    member, first = aliased(models.DuplicateGroupRow), aliased(models.ImageRow)
    return (
        select(first.sha256)
        .join(member, member.group_id == first.id)
        .where(member.project_id == project_id, member.image_id == models.ImageRow.id)
        .correlate(models.ImageRow, models.LabelRow)
        .scalar_subquery()
    )
