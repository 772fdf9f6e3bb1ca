"""Exports as jobs: by the real worker, killed in the middle; how many stay; which files may be fetched."""

import zipfile
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import numpy as np
import psutil
import pytest
from sqlalchemy import select, update

from db import models
from db.engine import Database
from studio.data import open_database
from studio.datasets import tasks
from studio.datasets.projects import Project, create_project
from studio.datasets.tasks import MAX_KEPT_EXPORTS
from studio.errors import JobAlreadyRunning, ProjectError
from studio.images.store import ImageStore
from studio.jobs import queue
from studio.progress import Progress, Silent
from studio.settings import Settings
from studio.worker.perform import perform
from studio.worker.registry import kinds_of
from studio.worker.supervisor import Supervisor
from tests.collect.material import RecordingProgress
from tests.conftest import NOW, until
from tests.datasets.material import fill


class Bench:
    """A project, and jobs done in this process."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database, self.settings = database, settings
        self.project = fill(database, ImageStore(settings.images_dir))
        self.minutes = 0

    def ask(self, kind: str = "csv") -> int:
        self.minutes += 1
        return tasks.enqueue_export(
            self.database, self.project.id, kind, NOW + timedelta(minutes=self.minutes)
        )

    def do(self, job_id: int, progress: Progress | None = None) -> queue.Job:
        with self.database.write() as session:
            assert queue.claim_one(session, job_id, "me", NOW) is not None
        perform(self.database, self.settings, job_id, "me", progress or Silent())
        with self.database.read() as session:
            job = queue.find(session, job_id)
        assert job is not None
        return job

    def there(self) -> tuple[tasks.Export, ...]:
        with self.database.read() as session:
            return tasks.list_exports(session, self.settings.exports_dir, self.project.id)

    def path(self, name: str, project_id: int | None = None) -> Path | None:
        with self.database.read() as session:
            return tasks.export_path(session, self.settings.exports_dir, project_id or self.project.id, name)


@pytest.fixture
def bench(database: Database, home: Path) -> Bench:
    url = database.url.render_as_string(hide_password=False)
    return Bench(database, Settings(home=home, database_url=url))


def test_a_job_writes_an_export_that_is_listed_with_its_size(bench: Bench) -> None:
    job = bench.do(bench.ask("folders"))
    assert job.state == "done" and job.result is not None, job.error
    (found,) = bench.there()
    path = bench.path(found.name)
    assert path is not None and zipfile.is_zipfile(path)
    assert found.name == path.name == job.result["name"] == "정원 = 1 folders 2026-01-02 030505.zip"
    assert (found.format_name, found.images, found.lost_count) == ("folders", 20, 0)
    assert found.size_bytes == path.stat().st_size == job.result["size_bytes"]
    assert "export_data" in kinds_of("files")


def test_the_newest_of_each_format_stay(bench: Bench) -> None:
    for _number in range(MAX_KEPT_EXPORTS + 2):
        bench.do(bench.ask("csv"))
    bench.do(bench.ask("coco"))
    names = [each.name for each in bench.there()]
    assert [name.split()[3] for name in names] == ["coco", *["csv"] * MAX_KEPT_EXPORTS]
    assert sorted(names, key=lambda name: name.split()[4:], reverse=True) == names
    assert len(list((bench.settings.exports_dir / str(bench.project.id)).iterdir())) == MAX_KEPT_EXPORTS + 1
    tasks.delete_export(bench.database, bench.settings.exports_dir, bench.project.id, names[1])
    assert [each.name for each in bench.there()] == [names[0], *names[2:]]
    tasks.delete_export(bench.database, bench.settings.exports_dir, bench.project.id, "nothing.zip")


def test_one_at_a_time(bench: Bench) -> None:
    job_id = bench.ask()
    with pytest.raises(JobAlreadyRunning, match="being exported already"):
        bench.ask("coco")
    bench.do(job_id)
    bench.ask("coco")
    with pytest.raises(ProjectError):
        tasks.enqueue_export(bench.database, 999, "csv", NOW)
    with pytest.raises(ValueError, match="expected one of"):
        tasks.enqueue_export(bench.database, bench.project.id, "xml", NOW)


def test_a_stopped_one_leaves_nothing_and_continues(bench: Bench) -> None:
    job_id = bench.ask("tfrecord")
    stopped = bench.do(job_id, RecordingProgress(stop_at=8))
    assert stopped.state == "stopped"
    assert bench.there() == ()
    assert list((bench.settings.exports_dir / str(bench.project.id)).iterdir()) == []
    with bench.database.write() as session:
        queue.resume(session, job_id)
    assert bench.do(job_id).state == "done"
    assert len(bench.there()) == 1


def test_the_same_job_done_twice_gives_the_same(bench: Bench) -> None:
    job_id = bench.ask("folders")
    first = bench.do(job_id)
    (found,) = bench.there()
    path = bench.path(found.name)
    assert path is not None
    data = path.read_bytes()
    with bench.database.write() as session:  # as after a kill between the renaming and saying so
        session.execute(update(models.JobRow).where(models.JobRow.id == job_id).values(state="queued"))
    assert bench.do(job_id).result == first.result
    assert path.read_bytes() == data


def test_lost_files_are_in_the_result(bench: Bench) -> None:
    next(bench.settings.images_dir.glob("originals/*/*")).unlink()
    job = bench.do(bench.ask())
    assert job.result is not None
    assert job.result["lost_count"] == 1
    assert set(job.result["lost"][0]) == {"name", "sha256", "reason"}
    assert bench.there()[0].lost_count == 1


def test_only_what_a_job_wrote_can_be_fetched(bench: Bench) -> None:
    job = bench.do(bench.ask())
    assert job.result is not None
    name = job.result["name"]
    folder = bench.settings.exports_dir / str(bench.project.id)
    (folder / "mine.zip").write_bytes(b"mine")
    (bench.settings.exports_dir / "outside.zip").write_bytes(b"mine")
    with bench.database.write() as session:
        other = create_project(session, "another", NOW)
        # A result that somebody has written into the database must not lead out of the folder either.
        session.add(
            models.JobRow(
                project_id=bench.project.id,
                kind="export_data",
                arguments={},
                state="done",
                result={"name": "../outside.zip"},
                created_at=NOW,
            )
        )
    assert [each.name for each in bench.there()] == [name]
    assert bench.path(name) == folder / name
    for wrong in (
        "mine.zip",
        "../outside.zip",
        "outside.zip",
        "",
        ".",
        "..",
        name[:-4],
        f"x/{name}",
        f"..\\{name}",
    ):
        assert bench.path(wrong) is None, wrong
    assert bench.path(name, other.id) is None


def test_a_worker_that_is_killed_in_the_middle_is_followed_by_one_that_finishes(
    tmp_path: Path,
) -> None:
    settings = Settings(home=tmp_path / "일꾼 home")
    database = open_database(settings)
    store = ImageStore(settings.images_dir)
    project = fill(database, store, "큰 것")
    many(database, store, project)
    supervisor = Supervisor(settings)
    job_id = tasks.enqueue_export(database, project.id, "csv", NOW)
    supervisor.start()
    folder = settings.exports_dir / str(project.id)
    try:
        until(lambda: any(path.stat().st_size > 5_000_000 for path in folder.glob(".export-*.part")))
        for child in psutil.Process().children(recursive=True):
            if child.cmdline()[-1:] == ["studio.worker.child"]:
                child.kill()

        def ended() -> bool:
            with database.read() as session:
                job = queue.find(session, job_id)
            assert job is not None
            return not job.live

        until(ended)
    finally:
        supervisor.stop()
    with database.read() as session:
        job = queue.find(session, job_id)
        attempts = session.scalar(select(models.JobRow.attempts).where(models.JobRow.id == job_id))
        found = tasks.list_exports(session, settings.exports_dir, project.id)
    assert job is not None and job.state == "done", job
    assert attempts == 2
    assert [path.name for path in folder.iterdir()] == [found[0].name]
    with zipfile.ZipFile(folder / found[0].name) as archive:
        assert archive.testzip() is None
    database.close()


def many(database: Database, store: ImageStore, project: Project) -> None:
    """Add images with large files, which nobody styles into."""
    noise = np.random.default_rng(0)
    with database.write() as session:
        for number in range(600):
            data = noise.bytes(300_000)
            digest = sha256(data).hexdigest()
            path = store.original(digest, "JPEG")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            image = models.ImageRow(
                id=1_000 + number,
                sha256=digest,
                format="JPEG",
                width_px=1,
                height_px=1,
                size_bytes=len(data),
                perceptual_hash="0" * 16,
                created_at=NOW,
            )
            session.add(image)
            session.add(
                models.LabelRow(project_id=project.id, image_id=image.id, state="unlabelled", updated_at=NOW)
            )
