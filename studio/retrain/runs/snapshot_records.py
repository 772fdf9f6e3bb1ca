"""A project's labels, frozen in the database for runs to train on."""

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
from studio.retrain.runs.compare import Change, Changes, Place
from studio.retrain.runs.run_records import run_row
from studio.retrain.snapshot import Example, Labelled, Snapshot


def snapshot_of(session: Session, project_id: int, options: RunOptions, store: ImageStore) -> Snapshot:
    """Return the project's labelled images as they are now, dealt out to splits.

    Near copies fall on the same side, and so does every image that a split came with.
    """
    rows = session.execute(
        select(
            models.ImageRow.sha256,
            models.ImageRow.format,
            models.ImageClassRow.name,
            _group(models.LabelRow.project_id),
            models.LabelRow.split,
        )
        .join(models.LabelRow, models.LabelRow.image_id == models.ImageRow.id)
        .join(models.ImageClassRow, models.ImageClassRow.id == models.LabelRow.class_id)
        .where(models.LabelRow.project_id == project_id, models.LabelRow.state == "labelled")
    )
    return Snapshot.of(
        (
            Labelled(sha256, store.original(sha256, kind), name, group or "", cast("Split | None", given))
            for sha256, kind, name, group, given in rows
        ),
        validation_percentage=options.validation_percentage,
        testing_percentage=options.testing_percentage,
        seed=options.seed,
    )


def labelled(session: Session, project_id: int) -> list[str]:
    """Return the SHA-256 of the project's labelled images, in no order: what a run would learn from."""
    return list(
        session.scalars(
            select(models.ImageRow.sha256)
            .join(models.LabelRow, models.LabelRow.image_id == models.ImageRow.id)
            .where(models.LabelRow.project_id == project_id, models.LabelRow.state == "labelled")
        )
    )


def freeze(session: Session, project_id: int, snapshot: Snapshot, now: datetime) -> int:
    """Store a snapshot and return its id; one that the project has already is not stored again."""
    row = models.SnapshotRow
    known = session.scalar(select(row.id).filter_by(project_id=project_id, hash=snapshot.hash))
    if known is not None:
        return known
    frozen = models.SnapshotRow(
        project_id=project_id, hash=snapshot.hash, images=len(snapshot.examples), created_at=now
    )
    session.add(frozen)
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
                "snapshot_id": frozen.id,
                "image_id": ids[example.sha256],
                "class_name": example.label,
                "split": example.split,
            }
            for example in snapshot.examples
        ],
    )
    return frozen.id


def load_snapshot(session: Session, run_id: int, store: ImageStore) -> Snapshot:
    """Return what a run trains on, as it was frozen; its groups of near copies as they are now."""
    run = run_row(session, run_id)
    rows = session.execute(
        select(
            models.ImageRow.sha256,
            models.ImageRow.format,
            models.SnapshotImageRow.class_name,
            models.SnapshotImageRow.split,
            _group(literal(run.project_id)),
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


def copies_tested(session: Session, run_id: int) -> frozenset[str]:
    """Return the SHA-256 of a run's test images that are near copies of its training images.

    By the groups as they are now: a snapshot that was frozen before they were found, or images that came
    with a split of their own, may have copies on both sides.
    """
    run = run_row(session, run_id)
    tested, trained = aliased(models.SnapshotImageRow), aliased(models.SnapshotImageRow)
    mine, other = aliased(models.DuplicateGroupRow), aliased(models.DuplicateGroupRow)
    return frozenset(
        session.scalars(
            select(models.ImageRow.sha256)
            .join(tested, tested.image_id == models.ImageRow.id)
            .join(mine, mine.image_id == tested.image_id)
            .where(
                tested.snapshot_id == run.snapshot_id,
                tested.split == "testing",
                mine.project_id == run.project_id,
                select(other.image_id)
                .join(trained, trained.image_id == other.image_id)
                .where(
                    other.project_id == run.project_id,
                    other.group_id == mine.group_id,
                    trained.snapshot_id == run.snapshot_id,
                    trained.split == "training",
                )
                .correlate(mine)
                .exists(),
            )
        )
    )


def changes_between(session: Session, earlier_run_id: int, later_run_id: int) -> Changes:
    """Return what is different between what two runs train on; see `studio.retrain.runs.compare`.

    Only the images that differ leave the database.
    """
    before, after = run_row(session, earlier_run_id).snapshot_id, run_row(session, later_run_id).snapshot_id
    changed = () if before == after else (*_changed(session, before, after), *_new(session, before, after))
    return Changes.of(changed, _by_class(session, before), _by_class(session, after))


def _changed(session: Session, before: int, after: int) -> Iterator[Change]:
    one, other = aliased(models.SnapshotImageRow), aliased(models.SnapshotImageRow)
    rows = session.execute(
        select(models.ImageRow.sha256, one.class_name, one.split, other.class_name, other.split)
        .select_from(one)
        .outerjoin(other, (other.snapshot_id == after) & (other.image_id == one.image_id))
        .join(models.ImageRow, models.ImageRow.id == one.image_id)
        .where(
            one.snapshot_id == before,
            or_(other.image_id.is_(None), other.class_name != one.class_name, other.split != one.split),
        )
    )
    for sha256, label, split, new_label, new_split in rows:
        yield Change(
            sha256,
            Place(label, cast("Split", split)),
            None if new_label is None else Place(new_label, cast("Split", new_split)),
        )


def _new(session: Session, before: int, after: int) -> Iterator[Change]:
    one, other = aliased(models.SnapshotImageRow), aliased(models.SnapshotImageRow)
    rows = session.execute(
        select(models.ImageRow.sha256, other.class_name, other.split)
        .select_from(other)
        .outerjoin(one, (one.snapshot_id == before) & (one.image_id == other.image_id))
        .join(models.ImageRow, models.ImageRow.id == other.image_id)
        .where(other.snapshot_id == after, one.image_id.is_(None))
    )
    for sha256, label, split in rows:
        yield Change(sha256, None, Place(label, cast("Split", split)))


def _by_class(session: Session, snapshot_id: int) -> dict[str, int]:
    row = models.SnapshotImageRow
    rows = session.execute(
        select(row.class_name, func.count()).where(row.snapshot_id == snapshot_id).group_by(row.class_name)
    )
    return dict(rows.all())


def write_attribution(session: Session, project_id: int, snapshot: Snapshot, folder: Path) -> None:
    """Write who made a snapshot's images and under which licence, as a table and as a text."""
    credits = attribution.rows(session, project_id, {e.sha256: e.label for e in snapshot.examples})
    with atomic_text(folder / ATTRIBUTION_TABLE) as file:
        file.write(attribution.as_csv(credits))
    with atomic_text(folder / ATTRIBUTION_TEXT) as file:
        file.write(attribution.as_text(credits))


def _group(project_id: SQLColumnExpression[int]) -> ScalarSelect[str]:
    """The SHA-256 of the first image of an image's group of near copies, whatever became of that one."""
    member, first = aliased(models.DuplicateGroupRow), aliased(models.ImageRow)
    return (
        select(first.sha256)
        .join(member, member.group_id == first.id)
        .where(member.project_id == project_id, member.image_id == models.ImageRow.id)
        .correlate(models.ImageRow, models.LabelRow)
        .scalar_subquery()
    )
