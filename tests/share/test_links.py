"""Links: random, kept as hashes only, closed when they should be, and counted."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from db import models
from db.engine import Database
from studio.errors import ProjectError
from studio.share import links
from studio.web.state import now
from tests.conftest import NOW
from tests.share.links_material import Studio, in_a_day, studio


@pytest.fixture
def made(database: Database, home: Path) -> Iterator[Studio]:
    yield studio(database, home)


def test_a_token_is_random_and_stands_nowhere(made: Studio) -> None:
    tokens = {made.link()[1] for _each in range(50)}
    assert len(tokens) == 50
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{32}", token) for token in tokens)
    with made.database.read() as session:
        rows = session.execute(text("SELECT * FROM share_links")).all()
    told = repr(rows)
    assert len(rows) == 50
    assert not any(token in told for token in tokens)


def test_a_link_opens_its_run_until_it_is_closed(made: Studio) -> None:
    link_id, token = made.link(expires_at=in_a_day(), keeps_images=True)
    with made.database.read() as session:
        found = links.opened_by(session, token, now())
        assert found == links.Shared(link_id, made.project_id, made.folder.name, "도형 demo", True, False)
        assert links.opened_by(session, token, now() + timedelta(days=2)) is None
        assert links.opened_by(session, token + "A", now()) is None
        assert links.opened_by(session, "", now()) is None
        assert links.opened_by(session, "\ud800", now()) is None
    assert made.seen(link_id).state(now()) == "open"
    assert made.seen(link_id).state(now() + timedelta(days=2)) == "expired"
    with made.database.write() as session:
        links.revoke(session, link_id, NOW)
        links.revoke(session, link_id, now())
        assert links.opened_by(session, token, now()) is None
    assert made.seen(link_id).state(now()) == "revoked"
    assert made.seen(link_id).revoked_at == NOW


def test_a_renewed_link_has_another_token_and_its_counts(made: Studio) -> None:
    link_id, old = made.link()
    with made.database.write() as session:
        links.count(session, link_id, NOW, opened=2, answered=5)
        links.count(session, link_id, now(), answered=1)
        links.revoke(session, link_id, NOW)
        new = links.renew(session, link_id)
        assert links.opened_by(session, old, now()) is None
        assert links.opened_by(session, new, now()) is not None
    seen = made.seen(link_id)
    assert (seen.opened, seen.answered, seen.opened_at, seen.marked, seen.images) == (2, 6, NOW, 0, 0)


def test_a_deleted_run_is_shared_no_more_and_comes_back(made: Studio) -> None:
    link_id, token = made.link()
    with made.database.write() as session:
        row = session.get(models.RunRow, made.run_id)
        assert row is not None
        row.deleted_at = NOW
    with made.database.read() as session:
        assert links.opened_by(session, token, now()) is None
        assert links.links(session, made.project_id) == ()
    with made.database.write() as session:
        row = session.get(models.RunRow, made.run_id)
        assert row is not None
        row.deleted_at = None
    assert made.seen(link_id).name == "도형 demo"


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "a\x00b"])
def test_a_link_has_a_name_of_reasonable_length(made: Studio, name: str) -> None:
    with made.database.write() as session, pytest.raises(ProjectError, match="expected a name"):
        links.create(session, made.run_id, name, NOW)


def test_only_what_is_there_can_be_shared(made: Studio) -> None:
    with made.database.write() as session:
        row = session.get(models.RunRow, made.run_id)
        assert row is not None
        row.ended_at = None
        session.flush()
        for run_id in (made.run_id, made.run_id + 1):
            with pytest.raises(ProjectError, match="no such trained model"):
                links.create(session, run_id, "x", NOW)
        with pytest.raises(ProjectError, match="no such link"):
            links.revoke(session, 9_999, NOW)
