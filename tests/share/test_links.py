"""Share links: random tokens, stored as hashes, expiry, revocation and counters."""

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
def shared(database: Database, home: Path) -> Iterator[Studio]:
    yield studio(database, home)


def test_a_token_is_random_and_not_stored(shared: Studio) -> None:
    tokens = {shared.link()[1] for _each in range(50)}
    assert len(tokens) == 50
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{32}", token) for token in tokens)
    with shared.database.read() as session:
        rows = session.execute(text("SELECT * FROM share_links")).all()
    stored = repr(rows)
    assert len(rows) == 50
    assert not any(token in stored for token in tokens)


def test_a_link_opens_its_run_until_it_expires_or_is_revoked(shared: Studio) -> None:
    link_id, token = shared.link(expires_at=in_a_day(), keeps_images=True)
    with shared.database.read() as session:
        resolved = links.resolve_token(session, token, now())
        assert resolved == links.SharedRun(
            link_id, shared.project_id, shared.folder.name, "도형 demo", True, False
        )
        assert links.resolve_token(session, token, now() + timedelta(days=2)) is None
        assert links.resolve_token(session, token + "A", now()) is None
        assert links.resolve_token(session, "", now()) is None
        assert links.resolve_token(session, "\ud800", now()) is None
    assert shared.find_link(link_id).state(now()) == "open"
    assert shared.find_link(link_id).state(now() + timedelta(days=2)) == "expired"
    with shared.database.write() as session:
        links.revoke(session, link_id, NOW)
        links.revoke(session, link_id, now())
        assert links.resolve_token(session, token, now()) is None
    assert shared.find_link(link_id).state(now()) == "revoked"
    assert shared.find_link(link_id).revoked_at == NOW


def test_a_renewed_link_has_a_new_token_and_keeps_its_counts(shared: Studio) -> None:
    link_id, old = shared.link()
    with shared.database.write() as session:
        links.add_counts(session, link_id, NOW, page_views=2, server_predictions=5)
        links.add_counts(session, link_id, now(), server_predictions=1)
        links.revoke(session, link_id, NOW)
        new = links.renew(session, link_id)
        assert links.resolve_token(session, old, now()) is None
        assert links.resolve_token(session, new, now()) is not None
    seen = shared.find_link(link_id)
    assert (seen.page_views, seen.server_predictions, seen.last_viewed_at) == (2, 6, NOW)
    assert (seen.feedback_count, seen.feedback_images) == (0, 0)


def test_a_link_to_a_deleted_run_opens_again_after_restore(shared: Studio) -> None:
    link_id, token = shared.link()
    with shared.database.write() as session:
        row = session.get(models.RunRow, shared.run_id)
        assert row is not None
        row.deleted_at = NOW
    with shared.database.read() as session:
        assert links.resolve_token(session, token, now()) is None
        assert links.list_links(session, shared.project_id) == ()
    with shared.database.write() as session:
        row = session.get(models.RunRow, shared.run_id)
        assert row is not None
        row.deleted_at = None
    assert shared.find_link(link_id).name == "도형 demo"


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "a\x00b"])
def test_a_link_has_a_name_of_reasonable_length(shared: Studio, name: str) -> None:
    with shared.database.write() as session, pytest.raises(ProjectError, match="expected a link name"):
        links.create(session, shared.run_id, name, NOW)


def test_only_finished_runs_can_be_shared(shared: Studio) -> None:
    with shared.database.write() as session:
        row = session.get(models.RunRow, shared.run_id)
        assert row is not None
        row.ended_at = None
        session.flush()
        for run_id in (shared.run_id, shared.run_id + 1):
            with pytest.raises(ProjectError, match="no such trained model"):
                links.create(session, run_id, "x", NOW)
        with pytest.raises(ProjectError, match="no such link"):
            links.revoke(session, 9_999, NOW)
