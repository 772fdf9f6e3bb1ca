"""Typed settings. The only module that reads the environment (`STUDIO_…`)."""

import os
from functools import cache
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from studio import __version__
from studio.errors import ServerError


class Settings(BaseSettings):
    """What a person or an administrator can set; every field has a default that works on a laptop."""

    model_config = SettingsConfigDict(env_prefix="STUDIO_", env_ignore_empty=True, frozen=True)

    home: Path = Field(default_factory=lambda: Path.home() / "retrain-studio")
    """The data folder: database, images, bottlenecks, runs. Created on first use."""
    database_url: str = ""
    """An SQLAlchemy address; empty means SQLite inside `home`."""
    workers: int = Field(default=1, ge=1, le=64)
    """How many jobs run at once."""
    warm: bool = True
    """Whether a process for jobs imports at its start what training needs, so that Retrain begins at once."""
    threads: int = Field(default=0, ge=0, le=256)
    """Threads for decoding and inference; 0 means one per core."""
    secret: str = ""
    """The secret that visitors must bring; needed when the server listens beyond this machine."""
    users: str = ""
    """Mail addresses, with commas between, that may come in by Streamlit's login (`st.login`) instead; `*`
    for everybody whom the identity provider lets in."""
    address: str = ""
    """Where others reach the studio, such as `https://studio.example.org`: how links to models begin."""
    language: str = "en"
    """The language of every text, as a gettext catalogue's name."""

    contact: str = ""
    """A mail or web address of whoever runs this studio, told to every site that it asks for images."""
    allow_hosts: str = ""
    """Hosts, with commas between, that are asked for images although they are not public, on any port."""
    site_connections: int = Field(default=2, ge=1, le=16)
    """How many connections one site gets at a time."""
    site_delay_s: float = Field(default=0.5, ge=0, le=3600)
    """Seconds between two requests to one site; its robots.txt may ask for more."""
    openverse_address: str = "https://api.openverse.org"
    """Where Openverse answers."""
    openverse_id: str = ""
    """A client's id at Openverse, which may ask more often than a stranger."""
    openverse_secret: str = ""
    """The secret that belongs to the id."""
    commons_address: str = "https://commons.wikimedia.org/w/api.php"
    """Where Wikimedia Commons answers."""

    @property
    def user_agent(self) -> str:
        """How the studio names itself to sites."""
        contact = f" (+{self.contact})" if self.contact else ""
        return f"retrain-studio/{__version__}{contact}"

    @property
    def allowed_hosts(self) -> frozenset[str]:
        """`allow_hosts` one by one, in lower case."""
        return frozenset(host for part in self.allow_hosts.split(",") if (host := part.strip().lower()))

    @property
    def permitted_users(self) -> frozenset[str]:
        """`users` one by one, in lower case."""
        return frozenset(user for part in self.users.split(",") if (user := part.strip().lower()))

    @property
    def sqlalchemy_url(self) -> str:
        """The database's address for SQLAlchemy."""
        return self.database_url or f"sqlite:///{(self.home / 'studio.sqlite3').as_posix()}"

    @property
    def threads_used(self) -> int:
        """Threads for decoding and inference, counted where the setting leaves it open."""
        return self.threads or os.cpu_count() or 1

    @property
    def images_dir(self) -> Path:
        """Original files and thumbnails, by SHA-256."""
        return self.home / "pictures"

    @property
    def backbones_dir(self) -> Path:
        """Backbones converted to LiteRT."""
        return self.home / "backbones"

    @property
    def bottleneck_dir(self) -> Path:
        """The bottleneck cache."""
        return self.home / "bottlenecks"

    @property
    def runs_dir(self) -> Path:
        """One folder a run."""
        return self.home / "runs"

    @property
    def uploads_dir(self) -> Path:
        """Files that have arrived and wait to be ingested."""
        return self.home / "uploads"

    @property
    def downloads_dir(self) -> Path:
        """Archives fetched from the web, whole or in part."""
        return self.home / "downloads"

    @property
    def exports_dir(self) -> Path:
        """Exports for the browser to fetch, a folder a project."""
        return self.home / "exports"

    @property
    def answers_dir(self) -> Path:
        """Tables of what models said of whole folders, a folder a project."""
        return self.home / "answers"

    @property
    def previews_dir(self) -> Path:
        """Small copies of what searches found."""
        return self.home / "previews"

    @property
    def studies_dir(self) -> Path:
        """What was found out about the images of each project: a folder a project, by its id."""
        return self.home / "studies"

    @property
    def logs_dir(self) -> Path:
        """What the worker and its children print."""
        return self.home / "logs"


def keras_home() -> Path:
    """Return the folder where Keras keeps pretrained weights (in `models`), found as Keras finds it."""
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras").expanduser()


@cache
def settings() -> Settings:
    """Return the process's settings, read once.

    Raises ServerError naming the variable that cannot be understood. In English always: the language is
    one of the settings.
    """
    try:
        found = Settings()
    except ValidationError as error:
        fault = error.errors()[0]
        name = "STUDIO_" + "_".join(str(part) for part in fault["loc"]).upper()
        raise ServerError(f"{name} cannot be used: {fault['msg']}; it is {fault['input']!r}.") from error
    return found.model_copy(update={"home": found.home.expanduser().resolve()})
