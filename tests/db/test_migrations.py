"""The schema: built by migrations alone, equal to the models, safe to start twice."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import select, text

from db.base import Base
from db.engine import Database
from db.migrate import SchemaTooNew, migrate
from db.migrations import HEAD
from db.models import Find


def test_migrations_make_the_models_tables(database: Database) -> None:
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_head_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", "db:migrations")
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_the_second_step_keeps_what_the_first_schema_holds(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{(tmp_path / '옛 studio.sqlite3').as_posix()}")
    config = Config()
    config.set_main_option("script_location", "db:migrations")
    with database.write() as session:
        config.attributes["connection"] = session.connection()
        command.upgrade(config, "0001")
        at = "2026-01-02 03:04:05"
        session.execute(text("INSERT INTO projects (id, name, created_at) VALUES (1, '꽃', :at)"), {"at": at})
        session.execute(
            text(
                "INSERT INTO finds (project_id, name, outcome, reason, at) "
                "VALUES (1, '장미/a.jpg', 'refused', 'a.jpg is empty', :at)"
            ),
            {"at": at},
        )
    migrate(database)
    with database.read() as session:
        assert compare_metadata(MigrationContext.configure(session.connection()), Base.metadata) == []
        find = session.scalars(select(Find)).one()
    assert (find.name, find.reason) == ("장미/a.jpg", "a.jpg is empty")
    assert (find.why, find.page_address, find.site) == ("", "", "")


def test_two_programs_may_start_at_once_on_a_new_folder(tmp_path: Path) -> None:
    url = f"sqlite:///{(tmp_path / 'a b' / '새 폴더' / 's.sqlite3').as_posix()}"
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _n: migrate(Database(url)), range(4)))
    with Database(url).engine.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == [HEAD]


def test_a_newer_schema_is_not_touched(database: Database) -> None:
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaTooNew):
        migrate(database)


def test_sqlite_is_set_up_for_many(database: Database) -> None:
    if database.engine.dialect.name != "sqlite":
        pytest.skip("not SQLite")
    with database.read() as session:
        assert session.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert session.execute(text("PRAGMA foreign_keys")).scalar() == 1
        assert session.execute(text("PRAGMA busy_timeout")).scalar() == 15_000
