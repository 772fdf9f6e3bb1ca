"""A project's model after training: confidence, predictions of a folder, the live camera, corrections."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import select
from starlette.applications import Starlette
from starlette.testclient import TestClient

from db import models
from db.engine import Database
from db.models import ImageClassRow, LabelOperationRow, LabelRow
from studio.collect import tasks
from studio.collect.ingest import ImportContext
from studio.data import open_database
from studio.datasets.projects import create_project
from studio.errors import ImageRefused, SourceMissing
from studio.images.store import ImageStore
from studio.jobs import queue
from studio.predict.correction import add_corrected_image
from studio.predict.model import Model
from studio.predict.tasks import MAX_TABLES, enqueue_folder_prediction, folder_predictions
from studio.progress import Progress, Silent
from studio.retrain.confidence import STORED_REASONS, Confidence
from studio.retrain.options import RunOptions
from studio.retrain.runs import run_records
from studio.retrain.tasks import enqueue_run
from studio.settings import Settings
from studio.web.routes import routes
from studio.worker.perform import perform
from tests.conftest import NOW
from tests.retrain.material import RecordingProgress, data_folder, draw

OURS = {"X-Studio-Predict": "1"}


@dataclass(frozen=True)
class Bench:
    """A studio with one project of drawings, and its run."""

    database: Database
    settings: Settings
    project_id: int
    run_id: int
    drawings: Path

    @property
    def run_dir(self) -> Path:
        with self.database.read() as session:
            return self.settings.runs_dir / run_records.get_run(session, self.run_id).folder

    def do(self, job_id: int, progress: Progress | None = None) -> queue.Job:
        return done(self.database, self.settings, job_id, progress)

    def ask(
        self,
        body: bytes,
        run_id: int | None = None,
        project: int | None = None,
        headers: dict[str, str] = OURS,
    ) -> Any:
        client = TestClient(Starlette(routes=routes(self.settings)), base_url="http://127.0.0.1")
        address = f"/studio/projects/{project or self.project_id}/runs/{run_id or self.run_id}/answer"
        return client.post(address, content=body, headers=headers)


def done(database: Database, settings: Settings, job_id: int, progress: Progress | None = None) -> queue.Job:
    with database.write() as session:
        assert queue.claim_one(session, job_id, "me", NOW) is not None
    perform(database, settings, job_id, "me", progress or Silent())
    with database.read() as session:
        job = queue.find(session, job_id)
    assert job is not None
    return job


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    room = tmp_path_factory.mktemp("answering")
    with data_folder(room / "내 studio") as home:
        settings = Settings(home=home)
        database = open_database(settings)
        drawings = draw(room / "그림 drawings")
        with database.write() as session:
            project = create_project(session, "그림", NOW)
        ingested = tasks.start_ingest_path(database, project.id, drawings, None, NOW)
        assert done(database, settings, ingested).state == "done"
        store = ImageStore(settings.images_dir)
        options = RunOptions(how_many_training_steps=60)
        run_id = enqueue_run(database, store, project.id, options, NOW)
        with database.read() as session:
            job_id = run_records.get_run(session, run_id).job_id
        assert job_id is not None
        assert done(database, settings, job_id).state == "done"
        yield Bench(database, settings, project.id, run_id, drawings)
        database.close()


def jpeg(colour: str = "red") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (80, 60), colour).save(file, "JPEG")
    return file.getvalue()


def test_the_training_job_measures_confidence(bench: Bench) -> None:
    found = Confidence.read(bench.run_dir)
    assert found is not None and found.costs is not None
    assert found.costs.images > 0
    assert Model.open(bench.run_dir).confidence == found


def test_a_folder_is_predicted_into_a_table(bench: Bench) -> None:
    job_id = enqueue_folder_prediction(bench.database, bench.project_id, bench.run_id, bench.drawings, NOW)
    job = bench.do(job_id)
    found = folder_predictions(bench.settings.answers_dir, job)
    assert found is not None
    assert (found.images, found.skipped, found.folder) == (48, 0, bench.drawings)
    with found.table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 48
    correct = sum(row["file"].partition("/")[0] == row["answer"] for row in rows)
    assert correct / len(rows) > 0.9
    assert sum(found.by_label.values()) == 48
    assert found.abstained == sum(row["sure"] != "sure" for row in rows)


def test_old_tables_are_deleted_and_a_stopped_job_leaves_none(bench: Bench) -> None:
    jobs = [
        bench.do(
            enqueue_folder_prediction(bench.database, bench.project_id, bench.run_id, bench.drawings, NOW)
        )
        for _number in range(MAX_TABLES + 1)
    ]
    assert folder_predictions(bench.settings.answers_dir, jobs[0]) is None
    assert all(folder_predictions(bench.settings.answers_dir, job) for job in jobs[1:])
    job_id = enqueue_folder_prediction(bench.database, bench.project_id, bench.run_id, bench.drawings, NOW)
    job = bench.do(job_id, RecordingProgress("Predicting", after=5))
    assert job.state == "stopped"
    assert folder_predictions(bench.settings.answers_dir, job) is None
    tables_dir = bench.settings.answers_dir / str(bench.project_id)
    assert len(list(tables_dir.iterdir())) == MAX_TABLES


def test_a_missing_folder_is_an_error_before_a_job(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(SourceMissing):
        enqueue_folder_prediction(bench.database, bench.project_id, bench.run_id, tmp_path / "없음", NOW)


def test_the_live_camera_gets_the_model_s_prediction(bench: Bench) -> None:
    path = next(bench.drawings.glob("*/*.png"))
    response = bench.ask(path.read_bytes())
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    found = Model.open(bench.run_dir).predict_file(path, "x")
    abstention = found.abstention
    assert response.json()["doubt"] == (None if abstention is None else STORED_REASONS[abstention])
    first = response.json()["predictions"][0]
    assert first["label"] == found.scores[0].label
    assert first["score"] == pytest.approx(found.scores[0].score, abs=1e-5)


def test_the_live_camera_s_bad_requests_are_rejected(bench: Bench) -> None:
    assert bench.ask(b"not an image").status_code == 400
    assert bench.ask(b"").status_code == 400
    assert bench.ask(b"0" * 4_000_001).status_code == 413
    assert bench.ask(jpeg(), run_id=10_000).status_code == 404
    assert bench.ask(jpeg(), run_id=2**40).status_code == 404
    assert bench.ask(jpeg(), project=bench.project_id + 1).status_code == 404
    assert bench.ask(jpeg(), headers={"Content-Type": "image/jpeg"}).status_code == 403
    assert bench.ask(jpeg(), headers=OURS | {"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert "error" in bench.ask(b"bad").json()


def label_of(bench: Bench, digest: str) -> tuple[str, str | None]:
    with bench.database.read() as session:
        image_id = session.scalar(select(models.ImageRow.id).where(models.ImageRow.sha256 == digest))
        row = session.scalars(
            select(LabelRow).where(LabelRow.image_id == image_id, LabelRow.project_id == bench.project_id)
        ).one()
        name = session.scalar(select(ImageClassRow.name).where(ImageClassRow.id == row.class_id))
        return row.state, name


def put(bench: Bench, data: bytes, name: str, label: str) -> str:
    context = ImportContext(
        database=bench.database,
        store=ImageStore(bench.settings.images_dir),
        project_id=bench.project_id,
        clock=lambda: NOW,
    )
    return add_corrected_image(context, data, name, label)


def test_a_new_image_is_added_with_its_label(bench: Bench) -> None:
    digest = put(bench, jpeg("navy"), "새 image.jpg", "square")
    assert label_of(bench, digest) == ("labelled", "square")
    store = ImageStore(bench.settings.images_dir)
    assert store.original(digest, "JPEG").exists() or store.thumbnail(digest, "JPEG").exists()


def test_an_image_of_the_project_gets_the_right_label_as_one_operation(bench: Bench) -> None:
    path = next((bench.drawings / "square").iterdir())
    with bench.database.read() as session:
        before = len(session.scalars(select(LabelOperationRow.id)).all())
    digest = put(bench, path.read_bytes(), path.name, "원 circle")
    assert label_of(bench, digest) == ("labelled", "원 circle")
    put(bench, path.read_bytes(), path.name, "square")
    assert label_of(bench, digest) == ("labelled", "square")
    with bench.database.read() as session:
        assert len(session.scalars(select(LabelOperationRow.id)).all()) >= before + 2


def test_a_file_that_is_no_image_is_an_error(bench: Bench) -> None:
    with pytest.raises(ImageRefused, match=r"나쁜\.jpg"):
        put(bench, b"bad", "나쁜.jpg", "square")
