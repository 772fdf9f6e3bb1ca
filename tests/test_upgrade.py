"""Data folders made by earlier versions of the program open in this one with everything in place.

The earlier version is taken out of the repository's history and run as it was.
"""

import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import select

from db import models
from db.engine import Database
from studio.collect.web.crawl import CrawlPlan
from studio.data import open_database
from studio.jobs import queue
from studio.retrain.runs import run_records
from studio.settings import Settings
from studio.share import links
from tests.conftest import NOW
from tests.curate.material import apply_as, redo_operation, undo_operation

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[1]
LAST_BEFORE_ROOMS = "e3b2af3"
"""The last version with the old names and folders."""
FIRST = "222d168"
"""The first version that people could use: import and retrain."""
WITH_OLD_NAMES = """
import json
from datetime import UTC, datetime
from sqlalchemy import select
from db import models
from studio.collect.web.plan import Plan
from studio.curate import labels
from studio.data import open_database
from studio.jobs import queue
from studio.settings import settings
from studio.share import links

now = datetime.now(UTC)
with open_database(settings()).write() as session:
    project_id = session.scalar(select(models.Project.id))
    ids = list(session.scalars(select(models.Label.image_id).order_by(models.Label.image_id)))
    labels.label(session, project_id, ids[:3], "새 class", operation_id="label", now=now)
    labels.reject(session, project_id, ids[3:4], operation_id="reject", now=now)
    run_id = session.scalar(select(models.Run.id))
    _link_id, token = links.create(session, run_id, "link", now, keeps_pictures=True)
    plan = Plan(("http://example.org/",), "found", max_pictures=7)
    job_id = queue.enqueue(session, "ingest_crawl", plan.arguments(), project_id, now)
    queue.ask_to_stop(session, job_id, now)
print(json.dumps({"token": token, "ids": ids, "job_id": job_id, "run_id": run_id}))
"""


def earlier(commit: str, folder: Path) -> Path:
    """Write the files of a commit to a folder."""
    done = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"the history of this checkout has no {commit}")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def run(program: Path, home: Path, *arguments: object) -> str:
    """Run Python in a version's folder, on a data folder; returns its standard output."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=program,
        env={**os.environ, "STUDIO_HOME": str(home), "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders with a few images each."""
    folder = tmp_path_factory.mktemp("images 사진")
    for class_name, colour in (("빨강 red", (200, 30, 30)), ("파랑 blue", (30, 30, 200))):
        for number in range(20):
            path = folder / class_name / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            shade = tuple(min(255, value + 2 * number) for value in colour)
            Image.new("RGB", (60 + number, 50), shade).save(path)
    return folder


def opened(home: Path) -> tuple[Database, Settings]:
    settings = Settings(home=home)
    return open_database(settings), settings


def test_a_data_folder_of_the_first_version_opens(images: Path, tmp_path: Path) -> None:
    program, home = earlier(FIRST, tmp_path / "first"), tmp_path / "home 집"
    run(program, home, "-m", "studio", "import", images, "--project", "색 colours")
    database, _settings = opened(home)
    with database.read() as session:
        rows = session.execute(
            select(models.LabelRow.state, models.ImageClassRow.name).join_from(
                models.LabelRow, models.ImageClassRow, models.LabelRow.class_id == models.ImageClassRow.id
            )
        ).all()
    database.close()
    assert sorted(rows) == [*[("labelled", "빨강 red")] * 20, *[("labelled", "파랑 blue")] * 20]


class Folder:
    """A data folder that the last version with the old names has made, and what it printed."""

    def __init__(self, home: Path, images: Path, program: Path) -> None:
        self.home = home
        studio = ("-m", "studio")
        project = ("--project", "색 colours")
        run(program, home, *studio, "import", images, *project)
        run(program, home, *studio, "retrain", *project, "--how_many_training_steps", 40, "--name", "첫 run")
        self.made: dict[str, Any] = json.loads(run(program, home, "-c", WITH_OLD_NAMES))
        self.runs = json.loads(run(program, home, *studio, "runs", "--json"))
        self.image = next(images.rglob("7.png"))
        self.labels = run(
            program, home, *studio, "label_image", "--model", self.made["run_id"], "--image", self.image
        )
        self.export = home.parent / "export.zip"
        run(program, home, *studio, "export-data", *project, "--format", "csv", "--output", self.export)


@pytest.fixture(scope="module")
def folder(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    place = tmp_path_factory.mktemp("upgrade")
    return Folder(place / "home 집", images, earlier(LAST_BEFORE_ROOMS, place / "program"))


def test_labels_and_their_history_are_there_and_can_be_undone(folder: Folder) -> None:
    database, _settings = opened(folder.home)
    ids = folder.made["ids"]
    label = models.LabelRow

    def states() -> list[tuple[str, str | None]]:
        with database.read() as session:
            rows = session.execute(
                select(label.state, models.ImageClassRow.name)
                .outerjoin(models.ImageClassRow, models.ImageClassRow.id == label.class_id)
                .where(label.image_id.in_(ids[:5]))
                .order_by(label.image_id)
            )
            return [(state, name) for state, name in rows]

    found = states()
    assert found[:3] == [("labelled", "새 class")] * 3
    assert found[3][0] == "rejected"
    with database.write() as session:
        project_id = session.scalar(select(models.ProjectRow.id))
        assert project_id is not None
        (undone,) = apply_as(session, project_id, "", undo_operation("undo", "label"))
    assert len(undone.changes or ()) == 3
    former = states()
    assert {name for _state, name in former[:3]} <= {"빨강 red", "파랑 blue"}
    with database.write() as session:
        apply_as(session, project_id, "", redo_operation("redo", "undo"))
    assert states() == found
    database.close()


def test_runs_have_the_same_numbers(folder: Folder) -> None:
    assert json.loads(run(ROOT, folder.home, "-m", "studio", "runs", "--json")) == folder.runs


def test_a_model_predicts_the_same(folder: Folder) -> None:
    words = ("label_image", "--model", folder.made["run_id"], "--image", folder.image)
    assert run(ROOT, folder.home, "-m", "studio", *words) == folder.labels


def test_a_run_can_be_repeated(folder: Folder) -> None:
    printed = run(ROOT, folder.home, "-m", "studio", "rerun", folder.made["run_id"])
    assert "The same results" in printed


def test_a_share_link_still_opens_its_model(folder: Folder) -> None:
    database, _settings = opened(folder.home)
    with database.read() as session:
        shared = links.resolve_token(session, folder.made["token"], NOW)
        first = run_records.get_run(session, folder.made["run_id"])
    database.close()
    assert shared is not None
    assert (shared.name, shared.folder, shared.keeps_images) == ("link", first.folder, True)


def test_a_stopped_crawl_can_go_on(folder: Folder) -> None:
    database, _settings = opened(folder.home)
    with database.read() as session:
        job = queue.find(session, folder.made["job_id"])
    database.close()
    assert job is not None
    plan = CrawlPlan.from_arguments(job.arguments)
    assert (job.state, plan.max_images, plan.class_name) == ("stopped", 7, "found")
    assert plan.to_arguments() == job.arguments


def test_an_export_comes_in_with_everything(folder: Folder, tmp_path: Path) -> None:
    home = tmp_path / "new"
    done = json.loads(
        run(ROOT, home, "-m", "studio", "import", folder.export, "--project", "again", "--json")
    )
    assert (done["added"], done["refused_count"]) == (40, 0)
    database, _settings = opened(home)
    with database.read() as session:
        states = [state for (state,) in session.execute(select(models.LabelRow.state))]
    database.close()
    assert (states.count("labelled"), states.count("rejected")) == (39, 1)
