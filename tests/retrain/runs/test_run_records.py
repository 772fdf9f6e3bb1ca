"""Runs in the database: lists, large parts, names, deletion, states, curves, comparisons, slices."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from operator import le
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event, insert, select, update

from db import models
from db.engine import Database
from studio.errors import ProjectError
from studio.images.store import ImageStore
from studio.retrain.curve import CurvePoint
from studio.retrain.evaluation.evaluation import AccuracyEstimate, Evaluation
from studio.retrain.evaluation.slices import source_slices
from studio.retrain.options import RunOptions
from studio.retrain.run import RunResult
from studio.retrain.runs import run_records, snapshot_records
from studio.retrain.runs.compare import RunOutcome
from studio.retrain.snapshot import LabelledImage, Snapshot
from tests.conftest import NOW
from tests.curate.material import small
from tests.retrain.material import changes

IMAGES = 60


class Bench:
    """A project of sixty images in two classes, and runs on it."""

    def __init__(self, database: Database, home: Path) -> None:
        self.database, self.home = database, home
        self.store = ImageStore(home / "pictures")
        self.project_id = small(database, IMAGES)
        self.label(dict.fromkeys(range(1, IMAGES + 1), 1) | dict.fromkeys(range(1, IMAGES + 1, 2), 2))

    def label(self, classes: Mapping[int, int | None]) -> None:
        with self.database.write() as session:
            for image_id, class_id in classes.items():
                state = "rejected" if class_id is None else "labelled"
                session.execute(
                    update(models.LabelRow)
                    .filter_by(project_id=self.project_id, image_id=image_id)
                    .values(state=state, class_id=class_id)
                )

    def snapshot(self) -> Snapshot:
        with self.database.read() as session:
            return snapshot_records.current_snapshot(session, self.project_id, RunOptions(), self.store)

    def run(self, **values: Any) -> int:
        """Create a run on the current labels."""
        with self.database.write() as session:
            snapshot = snapshot_records.current_snapshot(session, self.project_id, RunOptions(), self.store)
            snapshot_id = snapshot_records.freeze_snapshot(session, self.project_id, snapshot, NOW)
            return run_records.create_run(session, self.project_id, snapshot_id, RunOptions(), NOW, **values)

    def finished(self, is_correct: Callable[[int], bool] = lambda _number: True, **values: Any) -> int:
        """Create a finished run whose predictions are correct for the test images that `is_correct` names."""
        run_id = self.run(**values)
        folder = self.home / "runs" / str(run_id)
        folder.mkdir(parents=True)
        (folder / "model.tflite").write_bytes(b"model")
        snapshot = self.snapshot()
        tested = snapshot.of_split("testing")
        probabilities = np.full((len(tested), 2), 0.2, np.float32)
        for number, example in enumerate(tested):
            true = snapshot.classes.index(example.label)
            probabilities[number, true if is_correct(number) else 1 - true] = 0.8
        evaluation = Evaluation.of(tested, probabilities, snapshot.classes, frozenset({tested[0].sha256}))
        facts = {"steps": 3, "versions": {"numpy": "2"}}
        result = RunResult(
            folder, snapshot, RunOptions(), evaluation, 3, None, f"sha of {run_id}", (), (), facts
        )
        with self.database.write() as session:
            run_records.finish(session, run_id, result, NOW)
        return run_id

    def job(self, *run_ids: int, state: str = "queued", error: str | None = None) -> int:
        with self.database.write() as session:
            job = models.JobRow(
                kind="retrain",
                arguments={"run_ids": list(run_ids)},
                project_id=self.project_id,
                state=state,
                error=error,
                created_at=NOW,
            )
            session.add(job)
            session.flush()
            for run_id in run_ids:
                run_records.set_job(session, run_id, job.id)
            return job.id

    def of(self, run_id: int) -> run_records.RunSummary:
        with self.database.read() as session:
            return run_records.get_run(session, run_id)

    def listed(self, *, deleted: bool = False) -> list[int]:
        with self.database.read() as session:
            return [run.id for run in run_records.list_runs(session, self.project_id, deleted=deleted)]


@pytest.fixture
def bench(database: Database, home: Path) -> Bench:
    return Bench(database, home)


def test_lists_have_metrics_and_single_runs_predictions(bench: Bench) -> None:
    run_id = bench.finished(lambda at: at != 1)
    whole = bench.of(run_id)
    with bench.database.read() as session:
        (listed,) = run_records.list_runs(session, bench.project_id)
        assert run_records.newest_accuracy(session, bench.project_id) == listed.evaluation.accuracy  # type: ignore[union-attr]
    assert whole.evaluation is not None
    assert listed.evaluation is not None
    assert whole.evaluation.n == len(whole.evaluation.predictions) > 2
    assert len(whole.evaluation.precision_recall) == 2
    assert (listed.evaluation.predictions, listed.evaluation.precision_recall) == ((), ())
    for run in (listed, whole):
        assert run.evaluation is not None
        assert run.evaluation.accuracy == 1 - 1 / whole.evaluation.n
        assert run.evaluation.without_leakage == AccuracyEstimate.of(
            whole.evaluation.n - 2, whole.evaluation.n - 1
        )
        assert (run.images, run.facts, run.job_state) == (
            IMAGES,
            {"steps": 3, "versions": {"numpy": "2"}},
            "done",
        )
    with bench.database.read() as session:
        found = run_records.run_outcome(session, run_id)
        assert found == RunOutcome(whole.evaluation, f"sha of {run_id}", {"numpy": "2"})
        assert (
            run_records.run_outcome(session, bench_run := session.scalar(select(models.RunRow.id)) or 0)
            is not None
        )
        assert bench_run == run_id


def test_a_list_does_not_read_the_large_parts(bench: Bench) -> None:
    bench.finished()
    statements: list[str] = []

    def record(*arguments: Any) -> None:
        statements.append(arguments[2])

    event.listen(bench.database.engine, "before_cursor_execute", record)
    bench.listed()
    assert statements
    assert not any("answers" in text for text in statements)


def test_names_and_notes(bench: Bench) -> None:
    run_id = bench.run(name="  첫 run ")
    assert bench.of(run_id).name == "첫 run"
    with bench.database.write() as session:
        run_records.rename(session, run_id, "더  나은\n하나 ")
        run_records.set_note(session, run_id, " two\nlines ")
    assert (bench.of(run_id).name, bench.of(run_id).note) == ("더 나은 하나", "two\nlines")
    with bench.database.write() as session, pytest.raises(ProjectError):
        run_records.rename(session, run_id + 100, "x")


def test_deleted_runs_are_restored_unchanged(bench: Bench) -> None:
    first, second, third = (bench.finished(partial(le, wrong)) for wrong in range(3))
    with bench.database.write() as session:
        run_records.delete(session, [second, third], NOW)
        run_records.delete(session, [third], NOW + timedelta(days=1))
    assert bench.listed() == [first]
    assert bench.listed(deleted=True) == [third, second]
    assert bench.of(third).deleted_at == NOW
    with bench.database.write() as session:
        assert run_records.newest_accuracy(session, bench.project_id) == 1
        assert run_records.previous_run_id(session, third) == first
        run_records.restore(session, [second, third])
    assert bench.listed() == [third, second, first]
    assert bench.of(third).deleted_at is None
    with bench.database.read() as session:
        assert (run_records.newest_accuracy(session, bench.project_id) or 1) < 1
        assert run_records.previous_run_id(session, third) == second
        assert run_records.previous_run_id(session, first) is None


def test_each_run_of_a_job_has_its_own_state(bench: Bench) -> None:
    done, failed, current, waiting = bench.finished(), bench.run(), bench.run(), bench.run()
    alone = bench.run()
    job_id = bench.job(done, failed, current, waiting)
    ids = (done, failed, current, waiting, alone)

    def states() -> list[str | None]:
        return [bench.of(run_id).job_state for run_id in ids]

    assert states() == ["done", "queued", "queued", "queued", None]
    with bench.database.write() as session:
        session.execute(update(models.JobRow).filter_by(id=job_id).values(state="running"))
        run_records.set_error(session, failed, "It was too dark.")
    assert states() == ["done", "failed", "running", "queued", None]
    assert (bench.of(failed).error, bench.of(failed).facts) == ("It was too dark.", {})
    with bench.database.write() as session:
        session.execute(update(models.JobRow).filter_by(id=job_id).values(state="stopped"))
    assert states() == ["done", "failed", "stopped", "stopped", None]
    with bench.database.write() as session:
        session.execute(update(models.JobRow).filter_by(id=job_id).values(state="failed", error="No room."))
    assert states() == ["done", "failed", "failed", "failed", None]
    assert bench.of(waiting).error == "No room."
    with bench.database.write() as session:
        run_records.set_error(session, failed, None)
        session.execute(update(models.JobRow).filter_by(id=job_id).values(state="running", error=None))
    assert states() == ["done", "running", "queued", "queued", None]


def test_curves_from_a_step_on(bench: Bench) -> None:
    first, second = bench.run(), bench.run()
    points = [CurvePoint(step, "training", step / 10, 1.0, step * 0.5) for step in range(6)]
    points += [CurvePoint(step, "validation", 0.5, 1.0) for step in (0, 5)]
    with bench.database.write() as session:
        for run_id in (first, second):
            run_records.add_points(session, run_id, points)
        run_records.add_points(session, first, points)  # again, as after a resume
    with bench.database.read() as session:
        found = run_records.get_curves(session, [first, second, 999], {first: 4})
        assert run_records.get_curve(session, second) == found[second]
    assert sorted((p.step, p.split) for p in found[first]) == [(5, "training"), (5, "validation")]
    assert [p.step for p in found[second]] == [0, 0, 1, 2, 3, 4, 5, 5]
    assert [p.elapsed_s for p in found[second] if p.split == "training"] == [0, 0.5, 1, 1.5, 2, 2.5]
    assert found[999] == ()


def test_snapshots_are_compared_in_the_database_as_in_memory(bench: Bench) -> None:
    before, first = bench.snapshot(), bench.run()
    bench.label({1: 1, 2: 2, 3: None, 4: None})
    with bench.database.write() as session:
        query = update(models.LabelRow).where(models.LabelRow.image_id.in_([5, 6, 7]))
        session.execute(query.values(split="testing"))
    small(bench.database, 3, "다른 정원", first=IMAGES + 1)
    with bench.database.write() as session:
        session.execute(
            insert(models.LabelRow),
            [
                {
                    "project_id": bench.project_id,
                    "image_id": image_id,
                    "class_id": 1,
                    "state": "labelled",
                    "updated_at": NOW,
                }
                for image_id in range(IMAGES + 1, IMAGES + 4)
            ],
        )
    after, second = bench.snapshot(), bench.run()
    with bench.database.read() as session:
        found = snapshot_records.compare_snapshots(session, first, second)
        back = snapshot_records.compare_snapshots(session, second, first)
        none = snapshot_records.compare_snapshots(session, second, second)
    assert found == changes(before, after)
    assert (len(found.added), len(found.removed), len(found.relabelled)) == (3, 2, 2)
    assert found.split_changed
    assert back == changes(after, before)
    assert not none
    assert sum(each.after for each in none.by_class) == len(after.examples)


def test_leaked_test_images_are_found_by_duplicate_groups(bench: Bench) -> None:
    run_id, other = bench.run(), bench.run()
    snapshot = bench.snapshot()
    with bench.database.read() as session:
        ids = run_records.image_ids_by_sha256(session, [example.sha256 for example in snapshot.examples])
        assert snapshot_records.leaked_test_images(session, run_id) == frozenset()
    tested, trained = snapshot.of_split("testing"), snapshot.of_split("training")
    validated = snapshot.of_split("validation")
    pairs = [(tested[0], trained[0]), (tested[1], validated[0]), (trained[1], trained[2])]
    with bench.database.write() as session:
        for pair in pairs:
            for example in pair:
                session.add(
                    models.DuplicateGroupRow(
                        project_id=bench.project_id,
                        image_id=ids[example.sha256],
                        group_id=ids[pair[0].sha256],
                        found_by="hash",
                    )
                )
    with bench.database.read() as session:
        assert snapshot_records.leaked_test_images(session, run_id) == {tested[0].sha256}
        assert snapshot_records.leaked_test_images(session, other) == {tested[0].sha256}


def test_accuracy_by_source(bench: Bench) -> None:
    snapshot = bench.snapshot()
    tested = snapshot.of_split("testing")
    with bench.database.write() as session:
        ids = run_records.image_ids_by_sha256(session, [example.sha256 for example in tested])
        for at, example in enumerate(tested[:3]):
            provenance_id = select(models.ProvenanceRow.id).filter_by(image_id=ids[example.sha256])
            page = "https://www.flickr.example/꽃" if at < 2 else ""
            session.execute(
                update(models.ProvenanceRow)
                .where(models.ProvenanceRow.id == session.scalar(provenance_id))
                .values(kind="crawl", page_address=page, address=f"https://media.example:8000/{at}.jpg")
            )
        # A second provenance: the image counts for the first.
        session.add(
            models.ProvenanceRow(
                project_id=bench.project_id,
                image_id=ids[tested[0].sha256],
                kind="openverse",
                address="https://later.example/x",
                found_at=NOW,
            )
        )
    run_id, waiting = bench.finished(lambda at: at != 1), bench.run()
    with bench.database.read() as session:
        found = {each.name: each for each in source_slices(session, run_id)}
        assert source_slices(session, waiting) == ()
    assert {name: (each.kind, each.n, each.accuracy) for name, each in found.items()} == {
        "flickr.example": ("crawl", 2, 0.5),
        "media.example": ("crawl", 1, 1.0),
        "folder": ("folder", len(tested) - 3, 1.0),
    }
    assert found["flickr.example"].interval is not None


def test_a_snapshot_is_stored_once(bench: Bench) -> None:
    first, second = bench.of(bench.run()), bench.of(bench.run(rerun_of=None))
    assert first.snapshot_id == second.snapshot_id
    assert first.folder != second.folder
    again = bench.of(bench.run(rerun_of=first.id))
    assert again.rerun_of == first.id
    with bench.database.read() as session:
        loaded = snapshot_records.load_snapshot(session, again.id, bench.store)
    assert loaded.hash == bench.snapshot().hash
    assert {LabelledImage(e.sha256, e.path, e.label) for e in loaded.examples} == {
        LabelledImage(e.sha256, e.path, e.label) for e in bench.snapshot().examples
    }
