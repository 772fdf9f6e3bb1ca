"""The job that downloads the browser runtime, enqueued once."""

from pathlib import Path

import pytest
from sqlalchemy import select

from db.engine import Database
from db.models import JobRow, ProjectRow
from studio.jobs import queue
from studio.progress import Silent
from studio.settings import Settings
from studio.share.tasks import enqueue_runtime_fetch
from studio.share.web_demo.runtime import installed_runtime
from studio.worker.perform import perform
from tests.conftest import NOW
from tests.share.browser_runtime import pack_into


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_download_of_the_runtime_is_enqueued_once(database: Database, home: Path) -> None:
    settings = Settings(home=home, database_url=database.url.render_as_string(hide_password=False))
    with database.write() as session:
        project = ProjectRow(name="꽃", created_at=NOW)
        session.add(project)
    for _each in range(2):
        enqueue_runtime_fetch(database, project.id, NOW)
    with database.write() as session:
        (job_id,) = session.scalars(select(JobRow.id).where(JobRow.kind == "fetch_runtime"))
        queue.claim_one(session, job_id, "me", NOW)
    pack_into(settings.downloads_dir)
    perform(database, settings, job_id, "me", Silent())
    with database.read() as session:
        job = queue.find(session, job_id)
    assert job is not None
    assert job.state == "done", job.error
    assert installed_runtime(settings.downloads_dir) is not None
