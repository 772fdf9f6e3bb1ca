"""When the studio looks again by itself: after images came, when enough is decided, never twice at once."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from sqlalchemy import event, select, update

from db import models
from db.engine import Database
from db.labelling import newest_number, record
from studio.curate.findings import Found, StudyKind, found_of, last_study, write_study
from studio.curate.tasks import DECISIONS, look_after, review_soon, survey_soon
from studio.jobs import queue
from tests.conftest import NOW
from tests.curate.material import small

LATER = NOW + timedelta(hours=1)


@pytest.fixture
def project(database: Database) -> int:
    """Forty unlabelled images, 1 to 40, and two classes, 1 and 2."""
    return small(database, 40)


def studied(database: Database, project: int, kind: StudyKind, at: datetime = NOW, **facts: Any) -> None:
    with database.write() as session:
        number = newest_number(session, project)
        write_study(session, project, kind, {}, operation_number=number, facts=facts, now=at)


def decide(database: Database, project: int, *images: int, class_id: int = 1, author: str = "anna") -> None:
    with database.write() as session:
        record(
            session,
            operation_id=uuid4().hex,
            project_id=project,
            at=NOW,
            targets=dict.fromkeys(images, ("labelled", class_id)),
            author=author,
        )


def add(database: Database, project: int, image: int) -> None:
    with database.write() as session:
        row = {column: getattr(session.get_one(models.ImageRow, 1), column) for column in _COLUMNS}
        session.add(models.ImageRow(id=image, sha256=f"{image:064x}", **row))
        session.flush()
        targets = {image: ("unlabelled", None)}
        record(session, operation_id=uuid4().hex, project_id=project, at=NOW, targets=targets)


_COLUMNS = ("format", "width_px", "height_px", "size_bytes", "perceptual_hash", "created_at")


def end(database: Database, job: int, state: queue.State, at: datetime = NOW) -> queue.Job:
    with database.write() as session:
        session.execute(update(models.JobRow).where(models.JobRow.id == job).values(state=state, ended_at=at))
    with database.read() as session:
        found = queue.find(session, job)
    assert found is not None
    return found


def test_images_that_came_are_surveyed_once_all_are_there(database: Database, project: int) -> None:
    with database.write() as session:
        ingest = queue.enqueue(session, "ingest_path", {}, project, NOW)
    assert survey_soon(database, project, NOW) is None
    look_after(database, end(database, ingest, "done"), "done", NOW)
    with database.read() as session:
        (job,) = session.scalars(select(models.JobRow).filter_by(state="queued")).all()
    assert job.kind == "survey"
    assert survey_soon(database, project, NOW) is None
    end(database, job.id, "done")
    studied(database, project, "survey")
    assert survey_soon(database, project, NOW) is None
    decide(database, project, *range(1, 30))
    assert survey_soon(database, project, NOW) is None
    add(database, project, 1000)
    assert survey_soon(database, project, NOW) is not None


def test_a_stopped_ingest_leaves_images_too(database: Database, project: int) -> None:
    with database.write() as session:
        ingest = queue.enqueue(session, "ingest_crawl", {}, project, NOW)
    look_after(database, end(database, ingest, "stopped"), "stopped", NOW)
    with database.read() as session:
        assert session.scalars(select(models.JobRow.kind).filter_by(state="queued")).all() == ["survey"]


def test_a_review_is_due_after_ten_decisions(database: Database, project: int) -> None:
    studied(database, project, "survey")
    studied(database, project, "review", classes=2)
    assert review_soon(database, project, NOW) is None
    decide(database, project, *range(1, DECISIONS))
    assert review_soon(database, project, NOW) is None
    decide(database, project, 1)  # the label that it had: it counts as looked at
    job = review_soon(database, project, NOW)
    assert job is not None
    assert review_soon(database, project, NOW) is None
    with database.write() as session:
        assert queue.claim_one(session, job, "w", NOW) is not None
    decide(database, project, *range(11, 40))
    assert review_soon(database, project, NOW) is None  # one runs: whoever labels next asks again
    end(database, job, "done")
    assert review_soon(database, project, NOW) is not None


def test_the_first_two_classes_and_a_new_survey_are_reason_enough(database: Database, project: int) -> None:
    decide(database, project, 1, 2)
    studied(database, project, "survey")
    studied(database, project, "review", classes=1)
    decide(database, project, 3, class_id=2)
    assert review_soon(database, project, NOW) is None
    decide(database, project, 4, class_id=2)
    job = review_soon(database, project, NOW)
    assert job is not None
    end(database, job, "done")
    studied(database, project, "review", classes=2)
    assert review_soon(database, project, NOW) is None
    studied(database, project, "survey", LATER)
    assert review_soon(database, project, LATER) is not None


def test_without_a_survey_that_comes_first(database: Database, project: int) -> None:
    decide(database, project, *range(1, 30))
    job = review_soon(database, project, NOW)
    assert job is not None
    with database.read() as session:
        assert session.get_one(models.JobRow, job).kind == "survey"
    assert review_soon(database, project, NOW) is None
    ended = end(database, job, "done")
    studied(database, project, "survey")
    look_after(database, ended, "done", NOW)
    with database.read() as session:
        assert session.scalars(select(models.JobRow.kind).filter_by(state="queued")).all() == ["review"]


@pytest.mark.parametrize("state", ["failed", "stopped"])
def test_what_ended_badly_is_not_asked_for_again_at_once(
    database: Database, project: int, state: queue.State
) -> None:
    for ask in (survey_soon, review_soon):
        job = ask(database, project, NOW)
        assert job is not None
        end(database, job, state)
        assert ask(database, project, NOW) is None
        again = ask(database, project, LATER)
        assert again is not None
        end(database, again, "done")
        studied(database, project, "survey")


def test_the_end_of_other_work_asks_for_nothing(database: Database, project: int) -> None:
    for kind in ("retrain", "search"):
        with database.write() as session:
            job = queue.enqueue(session, kind, {}, project, NOW)
        look_after(database, end(database, job, "done"), "done", NOW)
    with database.read() as session:
        assert session.scalars(select(models.JobRow.kind).filter_by(state="queued")).all() == []


def test_a_project_that_is_gone_asks_for_nothing(database: Database) -> None:
    assert survey_soon(database, 99, NOW) is None
    assert review_soon(database, 99, NOW) is None
    with database.write() as session:
        assert not write_study(session, 99, "review", {}, operation_number=1, facts={}, now=NOW)


def test_a_study_replaces_only_findings_of_its_own(database: Database, project: int) -> None:
    def images(kind: Any) -> list[int]:
        with database.read() as session:
            found: list[int] = found_of(session, project, kind).images.tolist()
            return found

    def write(kind: StudyKind, found: dict[Any, Found], number: int) -> None:
        with database.write() as session:
            write_study(session, project, kind, found, operation_number=number, facts={"n": number}, now=NOW)

    two = Found(np.array([2, 1]), np.array([0.5, 1.5]))
    write("survey", {"dark": two, "far": two}, 1)
    write("review", {"suggestion": Found(np.array([3]), np.array([0.25]), np.array([2]))}, 2)
    write("survey", {"dark": Found(np.array([5]), np.array([0.6])), "far": two}, 3)
    assert (images("dark"), images("far"), images("suggestion")) == ([5], [1, 2], [3])
    with database.read() as session:
        assert found_of(session, project, "far").scores.tolist() == [1.0, 0.5]
        assert found_of(session, project, "suggestion").named.tolist() == [2]
        survey, review = (last_study(session, project, kind) for kind in ("survey", "review"))
    assert survey is not None and review is not None
    assert (survey.operation_number, survey.facts, review.operation_number) == (3, {"n": 3}, 2)


def test_asking_is_a_few_look_ups(database: Database, project: int) -> None:
    studied(database, project, "survey")
    studied(database, project, "review", classes=2)
    asks: list[Callable[[Database, int, datetime], int | None]] = [review_soon, survey_soon]
    statements: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    for ask in asks:
        statements.clear()
        assert ask(database, project, NOW) is None
        assert 0 < len(statements) <= 6
