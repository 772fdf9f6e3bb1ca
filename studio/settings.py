"""Typed settings from the environment variables `STUDIO_…`, which only this module reads."""

import os
from functools import cache
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from studio import __version__
from studio.errors import ServerError


class Settings(BaseSettings):
    """The settings of the studio; every default works on a laptop."""

    model_config = SettingsConfigDict(env_prefix="STUDIO_", env_ignore_empty=True, frozen=True)

    home: Path = Field(default_factory=lambda: Path.home() / "retrain-studio")
    """The data folder: database, images, bottlenecks, runs. Created on first use."""
    database_url: str = ""
    """An SQLAlchemy URL; empty: SQLite in `home`."""
    workers: int = Field(default=1, ge=1, le=64)
    """Number of compute jobs at once."""
    warm: bool = True
    """Whether worker processes import TensorFlow at their start, so that training begins without delay."""
    threads: int = Field(default=0, ge=0, le=256)
    """Threads for decoding and inference; 0: one per core."""
    secret: str = ""
    """The secret for opening the studio; required when other machines can reach the server."""
    users: str = ""
    """E-mail addresses, comma-separated, of those who may log in (`st.login`) instead; `*`: everybody with an
    account at the identity provider."""
    address: str = ""
    """URL of the studio for others, such as `https://studio.example.org`: the beginning of share links."""
    language: str = "en"
    """Language of all texts: the name of a gettext catalogue."""

    contact: str = ""
    """E-mail or web address of the person who runs this studio, sent to crawled sites."""
    allow_hosts: str = ""
    """Hosts in private networks, comma-separated, that may be crawled, on any port."""
    site_connections: int = Field(default=2, ge=1, le=16)
    """Connections per host at a time."""
    site_delay_s: float = Field(default=0.5, ge=0, le=3600)
    """Seconds between two requests to a host; its robots.txt may require more."""
    openverse_address: str = "https://api.openverse.org"
    """Base URL of the Openverse API."""
    openverse_id: str = ""
    """Client id of the Openverse API; allows more requests."""
    openverse_secret: str = ""
    """Client secret of the Openverse API."""
    commons_address: str = "https://commons.wikimedia.org/w/api.php"
    """URL of the Wikimedia Commons API."""

    @property
    def user_agent(self) -> str:
        """The User-Agent of HTTP requests."""
        contact = f" (+{self.contact})" if self.contact else ""
        return f"retrain-studio/{__version__}{contact}"

    @property
    def allowed_hosts(self) -> frozenset[str]:
        """The hosts of `allow_hosts`, in lower case."""
        return frozenset(host for part in self.allow_hosts.split(",") if (host := part.strip().lower()))

    @property
    def permitted_users(self) -> frozenset[str]:
        """The addresses of `users`, in lower case."""
        return frozenset(user for part in self.users.split(",") if (user := part.strip().lower()))

    @property
    def sqlalchemy_url(self) -> str:
        """The SQLAlchemy URL of the database."""
        return self.database_url or f"sqlite:///{(self.home / 'studio.sqlite3').as_posix()}"

    @property
    def threads_used(self) -> int:
        """Number of threads for decoding and inference."""
        return self.threads or os.cpu_count() or 1

    @property
    def images_dir(self) -> Path:
        """Image files and thumbnails, by SHA-256."""
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
        """Run folders."""
        return self.home / "runs"

    @property
    def uploads_dir(self) -> Path:
        """Uploaded files, until they are imported."""
        return self.home / "uploads"

    @property
    def downloads_dir(self) -> Path:
        """Downloads, complete or partial."""
        return self.home / "downloads"

    @property
    def exports_dir(self) -> Path:
        """Exports for download, one folder per project."""
        return self.home / "exports"

    @property
    def answers_dir(self) -> Path:
        """Tables of batch predictions, one folder per project."""
        return self.home / "answers"

    @property
    def previews_dir(self) -> Path:
        """Previews of search results."""
        return self.home / "previews"

    @property
    def analyses_dir(self) -> Path:
        """Files of the analyses, one folder per project id."""
        return self.home / "studies"

    @property
    def logs_dir(self) -> Path:
        """Logs of the worker processes."""
        return self.home / "logs"


def keras_home() -> Path:
    """Return Keras' home folder, whose `models` holds pretrained weights."""
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras").expanduser()


@cache
def settings() -> Settings:
    """Return the settings of this process, read once.

    Raises ServerError that names the invalid variable, in English: the language is one of the settings.
    """
    try:
        found = Settings()
    except ValidationError as error:
        problem = error.errors()[0]
        name = "STUDIO_" + "_".join(str(part) for part in problem["loc"]).upper()
        raise ServerError(f"{name} cannot be used: {problem['msg']}; it is {problem['input']!r}.") from error
    return found.model_copy(update={"home": found.home.expanduser().resolve()})
