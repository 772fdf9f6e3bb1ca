"""Migration of a database to the current schema, at start."""

from sqlalchemy import Connection, inspect, text

from db.engine import Database
from db.migrations import HEAD

_LOCK = 7_320_266  # any number, the same in all processes: the id of PostgreSQL's advisory lock


class SchemaTooNew(Exception):
    """The database was written by a newer version of the program."""


def migrate(database: Database) -> None:
    """Run the missing migrations in one transaction; a second process waits for the first.

    Raises SchemaTooNew if the database is newer than this program.
    """
    with database.engine.connect() as connection:
        if _revision(connection) == HEAD:
            return
    # Importing Alembic takes half a second: only when there is something to migrate.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", "db:migrations")
    with database.write() as session:
        connection = session.connection()
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise SchemaTooNew(str(error)) from error


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
