"""A data folder with a project and a finished run on drawings, for the tests of share links."""

import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from starlette.testclient import TestClient

from db import models
from db.engine import Database
from studio.retrain.options import RunOptions
from studio.retrain.runs.run_records import create_run, finish, get_run
from studio.settings import Settings
from studio.share import links
from studio.web.share.app import LinkCounters, share_app
from studio.web.state import now
from tests.conftest import NOW
from tests.retrain.material import drawings_run


@dataclass
class Studio:
    """A data folder with a finished run, and a client of the sharing application."""

    database: Database
    settings: Settings
    project_id: int
    run_id: int
    folder: Path
    client: TestClient
    counters: LinkCounters

    def link(self, **options: object) -> tuple[int, str]:
        """Create a link; return its id and its token."""
        with self.database.write() as session:
            return links.create(session, self.run_id, "도형 demo", now(), **options)  # type: ignore[arg-type]

    def find_link(self, link_id: int) -> links.ShareLink:
        """Return a link as its owner sees it."""
        with self.database.read() as session:
            return next(each for each in links.list_links(session, self.project_id) if each.id == link_id)


def studio(database: Database, home: Path) -> Studio:
    """Create the data folder."""
    settings = Settings(home=home, database_url=database.url.render_as_string(hide_password=False))
    with database.write() as session:
        project = models.ProjectRow(name="도형", created_at=NOW)
        session.add(project)
        session.flush()
        snapshot = models.SnapshotRow(project_id=project.id, hash="h", images=48, created_at=NOW)
        session.add(snapshot)
        session.flush()
        run_id = create_run(session, project.id, snapshot.id, RunOptions(), NOW)
        finish(session, run_id, drawings_run(), NOW)
        folder = settings.runs_dir / get_run(session, run_id).folder
    shutil.copytree(drawings_run().run_dir, folder)
    counters = LinkCounters(database, now)
    client = TestClient(share_app(settings, database, counters), follow_redirects=False)
    return Studio(database, settings, project.id, run_id, folder, client, counters)


def in_a_day() -> datetime:
    """Return the time in one day."""
    return now() + timedelta(days=1)
