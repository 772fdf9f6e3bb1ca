"""Projects of many images, as rows alone, and label operations."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import DeclarativeBase, Session

from db.engine import Database
from db.labelling import Direction, LabelOperation, LabelTarget
from db.models import (
    AnalysisRow,
    DuplicateGroupRow,
    FindingRow,
    ImageClassRow,
    ImageRow,
    LabelChangeRow,
    LabelClashRow,
    LabelOperationRow,
    LabelRow,
    ProjectRow,
    ProvenanceRow,
)
from studio.curate.labels import OperationResult, apply_operations
from tests.conftest import NOW

CLASSES = ("장미", "튤립", "daisy", "sunflower", "dandelion", "해바라기")
_BATCH = 10_000
_LICENCES = ("", "", "", "CC BY 2.0", "CC0 1.0")
_KINDS = ("folder", "crawl", "openverse", "camera")


def label_operation(
    operation_id: str, *groups: tuple[Sequence[int], LabelTarget], seen: int | None = None
) -> LabelOperation:
    """Return an operation that gives each group of images a label, for `apply_as`."""
    targets = {image: target for images, target in groups for image in images}
    return LabelOperation(operation_id, 0, NOW, targets, seen=seen)


def revert_operation(operation_id: str, direction: Direction, undoes: str | None = None) -> LabelOperation:
    """Return a request to undo or redo, for `apply_as`."""
    return LabelOperation(operation_id, 0, NOW, direction=direction, undoes=undoes)


def undo_operation(operation_id: str, undoes: str | None = None) -> LabelOperation:
    """Return a request to undo, for `apply_as`."""
    return revert_operation(operation_id, "undo", undoes)


def redo_operation(operation_id: str, undoes: str | None = None) -> LabelOperation:
    """Return a request to redo, for `apply_as`."""
    return revert_operation(operation_id, "redo", undoes)


def apply_as(
    session: Session, project: int, author: str, *operations: LabelOperation
) -> tuple[OperationResult, ...]:
    """Apply operations as an author; the studio itself has none."""
    owned = [replace(each, project_id=project, author=author) for each in operations]
    return apply_operations(session, project, owned)


def small(database: Database, images: int = 10, name: str = "정원", *, first: int = 1) -> int:
    """Make a project of unlabelled images with ids from `first` on, and two classes; return its id."""
    with database.write() as session:
        project = ProjectRow(name=name, created_at=NOW)
        session.add(project)
        session.flush()
        made = [ImageClassRow(project_id=project.id, name=n, position=i) for i, n in enumerate(CLASSES[:2])]
        session.add_all(made)
        session.execute(insert(ImageRow), [_image(number) for number in range(first, first + images)])
        session.execute(
            insert(LabelOperationRow),
            [
                {
                    "id": f"{name} in",
                    "project_id": project.id,
                    "number": 1,
                    "at": NOW,
                    "direction": "do",
                    "outcome": [["unlabelled", None, 1, images]],
                }
            ],
        )
        rows = [_label(project.id, i, "unlabelled", None, 1) for i in range(first, first + images)]
        session.execute(insert(LabelRow), rows)
        session.execute(insert(LabelChangeRow), [_change(f"{name} in", row, None, None) for row in rows])
        session.execute(
            insert(ProvenanceRow),
            [_provenance(project.id, row["image_id"], "folder", f"새/{row['image_id']}.png") for row in rows],
        )
        return project.id


def large(database: Database, images: int = 100_000) -> int:
    """Make a project of many images and return its id. Image ids are 1 to `images`.

    A tenth is rejected, a half labelled; there are results of every kind, duplicate groups, clashes.
    """
    chance = random.Random(0)
    ids = range(1, images + 1)
    with database.write() as session:
        # Their ids are the database's to give: PostgreSQL would give them once more.
        session.add(ProjectRow(name="큰 정원", created_at=NOW))
        session.flush()
        session.add_all(
            ImageClassRow(project_id=1, name=name, position=position) for position, name in enumerate(CLASSES)
        )
    labels = []
    for image in ids:
        state = chance.choices(("unlabelled", "labelled", "rejected"), (40, 50, 10))[0]
        class_id = chance.randrange(1, 7) if state == "labelled" else None
        labels.append(_label(1, image, state, class_id, 1 + (image - 1) // _BATCH))
    came = Counter((row["operation_number"], row["state"], row["class_id"]) for row in labels)
    operations = [
        {
            "id": f"in {n}",
            "project_id": 1,
            "number": n,
            "at": NOW,
            "direction": "do",
            "author": "",
            "outcome": [[state, class_id, 1, c] for (of, state, class_id), c in came.items() if of == n],
        }
        for n in range(1, labels[-1]["operation_number"] + 1)
    ]
    places = [
        _provenance(
            1,
            image,
            chance.choice(_KINDS),
            f"https://site{image % 50}.example/꽃/photo {image}.jpg",
            licence=chance.choice(_LICENCES),
            title=f"Flower number {image} in the garden of {image % 97}",
            creator=f"Anna {image % 31}",
        )
        for image in ids
    ]
    groups = [
        {"project_id": 1, "image_id": image + at, "group_id": image, "found_by": "hash"}
        for image in range(10, images - 3, 40)
        for at in range(3)
    ]
    _insert(database, ImageRow, [_image(image) for image in ids])
    _insert(database, LabelOperationRow, operations)
    _insert(database, LabelRow, labels)
    _insert(
        database,
        LabelChangeRow,
        [_change(f"in {row['operation_number']}", row, None, None) for row in labels],
    )
    _insert(database, ProvenanceRow, places)
    _insert(database, DuplicateGroupRow, groups)
    _insert(database, FindingRow, list(_findings(labels, chance)))
    wanted = [row["image_id"] for row in labels if row["state"] == "labelled"][:40]
    clashes = [
        {"operation_id": "in 1", "image_id": i, "project_id": 1, "state": "rejected", "class_id": None}
        for i in wanted
    ]
    _insert(database, LabelClashRow, clashes)
    analysis = {
        "project_id": 1,
        "kind": "review",
        "operation_number": 10,
        "facts": {"doubtful": 9},
        "at": NOW,
    }
    _insert(database, AnalysisRow, [analysis])
    return 1


def _findings(labels: Sequence[dict[str, Any]], chance: random.Random) -> Iterator[dict[str, Any]]:
    number = max(row["operation_number"] for row in labels)
    image_issues = ("blurred", "dark", "blank", "small", "shape", "far")

    def found(image: int, kind: str, score: float, class_id: int | None = None) -> dict[str, Any]:
        return {
            "project_id": 1,
            "kind": kind,
            "image_id": image,
            "score": score,
            "class_id": class_id,
            "operation_number": number,
        }

    for row in labels:
        image = row["image_id"]
        # Few digits, so that many images share a score.
        if image % 10:
            yield found(image, "spread", round(chance.random(), 3))
        if row["state"] == "unlabelled" and image % 7:
            for kind in ("suggestion", "next", "uncertain"):
                yield found(
                    image,
                    kind,
                    round(chance.random(), 2),
                    chance.randrange(1, 7) if kind == "suggestion" else None,
                )
        if row["state"] == "labelled":
            yield found(image, "doubtful", round(chance.random() ** 4, 3), chance.randrange(1, 7))
        if image % 50 == 0:
            yield found(image, chance.choice(image_issues), round(chance.random(), 2))


def _insert(database: Database, table: type[DeclarativeBase], rows: Sequence[dict[str, Any]]) -> None:
    for start in range(0, len(rows), _BATCH):
        with database.write() as session:
            # Not through the ORM, which takes twice as long.
            session.connection().execute(insert(table), rows[start : start + _BATCH])


def _image(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "sha256": f"{number:064x}",
        "format": "PNG",
        "width_px": 4 + number % 3,
        "height_px": 3,
        "size_bytes": 1234,
        "perceptual_hash": "0" * 16,
        "created_at": NOW,
    }


def _label(project: int, image: int, state: str, class_id: int | None, number: int) -> dict[str, Any]:
    return {
        "project_id": project,
        "image_id": image,
        "state": state,
        "class_id": class_id,
        "split": None,
        "operation_number": number,
        "updated_at": NOW,
    }


def _change(operation: str, row: dict[str, Any], state: str | None, class_id: int | None) -> dict[str, Any]:
    return {
        "operation_id": operation,
        "image_id": row["image_id"],
        "state_before": state,
        "class_id_before": class_id,
        "state_after": row["state"],
        "class_id_after": row["class_id"],
    }


def _provenance(project: int, image: int, kind: str, address: str, **provenance: str) -> dict[str, Any]:
    return {
        "project_id": project,
        "image_id": image,
        "kind": kind,
        "address": address,
        "page_address": "",
        "title": provenance.get("title", ""),
        "creator": provenance.get("creator", ""),
        "licence": provenance.get("licence", ""),
        "licence_address": "",
        "robots": "",
        "found_at": NOW,
    }
