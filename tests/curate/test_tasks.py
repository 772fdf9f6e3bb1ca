"""Requests of analyses: after an import, after enough labels, never two at once."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from sqlalchemy import event, select, update

from db import models
from db.engine import Database
from db.labelling import LabelOperation, LabelTarget, latest_operation_number, record_operation
from studio.curate.analysis_results import (
    AnalysisKind,
    AnalysisResult,
    last_analysis,
    read_result,
    write_analysis,
)
from studio.curate.tasks import (
    MIN_NEW_DECISIONS,
    request_follow_up_analysis,
    request_image_analysis,
    request_label_analysis,
)
from studio.jobs import queue
from tests.conftest import NOW
from tests.curate.material import small

LATER = NOW + timedelta(hours=1)


@pytest.fixture
def project(database: Database) -> int:
    """Forty unlabelled images, 1 to 40, and two classes, 1 and 2."""
    return small(database, 40)


def analysed(database: Database, project: int, kind: AnalysisKind, at: datetime = NOW, **facts: Any) -> None:
    with database.write() as session:
        number = latest_operation_number(session, project)
        write_analysis(session, project, kind, {}, operation_number=number, facts=facts, now=at)


def decide(database: Database, project: int, *images: int, class_id: int = 1, author: str = "anna") -> None:
    with database.write() as session:
        record_operation(
            session,
            LabelOperation(
                uuid4().hex,
                project,
                NOW,
                dict.fromkeys(images, LabelTarget("labelled", class_id)),
                author=author,
            ),
        )


def add(database: Database, project: int, image: int) -> None:
    with database.write() as session:
        row = {column: getattr(session.get_one(models.ImageRow, 1), column) for column in _COLUMNS}
        session.add(models.ImageRow(id=image, sha256=f"{image:064x}", **row))
        session.flush()
        targets = {image: LabelTarget("unlabelled")}
        record_operation(session, LabelOperation(uuid4().hex, project, NOW, targets))


_COLUMNS = ("format", "width_px", "height_px", "size_bytes", "perceptual_hash", "created_at")


def end(database: Database, job: int, state: queue.State, at: datetime = NOW) -> queue.Job:
    with database.write() as session:
        session.execute(update(models.JobRow).where(models.JobRow.id == job).values(state=state, ended_at=at))
    with database.read() as session:
        found = queue.find(session, job)
    assert found is not None
    return found


def test_images_are_analysed_when_the_import_has_ended(database: Database, project: int) -> None:
    with database.write() as session:
        ingest = queue.enqueue(session, "ingest_path", {}, project, NOW)
    assert request_image_analysis(database, project, NOW) is None
    request_follow_up_analysis(database, end(database, ingest, "done"), "done", NOW)
    with database.read() as session:
        (job,) = session.scalars(select(models.JobRow).filter_by(state="queued")).all()
    assert job.kind == "survey"
    assert request_image_analysis(database, project, NOW) is None
    end(database, job.id, "done")
    analysed(database, project, "survey")
    assert request_image_analysis(database, project, NOW) is None
    decide(database, project, *range(1, 30))
    assert request_image_analysis(database, project, NOW) is None
    add(database, project, 1000)
    assert request_image_analysis(database, project, NOW) is not None


def test_a_stopped_ingest_leaves_images_too(database: Database, project: int) -> None:
    with database.write() as session:
        ingest = queue.enqueue(session, "ingest_crawl", {}, project, NOW)
    request_follow_up_analysis(database, end(database, ingest, "stopped"), "stopped", NOW)
    with database.read() as session:
        assert session.scalars(select(models.JobRow.kind).filter_by(state="queued")).all() == ["survey"]


def test_a_label_analysis_is_due_after_ten_labels(database: Database, project: int) -> None:
    analysed(database, project, "survey")
    analysed(database, project, "review", classes=2)
    assert request_label_analysis(database, project, NOW) is None
    decide(database, project, *range(1, MIN_NEW_DECISIONS))
    assert request_label_analysis(database, project, NOW) is None
    decide(database, project, 1)  # the label that it had: it counts as looked at
    job = request_label_analysis(database, project, NOW)
    assert job is not None
    assert request_label_analysis(database, project, NOW) is None
    with database.write() as session:
        assert queue.claim_one(session, job, "w", NOW) is not None
    decide(database, project, *range(11, 40))
    assert request_label_analysis(database, project, NOW) is None  # one runs: whoever labels next asks again
    end(database, job, "done")
    assert request_label_analysis(database, project, NOW) is not None


def test_a_label_analysis_is_due_after_two_classes_or_an_image_analysis(
    database: Database, project: int
) -> None:
    decide(database, project, 1, 2)
    analysed(database, project, "survey")
    analysed(database, project, "review", classes=1)
    decide(database, project, 3, class_id=2)
    assert request_label_analysis(database, project, NOW) is None
    decide(database, project, 4, class_id=2)
    job = request_label_analysis(database, project, NOW)
    assert job is not None
    end(database, job, "done")
    analysed(database, project, "review", classes=2)
    assert request_label_analysis(database, project, NOW) is None
    analysed(database, project, "survey", LATER)
    assert request_label_analysis(database, project, LATER) is not None


def test_the_image_analysis_comes_first(database: Database, project: int) -> None:
    decide(database, project, *range(1, 30))
    job = request_label_analysis(database, project, NOW)
    assert job is not None
    with database.read() as session:
        assert session.get_one(models.JobRow, job).kind == "survey"
    assert request_label_analysis(database, project, NOW) is None
    ended = end(database, job, "done")
    analysed(database, project, "survey")
    request_follow_up_analysis(database, ended, "done", NOW)
    with database.read() as session:
        assert session.scalars(select(models.JobRow.kind).filter_by(state="queued")).all() == ["review"]


@pytest.mark.parametrize("state", ["failed", "stopped"])
def test_what_ended_badly_is_not_asked_for_again_at_once(
    database: Database, project: int, state: queue.State
) -> None:
    for ask in (request_image_analysis, request_label_analysis):
        job = ask(database, project, NOW)
        assert job is not None
        end(database, job, state)
        assert ask(database, project, NOW) is None
        again = ask(database, project, LATER)
        assert again is not None
        end(database, again, "done")
        analysed(database, project, "survey")


def test_the_end_of_other_work_asks_for_nothing(database: Database, project: int) -> None:
    for kind in ("retrain", "search"):
        with database.write() as session:
            job = queue.enqueue(session, kind, {}, project, NOW)
        request_follow_up_analysis(database, end(database, job, "done"), "done", NOW)
    with database.read() as session:
        assert session.scalars(select(models.JobRow.kind).filter_by(state="queued")).all() == []


def test_a_project_that_is_gone_asks_for_nothing(database: Database) -> None:
    assert request_image_analysis(database, 99, NOW) is None
    assert request_label_analysis(database, 99, NOW) is None
    with database.write() as session:
        assert not write_analysis(session, 99, "review", {}, operation_number=1, facts={}, now=NOW)


def test_an_analysis_replaces_only_its_own_results(database: Database, project: int) -> None:
    def images(kind: Any) -> list[int]:
        with database.read() as session:
            found: list[int] = read_result(session, project, kind).images.tolist()
            return found

    def write(kind: AnalysisKind, found: dict[Any, AnalysisResult], number: int) -> None:
        with database.write() as session:
            write_analysis(
                session, project, kind, found, operation_number=number, facts={"n": number}, now=NOW
            )

    two = AnalysisResult(np.array([2, 1]), np.array([0.5, 1.5]))
    write("survey", {"dark": two, "far": two}, 1)
    write("review", {"suggestion": AnalysisResult(np.array([3]), np.array([0.25]), np.array([2]))}, 2)
    write("survey", {"dark": AnalysisResult(np.array([5]), np.array([0.6])), "far": two}, 3)
    assert (images("dark"), images("far"), images("suggestion")) == ([5], [1, 2], [3])
    with database.read() as session:
        assert read_result(session, project, "far").scores.tolist() == [1.0, 0.5]
        assert read_result(session, project, "suggestion").class_ids.tolist() == [2]
        of_images, of_labels = (last_analysis(session, project, kind) for kind in ("survey", "review"))
    assert of_images is not None and of_labels is not None
    assert (of_images.operation_number, of_images.facts, of_labels.operation_number) == (
        3,
        {"n": 3},
        2,
    )


def test_a_request_takes_few_queries(database: Database, project: int) -> None:
    analysed(database, project, "survey")
    analysed(database, project, "review", classes=2)
    asks: list[Callable[[Database, int, datetime], int | None]] = [
        request_label_analysis,
        request_image_analysis,
    ]
    statements: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *event_: statements.append(event_[2]))
    for ask in asks:
        statements.clear()
        assert ask(database, project, NOW) is None
        assert 0 < len(statements) <= 6
