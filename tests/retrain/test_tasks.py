"""Retraining jobs performed in this process: runs, sweeps, reruns, and the speed measurement."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import update

from db import engine, models
from db.engine import Database
from studio import errors
from studio.backbones import BACKBONES, DEFAULT
from studio.backbones.speed import read_speeds
from studio.datasets.projects import create_project
from studio.errors import ProjectError, Stopped, TooFewImages
from studio.images.store import ImageStore
from studio.jobs import queue
from studio.progress import Progress, Silent
from studio.retrain import tasks
from studio.retrain.options import RunOptions
from studio.retrain.runs import run_records
from studio.retrain.runs.compare import RerunComparison
from studio.settings import Settings
from studio.worker.perform import JobProgress, perform
from tests.conftest import NOW
from tests.retrain.material import ROOM, RecordingProgress, backbone, draw

STEPS = 20
RATES = (0.01, 0.05, 0.2)


class Bench:
    """A project of drawings in a data folder, with bottlenecks shared by all tests."""

    def __init__(self, database: Database, home: Path) -> None:
        from studio.collect.importers import ingest_path
        from studio.collect.ingest import ImportContext

        self.database = database
        self.settings = Settings(home=home, threads=2)
        self.store = ImageStore(self.settings.images_dir)
        self.settings.backbones_dir.mkdir()
        shutil.copy(backbone().path, self.settings.backbones_dir)
        cached = ROOM / "bottlenecks"
        if cached.is_dir():
            shutil.copytree(cached, self.settings.bottleneck_dir)
        with database.write() as session:
            self.project_id = create_project(session, "도형", NOW).id
        ingest_path(
            ImportContext(
                database=database, store=self.store, project_id=self.project_id, clock=lambda: NOW, threads=2
            ),
            path=draw(home / "그림들"),
            class_name=None,
        )

    def do(self, run_id: int, progress: Progress | None = None) -> BaseException | None:
        """Perform a run's job, as a worker does."""
        job_id, token = self.of(run_id).job_id, uuid4().hex
        assert job_id is not None
        with self.database.write() as session:
            assert queue.claim_one(session, job_id, token, NOW) is not None
        return perform(self.database, self.settings, job_id, token, progress or Silent())

    def of(self, run_id: int) -> run_records.RunSummary:
        with self.database.read() as session:
            return run_records.get_run(session, run_id)

    def job(self, run_id: int) -> queue.Job:
        with self.database.read() as session:
            job = queue.find(session, self.of(run_id).job_id or 0)
        assert job is not None
        return job

    def resume(self, run_id: int) -> None:
        with self.database.write() as session:
            queue.resume(session, self.of(run_id).job_id or 0)

    def sweep(self, name: str = "") -> tuple[int, ...]:
        sweep_options = [RunOptions(how_many_training_steps=STEPS, learning_rate=rate) for rate in RATES]
        return tasks.enqueue_sweep(self.database, self.store, self.project_id, sweep_options, NOW, name=name)

    def retrain(self, **options: float) -> int:
        run_options = RunOptions(how_many_training_steps=STEPS, **options)  # type: ignore[arg-type]
        return tasks.enqueue_run(self.database, self.store, self.project_id, run_options, NOW)


@pytest.fixture
def bench(database: Database, home: Path) -> Iterator[Bench]:
    made = Bench(database, home)
    yield made
    # Keep computed bottlenecks for the next test.
    for shard in made.settings.bottleneck_dir.rglob("*.npy"):
        kept = ROOM / "bottlenecks" / shard.relative_to(made.settings.bottleneck_dir)
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(shard, kept)


def test_a_run_stores_its_facts_and_its_evaluation(bench: Bench) -> None:
    run_id = bench.retrain()
    assert bench.of(run_id).job_state == "queued"
    assert bench.do(run_id) is None
    run = bench.of(run_id)
    assert run.job_state == "done"
    assert run.evaluation is not None
    assert len(run.evaluation.predictions) == run.evaluation.n > 0
    assert run.evaluation.without_leakage is not None
    assert run.evaluation.calibration is not None
    assert run.facts["steps"] == STEPS
    assert run.facts["versions"]["tensorflow"]
    assert run.facts["backbones"][0]["name"] == run.options.backbone
    with bench.database.read() as session:
        points = run_records.get_curve(session, run_id)
    assert all(point.elapsed_s is not None for point in points)


class Blocking:
    """A job's progress during which another connection locks the database while the head is trained."""

    def __init__(self, progress: Progress, file: Path) -> None:
        self._progress = progress
        self._other = sqlite3.connect(file, isolation_level=None)
        self.close = self._other.close
        self.blocked: list[str] = []

    def report(self, phase: str, done: int, total: int | None = None) -> None:
        if phase.startswith("Training"):
            if not self.blocked:
                self._other.execute("BEGIN IMMEDIATE")
            self.blocked.append(phase)
        elif self._other.in_transaction:
            self._other.execute("ROLLBACK")
        self._progress.report(phase, done, total)


def test_a_database_locked_during_training_loses_no_points(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    if bench.database.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL lets several write")
    undisturbed = bench.retrain()
    assert bench.do(undisturbed) is None
    disturbed = bench.retrain()
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_S", 0.05)
    job_id = bench.of(disturbed).job_id
    assert job_id is not None
    with closing(Database(bench.database.url.render_as_string(hide_password=False))) as database:
        with database.write() as session:
            assert queue.claim_one(session, job_id, "token", NOW) is not None
        writing = JobProgress(database, job_id, "token", on_lost=lambda: pytest.fail("the job was lost"))
        with closing(Blocking(writing, bench.settings.home / "studio.sqlite3")) as blocking:
            assert perform(database, bench.settings, job_id, "token", blocking) is None
    assert blocking.blocked
    assert bench.of(disturbed).job_state == "done"
    with bench.database.read() as session:
        places = [
            [(point.split, point.step) for point in run_records.get_curve(session, run_id)]
            for run_id in (undisturbed, disturbed)
        ]
    assert places[0] == places[1]
    assert len(places[1]) > 2


def test_a_sweep_is_one_job(bench: Bench) -> None:
    run_ids = bench.sweep("빠르기")
    assert len({bench.of(run_id).job_id for run_id in run_ids}) == 1
    with pytest.raises(errors.JobAlreadyRunning):
        bench.retrain()
    with pytest.raises(errors.JobAlreadyRunning):
        tasks.enqueue_rerun(bench.database, run_ids[0], NOW)
    progress = RecordingProgress()
    assert bench.do(run_ids[0], progress) is None
    runs = [bench.of(run_id) for run_id in run_ids]
    assert [run.job_state for run in runs] == ["done"] * 3
    assert [run.name for run in runs] == ["빠르기 1", "빠르기 2", "빠르기 3"]
    assert [run.options.learning_rate for run in runs] == list(RATES)
    assert len({run.snapshot_id for run in runs}) == 1
    assert len({run.folder for run in runs}) == 3
    phases = list(dict.fromkeys(phase for phase, _done, _total in progress.reports))
    assert any(phase.startswith("Run 2 of 3: ") for phase in phases)
    result = bench.job(run_ids[0]).result
    assert result is not None
    assert (result["run_ids"], result["failed"]) == (list(run_ids), [])


def test_runs_with_other_seeds_have_other_snapshots(bench: Bench) -> None:
    sweep_options = [RunOptions(seed=seed, learning_rate=rate) for seed in (1, 2) for rate in RATES]
    run_ids = tasks.enqueue_sweep(bench.database, bench.store, bench.project_id, sweep_options, NOW)
    snapshots = [bench.of(run_id).snapshot_id for run_id in run_ids]
    assert snapshots == [snapshots[0]] * 3 + [snapshots[3]] * 3
    assert snapshots[0] != snapshots[3]


def test_a_failed_run_does_not_stop_a_sweep(bench: Bench) -> None:
    first, second, third = bench.sweep()
    # A file where the run folder would be.
    blocked = bench.settings.runs_dir / bench.of(second).folder
    blocked.parent.mkdir(parents=True, exist_ok=True)
    blocked.write_bytes(b"")
    assert bench.do(first) is None
    states = [bench.of(run_id).job_state for run_id in (first, second, third)]
    assert states == ["done", "failed", "done"]
    assert blocked.name in bench.of(second).error or "exists" in bench.of(second).error
    result = bench.job(first).result
    assert result is not None
    assert [failed["run_id"] for failed in result["failed"]] == [second]


def test_a_stopped_sweep_is_resumed(bench: Bench) -> None:
    first, second, third = bench.sweep()
    assert isinstance(bench.do(first, RecordingProgress("Run 2 of 3: Training", 10)), Stopped)
    assert [bench.of(run_id).job_state for run_id in (first, second, third)] == ["done", "stopped", "stopped"]
    model_json = bench.settings.runs_dir / bench.of(first).folder / "model.json"
    before = model_json.stat().st_mtime_ns
    bench.resume(first)
    progress = RecordingProgress()
    assert bench.do(first, progress) is None
    assert [bench.of(run_id).job_state for run_id in (first, second, third)] == ["done"] * 3
    assert model_json.stat().st_mtime_ns == before
    assert not any(phase.startswith("Run 1 of 3") for phase, _done, _total in progress.reports)


def test_a_sweep_fails_if_all_runs_fail(bench: Bench) -> None:
    run_ids = bench.sweep()
    bench.settings.runs_dir.write_bytes(b"")  # where the runs' folder should be
    assert bench.do(run_ids[0]) is not None
    assert bench.job(run_ids[0]).state == "failed"
    assert [bench.of(run_id).job_state for run_id in run_ids] == ["failed"] * 3
    bench.settings.runs_dir.unlink()
    bench.resume(run_ids[0])
    assert [bench.of(run_id).job_state for run_id in run_ids] == ["failed", "failed", "failed"]
    assert bench.do(run_ids[0]) is None
    assert [(bench.of(i).job_state, bench.of(i).error) for i in run_ids] == [("done", "")] * 3


def test_a_rerun_gives_the_same_results_after_labels_have_changed(bench: Bench) -> None:
    first = bench.retrain()
    with pytest.raises(errors.JobAlreadyRunning):
        tasks.enqueue_rerun(bench.database, first, NOW)
    assert bench.do(first) is None
    with bench.database.write() as session:
        session.execute(
            update(models.LabelRow)
            .where(models.LabelRow.image_id < 20)
            .values(state="rejected", class_id=None)
        )
        run_records.rename(session, first, "첫째")
    again = tasks.enqueue_rerun(bench.database, first, datetime.now(UTC))
    assert bench.do(again) is None
    run, rerun = bench.of(first), bench.of(again)
    assert (rerun.rerun_of, rerun.name, rerun.snapshot_id) == (first, "첫째", run.snapshot_id)
    assert rerun.options == run.options
    with bench.database.read() as session:
        outcomes = [run_records.run_outcome(session, run_id) for run_id in (first, again)]
        assert run_records.get_curve(session, first) == run_records.get_curve(session, again)
    assert outcomes[0] is not None
    assert outcomes[1] is not None
    found = RerunComparison.of(outcomes[0], outcomes[1])
    assert found == RerunComparison((), True, ())
    with pytest.raises(ProjectError):
        tasks.enqueue_rerun(bench.database, 999, NOW)


def test_nothing_is_enqueued_without_enough_images(bench: Bench) -> None:
    with bench.database.write() as session:
        session.execute(update(models.LabelRow).values(state="unlabelled", class_id=None))
    with pytest.raises(TooFewImages):
        bench.sweep()
    with pytest.raises(ValueError, match="at least one run"):
        tasks.enqueue_sweep(bench.database, bench.store, bench.project_id, [], NOW)
    with bench.database.read() as session:
        assert run_records.list_runs(session, bench.project_id) == ()
        assert queue.count_live(session) == 0


def test_installed_backbones_are_measured_by_one_job(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    if bench.database.engine.dialect.name != "sqlite":
        pytest.skip("slow, and independent of the database")
    monkeypatch.setenv("KERAS_HOME", str(bench.settings.home / "없음"))
    job_id = tasks.enqueue_backbone_measurement(bench.database, bench.project_id, NOW)
    assert tasks.enqueue_backbone_measurement(bench.database, bench.project_id, NOW) == job_id
    with bench.database.write() as session:
        assert queue.claim_one(session, job_id, "token", NOW) is not None
    assert perform(bench.database, bench.settings, job_id, "token", Silent()) is None
    found = read_speeds(bench.settings.backbones_dir)
    assert set(found) == {backbone.name for backbone in BACKBONES.values() if backbone.installed}
    assert found[DEFAULT] > 0
