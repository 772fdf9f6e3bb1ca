"""Typed settings. The only module that reads the environment (`STUDIO_…`)."""

import os
from functools import cache
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from studio.errors import ServerError


class Settings(BaseSettings):
    """What a person or an administrator can set; every field has a default that works on a laptop."""

    model_config = SettingsConfigDict(env_prefix="STUDIO_", env_ignore_empty=True, frozen=True)

    home: Path = Field(default_factory=lambda: Path.home() / "retrain-studio")
    """The data folder: database, pictures, bottlenecks, runs. Created on first use."""
    database_url: str = ""
    """An SQLAlchemy address; empty means SQLite inside `home`."""
    workers: int = Field(default=1, ge=1, le=64)
    """How many jobs run at once."""
    threads: int = Field(default=0, ge=0, le=256)
    """Threads for decoding and inference; 0 means one per core."""
    secret: str = ""
    """The secret that visitors must bring; needed when the server listens beyond this machine."""
    language: str = "en"
    """The language of every text, as a gettext catalogue's name."""

    @property
    def sqlalchemy_url(self) -> str:
        """The database's address for SQLAlchemy."""
        return self.database_url or f"sqlite:///{(self.home / 'studio.sqlite3').as_posix()}"

    @property
    def threads_used(self) -> int:
        """Threads for decoding and inference, counted where the setting leaves it open."""
        return self.threads or os.cpu_count() or 1

    @property
    def pictures_dir(self) -> Path:
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
    def logs_dir(self) -> Path:
        """What the worker and its children print."""
        return self.home / "logs"


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
