"""A project's model from its training on: sureness, a whole folder, the live camera, corrections."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from PIL import Image
from sqlalchemy import select
from starlette.applications import Starlette
from starlette.testclient import TestClient

from db import models
from db.engine import Database
from db.models import ImageClassRow, LabelOperationRow, LabelRow
from studio.collect import tasks
from studio.data import open_database
from studio.datasets.projects import create_project
from studio.errors import ImageRefused, SourceMissing
from studio.images.store import ImageStore
from studio.jobs import queue
from studio.predict.correction import put_back
from studio.predict.model import Model
from studio.predict.tasks import KEPT, ask_folder, folder_answers
from studio.progress import Progress, Silent
from studio.retrain.confidence import Confidence
from studio.retrain.options import RunOptions
from studio.retrain.runs import run_records
from studio.retrain.tasks import retrain
from studio.settings import Settings
from studio.web.routes import routes
from studio.worker.perform import perform
from tests.conftest import NOW
from tests.retrain.material import Watched, data_folder, draw

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
            return self.settings.runs_dir / run_records.run(session, self.run_id).folder

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
        ingested = tasks.ingest_path(database, project.id, drawings, None, NOW)
        assert done(database, settings, ingested).state == "done"
        store = ImageStore(settings.images_dir)
        options = RunOptions(how_many_training_steps=60)
        run_id = retrain(database, store, project.id, options, NOW)
        with database.read() as session:
            job_id = run_records.run(session, run_id).job_id
        assert job_id is not None
        assert done(database, settings, job_id).state == "done"
        yield Bench(database, settings, project.id, run_id, drawings)
        database.close()


def jpeg(colour: str = "red") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (80, 60), colour).save(file, "JPEG")
    return file.getvalue()


def test_the_job_that_trains_leaves_how_sure_the_model_may_be(bench: Bench) -> None:
    found = Confidence.read(bench.run_dir)
    assert found is not None and found.costs is not None
    assert found.costs.images > 0
    assert Model.open(bench.run_dir).sureness == found


def test_a_folder_is_answered_to_a_table(bench: Bench) -> None:
    job_id = ask_folder(bench.database, bench.project_id, bench.run_id, bench.drawings, NOW)
    job = bench.do(job_id)
    found = folder_answers(bench.settings.answers_dir, job)
    assert found is not None
    assert (found.images, found.refused, found.folder) == (48, 0, bench.drawings)
    with found.table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 48
    right = sum(row["file"].partition("/")[0] == row["answer"] for row in rows)
    assert right / len(rows) > 0.9
    assert sum(found.by_answer.values()) == 48
    assert found.unsure == sum(row["sure"] != "sure" for row in rows)


def test_few_tables_stay_and_a_stopped_one_leaves_none(bench: Bench) -> None:
    jobs = [
        bench.do(ask_folder(bench.database, bench.project_id, bench.run_id, bench.drawings, NOW))
        for _number in range(KEPT + 1)
    ]
    assert folder_answers(bench.settings.answers_dir, jobs[0]) is None
    assert all(folder_answers(bench.settings.answers_dir, job) for job in jobs[1:])
    job_id = ask_folder(bench.database, bench.project_id, bench.run_id, bench.drawings, NOW)
    job = bench.do(job_id, Watched("Asking the model", after=5))
    assert job.state == "stopped"
    assert folder_answers(bench.settings.answers_dir, job) is None
    shelf = bench.settings.answers_dir / str(bench.project_id)
    assert len(list(shelf.iterdir())) == KEPT


def test_a_folder_that_is_none_is_refused_before_a_job(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(SourceMissing):
        ask_folder(bench.database, bench.project_id, bench.run_id, tmp_path / "없음", NOW)


def test_the_live_camera_gets_the_model_s_answer(bench: Bench) -> None:
    path = next(bench.drawings.glob("*/*.png"))
    said = bench.ask(path.read_bytes())
    assert said.status_code == 200
    assert said.headers["cache-control"] == "no-store"
    found = Model.open(bench.run_dir).answer_file(path, "x")
    assert said.json()["doubt"] == found.doubt
    first = said.json()["predictions"][0]
    assert first["label"] == found.predictions[0].label
    assert first["score"] == pytest.approx(found.predictions[0].score, abs=1e-5)


def test_the_live_camera_is_refused_what_is_not_its_own(bench: Bench) -> None:
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
    return put_back(
        bench.database,
        ImageStore(bench.settings.images_dir),
        bench.project_id,
        data,
        name,
        label,
        now=NOW,
        new_id=lambda: uuid4().hex,
    )


def test_a_new_image_goes_into_the_project_with_its_label(bench: Bench) -> None:
    digest = put(bench, jpeg("navy"), "새 image.jpg", "square")
    assert label_of(bench, digest) == ("labelled", "square")
    store = ImageStore(bench.settings.images_dir)
    assert store.original(digest, "JPEG").exists() or store.thumbnail(digest, "JPEG").exists()


def test_a_image_that_is_there_gets_the_right_label_as_one_step(bench: Bench) -> None:
    path = next((bench.drawings / "square").iterdir())
    with bench.database.read() as session:
        before = len(session.scalars(select(LabelOperationRow.id)).all())
    digest = put(bench, path.read_bytes(), path.name, "원 circle")
    assert label_of(bench, digest) == ("labelled", "원 circle")
    put(bench, path.read_bytes(), path.name, "square")
    assert label_of(bench, digest) == ("labelled", "square")
    with bench.database.read() as session:
        assert len(session.scalars(select(LabelOperationRow.id)).all()) >= before + 2


def test_what_is_no_image_does_not_get_in(bench: Bench) -> None:
    with pytest.raises(ImageRefused, match=r"나쁜\.jpg"):
        put(bench, b"bad", "나쁜.jpg", "square")
