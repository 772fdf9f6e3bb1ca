"""Random operations of two people against a model of the rules: labels, results, history, classes agree."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import select

from db.engine import Database
from db.labelling import LabelOperation, LabelTarget
from db.models import ImageClassRow, LabelChangeRow, LabelOperationRow, LabelRow
from studio.curate import classes
from studio.curate.labels import OperationResult
from tests.conftest import NOW
from tests.curate.material import apply_as, label_operation, revert_operation, small

IMAGES = 12
Target = tuple[str, int | None]


@dataclass
class Act:
    id: str
    author: str
    direction: str
    changes: dict[int, tuple[Target, Target]]
    undoes: str | None = None
    removes: int | None = None
    clashes: set[int] = field(default_factory=set)
    empty: bool = False
    """An undo that found nothing to revert."""


class Model:
    """The rules in their simplest form; an operation's number is its place in the list."""

    def __init__(self) -> None:
        self.labels: dict[int, Target] = dict.fromkeys(range(1, IMAGES + 1), ("unlabelled", None))
        self.decided = dict.fromkeys(self.labels, 0)
        self.acts = [Act("정원 in", "", "do", {})]
        self.living = {1, 2}

    def act(self, name: str) -> Act | None:
        return next((act for act in self.acts if act.id == name), None)

    def undoer(self, act: Act) -> Act | None:
        return next((each for each in self.acts if each.undoes == act.id), None)

    def root(self, act: Act) -> Act:
        while act.undoes is not None:
            act = self.act(act.undoes) or act
        return act

    def tip(self, act: Act) -> Act:
        while (later := self.undoer(act)) is not None:
            act = later
        return act

    def add(self, act: Act) -> None:
        self.acts.append(act)
        for image, (_before, after) in act.changes.items():
            self.labels[image], self.decided[image] = after, len(self.acts) - 1

    def set(self, name: str, author: str, seen: int, targets: dict[int, Target]) -> None:
        clashes = {
            image
            for image, target in targets.items()
            if self.decided[image] > seen
            and self.labels[image] != target
            and self.acts[self.decided[image]].author not in ("", author)
        }
        kept = {i: (self.labels[i], target) for i, target in targets.items() if i not in clashes}
        self.add(Act(name, author, "do", kept, clashes=clashes))

    def clear(self, name: str, author: str, class_id: int, target: Target) -> None:
        mine: dict[int, tuple[Target, Target]] = {
            i: (now, target) for i, now in self.labels.items() if now == ("labelled", class_id)
        }
        self.add(Act(name, author, "do", mine, removes=class_id))
        self.living.discard(class_id)

    def newest(self, author: str, kind: str) -> Act | None:
        """Return the operation that U, or its reverse, reverts."""
        mine = [act for act in self.acts if act.author == author and self.undoer(act) is None]
        if kind == "undo":
            stands = [a for a in mine if a.direction != "undo" and (a.changes or a.removes is not None)]
            return stands[-1] if stands else None
        undos = [act for act in mine if act.direction == "undo" and not act.empty]
        dos = [self.acts.index(a) for a in self.acts if a.author == author and a.direction == "do"]
        if undos and self.acts.index(undos[-1]) > max(dos, default=0):
            return undos[-1]
        return None

    def take_back(self, name: str, author: str, kind: str, named: str | None) -> None:
        if named is None:
            found = self.newest(author, kind)
        else:
            act = self.act(named)
            assert act is not None
            last, first = self.tip(act), self.root(act)
            fits = (last.direction != "undo") == (kind == "undo")
            found = last if fits and (first.changes or first.removes is not None) else None
        if found is None:
            self.add(Act(name, author, kind, {}, empty=True))
            return
        back = {i: (now, was) for i, (was, now) in found.changes.items() if self.labels[i] == now}
        removed = self.root(found).removes
        redoing = found.direction == "undo"
        self.living |= {target[1] for _now, target in back.values() if target[1] is not None}
        self.add(Act(name, author, "redo" if redoing else "undo", back, undoes=found.id))
        if removed is not None and not redoing:
            self.living.add(removed)
        if removed is not None and redoing and ("labelled", removed) not in self.labels.values():
            self.living.discard(removed)
            self.acts[-1].removes = removed


@pytest.mark.parametrize("seed", range(12))
def test_random_operations_of_two_people(database: Database, seed: int) -> None:
    project = small(database, IMAGES)
    chance, model = random.Random(seed), Model()
    asked: list[tuple[str, LabelOperation]] = []

    for step in range(70):
        author = chance.choice(("anna", "boris"))
        name = f"{seed} {step}"
        if asked and chance.random() < 0.15:  # somebody did not hear the answer
            author, operation = chance.choice(asked)
            before = now(database, project), history(database)
            again(database, project, author, operation)
            assert (now(database, project), history(database)) == before
            continue
        if chance.random() < 0.12:
            change_classes(database, project, model, chance, author, name)
        elif chance.random() < 0.55:
            operation = some_labels(model, chance, author, name)
            asked.append((author, operation))
            (result,) = again(database, project, author, operation)
            check(model, result)
        else:
            kind = chance.choice(("undo", "undo", "redo"))
            named = (
                chance.choice(model.acts[1:]).id if len(model.acts) > 1 and chance.random() < 0.3 else None
            )
            back = revert_operation(name, "undo" if kind == "undo" else "redo", named)
            asked.append((author, back))
            (result,) = again(database, project, author, back)
            model.take_back(name, author, kind, named)
            check(model, result)
        assert now(database, project) == model.labels
        assert living(database, project) == model.living
    assert history(database) == [
        (a.id, a.author, a.direction, a.undoes, a.removes, {i: (*b, *n) for i, (b, n) in a.changes.items()})
        for a in model.acts[1:]
    ]


def again(
    database: Database, project: int, author: str, operation: LabelOperation
) -> tuple[OperationResult, ...]:
    with database.write() as session:
        return apply_as(session, project, author, operation)


def check(model: Model, result: OperationResult) -> None:
    """Compare a result with the model's newest operation."""
    act = model.acts[-1]
    assert result.error is None
    assert result.number == (0 if act.empty else len(model.acts))
    assert result.original_id == (model.root(act).id if act.undoes else None)
    assert result.changes == tuple((i, *model.labels[i]) for i in sorted(act.changes))
    assert result.clashes == tuple((i, *model.labels[i]) for i in sorted(act.clashes))


def some_labels(model: Model, chance: random.Random, author: str, name: str) -> LabelOperation:
    images = chance.sample(range(1, IMAGES + 1), chance.randrange(1, 6))
    cut = chance.randrange(len(images) + 1)
    choices: list[Any] = [("labelled", c) for c in sorted(model.living)]
    choices += [("rejected", None), ("unlabelled", None)]
    groups = [
        (sorted(some), LabelTarget(*chance.choice(choices))) for some in (images[:cut], images[cut:]) if some
    ]
    # How much of the history somebody knew; 1 is the model's number 0.
    seen = max(1, len(model.acts) - chance.choice((0, 0, 1, 3)))
    model.set(
        name,
        author,
        seen - 1,
        {i: (target.state, target.class_id) for images, target in groups for i in images},
    )
    return label_operation(name, *groups, seen=seen)


def change_classes(
    database: Database, project: int, model: Model, chance: random.Random, author: str, name: str
) -> None:
    with database.write() as session:
        if len(model.living) < 3:
            before = set(model.living)
            classes.add_class(session, project, f"class {name}", operation_id=name, now=NOW)
            rows = session.scalars(
                select(ImageClassRow.id).where(
                    ImageClassRow.project_id == project, ImageClassRow.removed_at.is_(None)
                )
            )
            model.living |= set(rows) - before
            model.add(Act(name, "", "do", {}))
            return
        gone, into = chance.sample(sorted(model.living), 2)
        act: Callable[..., None] = classes.remove_class
        target: Target = ("unlabelled", None)
        extra: dict[str, int] = {}
        if chance.random() < 0.5:
            act, target, extra = classes.merge_classes, ("labelled", into), {"into": into}
        act(session, project, gone, **extra, author=author, operation_id=name, now=NOW)
    model.clear(name, author, gone, target)


def now(database: Database, project: int) -> dict[int, Target]:
    with database.read() as session:
        rows = session.execute(
            select(LabelRow.image_id, LabelRow.state, LabelRow.class_id).where(LabelRow.project_id == project)
        )
        return {image: (state, class_id) for image, state, class_id in rows}


def living(database: Database, project: int) -> set[int]:
    with database.read() as session:
        return {row.id for row in classes.active_classes(session, project)}


def history(database: Database) -> list[tuple[Any, ...]]:
    """All acts but the first, with the changes of each."""
    with database.read() as session:
        rows = session.scalars(select(LabelOperationRow).order_by(LabelOperationRow.number)).all()
        assert [row.number for row in rows] == list(range(1, len(rows) + 1))
        changes: dict[str, dict[int, tuple[Any, ...]]] = {}
        for c in session.scalars(select(LabelChangeRow)):
            changes.setdefault(c.operation_id, {})[c.image_id] = (
                c.state_before, c.class_id_before, c.state_after, c.class_id_after
            )  # fmt: skip
    return [
        (r.id, r.author, r.direction, r.undoes, r.removed_class_id, changes.get(r.id, {})) for r in rows[1:]
    ]
