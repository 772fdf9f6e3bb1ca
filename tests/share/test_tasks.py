"""Export jobs: stored exports, formats that fail, downloads, deletion."""

import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from db import models
from db.engine import Database
from studio.errors import JobAlreadyRunning, OutputRefused, ProjectError
from studio.jobs import queue
from studio.progress import Silent
from studio.retrain.runs.run_records import create_run, finish
from studio.retrain.snapshot import Snapshot
from studio.settings import Settings
from studio.share import tasks
from studio.share.exports.formats import EXPORT_FORMATS
from studio.share.tasks import MAX_RUNS_WITH_EXPORTS, model_exports_dir
from studio.web.curate.export import export_routes, model_export_address
from studio.worker.perform import perform
from tests.conftest import NOW
from tests.retrain.material import drawings_run


class Bench:
    """A project with a finished run, and jobs done in this process."""

    def __init__(self, database: Database, home: Path) -> None:
        self.database = database
        url = database.url.render_as_string(hide_password=False)
        self.settings = Settings(home=home, database_url=url)
        self.run_ids: list[int] = []
        with database.write() as session:
            project = models.ProjectRow(name="도형 <b>/1", created_at=NOW)
            session.add(project)
            session.flush()
            self.project_id = project.id
            snapshot = models.SnapshotRow(project_id=project.id, hash="h", images=48, created_at=NOW)
            session.add(snapshot)
            session.flush()
            self.snapshot_id = snapshot.id
        self.run_id = self.add_run()

    def add_run(self, *, finished: bool = True) -> int:
        with self.database.write() as session:
            run_id = create_run(session, self.project_id, self.snapshot_id, drawings_run().options, NOW)
            row = session.get(models.RunRow, run_id)
            assert row is not None
            if finished:
                shutil.copytree(drawings_run().run_dir, self.settings.runs_dir / row.folder)
                empty = Snapshot((), drawings_run().snapshot.classes)
                finish(session, run_id, replace(drawings_run(), snapshot=empty, skipped=()), NOW)
        return run_id

    def export(self, *formats: str, run_id: int | None = None) -> queue.Job:
        job_id = tasks.enqueue_model_export(
            self.database, self.project_id, run_id or self.run_id, formats, NOW
        )
        with self.database.write() as session:
            assert queue.claim_one(session, job_id, "me", NOW) is not None
        perform(self.database, self.settings, job_id, "me", Silent())
        with self.database.read() as session:
            job = queue.find(session, job_id)
        assert job is not None
        return job

    def exports(self, run_id: int | None = None) -> dict[str, tasks.ModelExport]:
        return tasks.list_model_exports(self.settings.exports_dir, self.project_id, run_id or self.run_id)


@pytest.fixture
def bench(database: Database, home: Path) -> Bench:
    return Bench(database, home)


def test_an_export_is_listed_with_its_parity_and_can_be_downloaded(bench: Bench) -> None:
    job = bench.export("tflite")
    assert job.state == "done", job.error
    assert job.result == {"run_id": bench.run_id, "formats": ["tflite"], "failed": {}}
    (export,) = bench.exports().values()
    assert export.parity.agreement == 1 and export.parity.n == drawings_run().evaluation.n
    client = TestClient(Starlette(routes=export_routes(bench.settings, bench.database)))
    address = model_export_address(bench.project_id, bench.run_id, "tflite")
    answer = client.get(address)
    assert answer.status_code == 200 and len(answer.content) == export.size_bytes
    assert "attachment" in answer.headers["content-disposition"]
    assert f"_b__1%20{bench.run_id}%20tflite.zip" in answer.headers["content-disposition"]
    for wrong in (
        model_export_address(bench.project_id, bench.run_id, "keras"),
        model_export_address(bench.project_id + 1, bench.run_id, "tflite"),
        model_export_address(bench.project_id, bench.run_id + 1, "tflite"),
        model_export_address(2**40, 2**40, "tflite"),
        f"/studio/exports/{bench.project_id}/models/{bench.run_id}/..%2Ftflite.zip",
        f"/studio/exports/{bench.project_id}/models/{bench.run_id}/%2e%2e%5ctflite.zip",
    ):
        assert client.get(wrong).status_code == 404, wrong


def test_a_format_that_fails_does_not_stop_the_others(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> NoReturn:
        raise OutputRefused("No.")

    monkeypatch.setitem(EXPORT_FORMATS, "onnx", replace(EXPORT_FORMATS["onnx"], write=refuse))
    job = bench.export("onnx", "tflite")
    assert job.state == "done" and job.result is not None
    assert (job.result["formats"], job.result["failed"]) == (["tflite"], {"onnx": "No."})
    assert list(bench.exports()) == ["tflite"]
    assert (failed := bench.export("onnx")).state == "failed" and failed.error == "No."


def test_a_run_without_a_model_and_two_at_once_are_refused(bench: Bench) -> None:
    def ask(run_id: int, project_id: int = bench.project_id) -> int:
        return tasks.enqueue_model_export(bench.database, project_id, run_id, ["tflite"], NOW)

    with pytest.raises(ProjectError, match="has no model"):
        ask(bench.add_run(finished=False))
    with pytest.raises(ProjectError):
        ask(bench.run_id, 99)
    with pytest.raises(ProjectError):
        ask(99)
    with pytest.raises(ValueError, match="expected some of"):
        tasks.enqueue_model_export(bench.database, bench.project_id, bench.run_id, ["pdf"], NOW)
    ask(bench.run_id)
    with pytest.raises(JobAlreadyRunning):
        ask(bench.run_id)


def test_exports_of_old_runs_are_deleted_and_other_files_not_listed(bench: Bench) -> None:
    folder = model_exports_dir(bench.settings.exports_dir, bench.project_id)
    for number in range(MAX_RUNS_WITH_EXPORTS + 1):
        old = folder / str(1000 + number)
        old.mkdir(parents=True)
        (old / "tflite.zip").write_bytes(b"no zip")
    interrupted = folder / str(bench.run_id) / ".export-x.part"
    interrupted.mkdir(parents=True)
    bench.export("tflite")
    assert len(list(folder.iterdir())) == MAX_RUNS_WITH_EXPORTS
    assert not interrupted.exists() and list(bench.exports()) == ["tflite"]
    left = next(each for each in folder.iterdir() if each.name.startswith("100"))
    assert bench.exports(int(left.name)) == {}


def test_deleting_an_export_removes_its_file(bench: Bench) -> None:
    bench.export("tflite")
    path = tasks.model_export_path(bench.settings.exports_dir, bench.project_id, bench.run_id, "tflite")
    assert path is not None and zipfile.is_zipfile(path)
    tasks.remove_model_export(bench.settings.exports_dir, bench.project_id, bench.run_id, "tflite")
    assert not path.exists() and bench.exports() == {}
