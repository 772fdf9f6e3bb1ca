"""The real worker and its real child: work done, stopped, and taken up again after a kill."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image
from sqlalchemy import select, update

from db import models
from db.engine import Database
from studio import errors
from studio.collect import tasks
from studio.collect.web.crawl import CrawlPlan
from studio.datasets.projects import create_project, find_project
from studio.images.store import ImageStore
from studio.jobs import queue
from studio.retrain.options import RunOptions
from studio.retrain.runs import run_records
from studio.retrain.tasks import enqueue_run
from studio.settings import Settings
from studio.worker.supervisor import Supervisor
from tests.collect.web.sample_site import ADDED, SKIPPED, SampleSite, serve
from tests.conftest import until


def now() -> datetime:
    return datetime.now(UTC)


class Studio:
    """A data folder with a worker, as the web server has it."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database, self.settings = database, settings
        self.store = ImageStore(settings.images_dir)

    def job(self, job_id: int) -> queue.Job:
        with self.database.read() as session:
            job = queue.find(session, job_id)
        assert job is not None
        return job

    def job_of(self, project: str) -> int:
        with self.database.read() as session:
            found = find_project(session, project)
            assert found is not None
            job = queue.latest(session, found.id, {"ingest_drawings", "retrain"})
        assert job is not None
        return job.id

    def retrain(self, project: str, **options: Any) -> int:
        """Ask for a run; return its job."""
        with self.database.read() as session:
            found = find_project(session, project)
        assert found is not None
        run_id = enqueue_run(self.database, self.store, found.id, RunOptions(**options), now())
        with self.database.read() as session:
            job_id = run_records.get_run(session, run_id).job_id
        assert job_id is not None
        return job_id

    def ended(self, job_id: int) -> queue.Job:
        until(lambda: not self.job(job_id).live)
        return self.job(job_id)

    def newest_step(self, job_id: int) -> int:
        with self.database.read() as session:
            points = run_records.get_curve(session, self.job(job_id).arguments["run_id"])
        return max((point.step for point in points), default=0)


def process_of(module: str) -> psutil.Process | None:
    """Find our own descendant that runs a module."""
    for child in psutil.Process().children(recursive=True):
        try:
            if child.cmdline()[-1:] == [module]:
                return child
        except psutil.Error:
            continue
    return None


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    from studio.data import open_database

    settings = Settings(home=tmp_path_factory.mktemp("일꾼 home"))
    supervisor = Supervisor(settings)
    database = open_database(settings)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("STUDIO_ALLOW_HOSTS", "127.0.0.1")
        environment.setenv("STUDIO_SITE_DELAY_S", "0.02")
        supervisor.start()
        made = Studio(database, settings)
        name = tasks.create_project_with_samples(database, "ingest_drawings", "Shapes", now())
        assert name == "Shapes"
        job = made.ended(made.job_of("Shapes"))
        assert job.state == "done", job.error
        yield made
        supervisor.stop()
    until(lambda: process_of("studio.worker.child") is None)
    database.close()


def test_a_second_project_of_a_name_gets_a_number(studio: Studio) -> None:
    assert (
        tasks.create_project_with_samples(studio.database, "ingest_drawings", "Shapes", now()) == "Shapes 2"
    )
    assert studio.ended(studio.job_of("Shapes 2")).state == "done"


def test_stop_ends_a_running_job_and_keeps_its_curve(studio: Studio) -> None:
    job_id = studio.retrain("Shapes", how_many_training_steps=100_000, seed=1)
    until(lambda: studio.newest_step(job_id) > 0)
    with studio.database.write() as session:
        queue.request_stop(session, job_id, now())
    assert studio.ended(job_id).state == "stopped"
    assert 0 < studio.newest_step(job_id) < 100_000


def test_a_killed_workers_run_is_finished_by_the_next_without_repeating_steps(studio: Studio) -> None:
    steps = 10_000
    job_id = studio.retrain("Shapes", how_many_training_steps=steps, eval_step_interval=100, seed=2)
    until(lambda: studio.newest_step(job_id) > 2_000)
    worker, child = process_of("studio.worker.worker"), process_of("studio.worker.child")
    assert worker is not None
    assert child is not None
    worker.kill()
    child.wait(3)  # it must not work on as an orphan
    reached = studio.newest_step(job_id)
    assert reached < steps
    until(lambda: studio.newest_step(job_id) > reached)
    job = studio.ended(job_id)
    assert job.state == "done", job.error
    with studio.database.read() as session:
        points = run_records.get_curve(session, job.arguments["run_id"])
        attempts = session.scalar(select(models.JobRow.attempts).where(models.JobRow.id == job_id))
        run = run_records.get_run(session, job.arguments["run_id"])
    assert attempts == 2
    validated = [point.step for point in points if point.split == "validation"]
    assert validated == sorted(set(validated))
    assert validated[-1] == steps
    assert len(validated) == steps // 100 + (validated[0] == 0)
    assert run.evaluation is not None
    assert (run.evaluation.accuracy or 0) > 0.7
    assert (studio.settings.runs_dir / run.folder / "model.tflite").stat().st_size > 10_000_000


def test_a_killed_child_is_replaced(studio: Studio) -> None:
    job_id = studio.retrain("Shapes", how_many_training_steps=5_000, eval_step_interval=100, seed=3)
    until(lambda: studio.newest_step(job_id) > 500)
    child = process_of("studio.worker.child")
    assert child is not None
    child.kill()
    assert studio.ended(job_id).state == "done"


def test_a_failed_job_says_why_in_one_line(studio: Studio, tmp_path: Path) -> None:
    with studio.database.read() as session:
        project = find_project(session, "Shapes")
    assert project is not None
    job_id = tasks.start_ingest_path(studio.database, project.id, tmp_path / "없는 폴더", None, now())
    job = studio.ended(job_id)
    assert job.state == "failed"
    assert "없는 폴더" in (job.error or "")
    assert "\n" not in (job.error or "")


def test_retraining_twice_at_once_is_refused(studio: Studio) -> None:
    job_id = studio.retrain("Shapes", how_many_training_steps=5_000, seed=4)
    with pytest.raises(errors.JobAlreadyRunning):
        studio.retrain("Shapes")
    with studio.database.write() as session:
        queue.request_stop(session, job_id, now())
    assert studio.ended(job_id).state == "stopped"
    # Continue goes on with the same run.
    with studio.database.write() as session:
        queue.resume(session, job_id)
    assert studio.ended(job_id).state == "done"


def test_uploads_taken_in_are_cleared_and_asking_again_costs_nothing(studio: Studio) -> None:
    with studio.database.read() as session:
        project = find_project(session, "Shapes")
    assert project is not None
    folder = studio.settings.uploads_dir / "arrived" / "새 반"
    folder.mkdir(parents=True)
    Image.new("RGB", (50, 40), "teal").save(folder / "하나.png")
    (folder / "둘.png").write_bytes(b"")
    job_id = tasks.start_ingest_uploads(studio.database, project.id, "arrived", None, now())
    first = studio.ended(job_id)
    assert first.result is not None
    assert (first.result["added"], first.result["refused_count"]) == (1, 1)
    assert not folder.exists()
    # As after a kill between clearing up and saying so.
    with studio.database.write() as session:
        session.execute(update(models.JobRow).where(models.JobRow.id == job_id).values(state="queued"))
    again = studio.ended(job_id)
    assert again.state == "done"
    assert again.result == first.result


def children() -> set[psutil.Process]:
    """The processes that do jobs."""
    found = psutil.Process().children(recursive=True)
    return {process for process in found if process.cmdline()[-1:] == ["studio.worker.child"]}


def test_a_crawl_whose_worker_is_killed_loses_and_repeats_nothing(studio: Studio) -> None:
    with serve(SampleSite(delay_s=0.15)) as site:
        with studio.database.write() as session:
            project = create_project(session, "정원", now())
        plan = CrawlPlan((site.url,), "장미", depth=2)
        others = children()
        job_id = tasks.start_crawl(studio.database, project.id, plan, now())

        def written() -> set[str]:
            with studio.database.read() as session:
                names = session.scalars(
                    select(models.IngestOutcomeRow.name).where(models.IngestOutcomeRow.job_id == job_id)
                )
                return {name.removeprefix(site.url) for name in names}

        until(lambda: len(written()) > 12)
        child = (children() - others).pop()
        child.kill()
        child.wait()
        before, asked = written(), len(site.log)
        job = studio.ended(job_id)
        assert job.state == "done" and job.result is not None
        counts = (job.result["added"], job.result["copies"], job.result["refused_count"])
        assert counts == (len(ADDED), 1, len(SKIPPED))
        again = {request.path for request in site.log[asked:]}
        assert not before & again - {"/after-wait.jpg"}


def test_a_stop_ends_a_crawl_while_it_waits_for_a_slow_site(studio: Studio) -> None:
    with serve(SampleSite(delay_s=600)) as site:
        with studio.database.write() as session:
            project = create_project(session, "느린 정원", now())
        plan = CrawlPlan((site.url,), None, depth=0)
        job_id = tasks.start_crawl(studio.database, project.id, plan, now())
        until(lambda: len(site.log) > 3)  # a page has been read, and images are waited for
        with studio.database.write() as session:
            queue.request_stop(session, job_id, now())
        until(lambda: not studio.job(job_id).live)
        assert studio.job(job_id).state == "stopped"
        time.sleep(1)  # what was under way may still arrive
        asked = len(site.log)
        time.sleep(1)
        assert len(site.log) == asked


def test_a_list_keeps_its_letters_and_its_classes(studio: Studio) -> None:
    with serve(SampleSite()) as site:
        with studio.database.write() as session:
            project = create_project(session, "목록", now())
        lines = f"url,class\n{site.url}/og.jpg,장미\n{site.url}/ld.jpg,\nnothing,x\n"
        data = lines.encode("cp949")  # as a Korean Windows writes it
        job_id = tasks.start_fetch_list(studio.database, project.id, data, "꽃", 0, now())
        job = studio.ended(job_id)
        assert job.result is not None
        assert (job.result["added"], job.result["refused_count"]) == (2, 1)
        with studio.database.read() as session:
            names = session.scalars(
                select(models.ImageClassRow.name)
                .join(models.LabelRow, models.LabelRow.class_id == models.ImageClassRow.id)
                .where(models.LabelRow.project_id == project.id)
            )
            assert set(names) == {"장미", "꽃"}
