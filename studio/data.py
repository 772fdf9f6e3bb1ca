"""Opening of the data folder and its database."""

from sqlalchemy.exc import OperationalError

from db.engine import Database
from db.migrate import SchemaTooNew, migrate
from studio.errors import ServerError
from studio.i18n import _
from studio.settings import Settings


def open_database(settings: Settings) -> Database:
    """Create the data folder if missing, open its database and migrate it.

    Raises ServerError if the folder or the database cannot be used.
    """
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        database = Database(settings.sqlalchemy_url)
        migrate(database)
    except SchemaTooNew as error:
        raise ServerError(
            _(
                "The data folder {home} was written by a newer version of Retrain Studio. "
                "Update the program, or set STUDIO_HOME to another folder."
            ).format(home=settings.home)
        ) from error
    except (OSError, OperationalError) as error:
        raise ServerError(
            _(
                "The data folder {home} cannot be used: {why}. "
                "Make it writable, or set STUDIO_HOME to another folder."
            ).format(home=settings.home, why=getattr(error, "orig", None) or error)
        ) from error
    return database
