"""The tables of the web: addresses to ask, what they answered, what searches found."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String
from sqlalchemy import UniqueConstraint as Unique
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base


class WebAddress(Base):
    """An address that a job is to ask, or has asked: what a crawl goes on from after it was cut off."""

    __tablename__ = "web_addresses"
    __table_args__ = (Unique("job_id", "address"), Index(None, "job_id", "state", "id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    address: Mapped[str]
    kind: Mapped[str]
    """page (HTML, a feed, a sitemap) or picture."""
    depth: Mapped[int] = mapped_column(default=0)
    """How many links away from where the job began."""
    state: Mapped[str] = mapped_column(default="waiting")
    """waiting or done."""
    class_name: Mapped[str | None]
    papers: Mapped[dict[str, Any]]
    """What is known of it before it is asked, as `studio.collect.sources.Papers`."""


class WebAnswer(Base):
    """What an address answered last, so that it can be asked whether anything has changed since."""

    __tablename__ = "web_answers"

    id: Mapped[int] = mapped_column(primary_key=True)
    address: Mapped[str] = mapped_column(unique=True)
    etag: Mapped[str] = mapped_column(default="")
    last_modified: Mapped[str] = mapped_column(default="")
    sha256: Mapped[str | None] = mapped_column(String(64))
    """The picture that it gave."""
    reading: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """What was read from the page that it gave."""
    at: Mapped[datetime]


class SearchHit(Base):
    """A picture that a search found, shown before anything is kept."""

    __tablename__ = "search_hits"
    __table_args__ = (Unique("job_id", "address"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    position: Mapped[int]
    phrase: Mapped[str]
    """The words that found it first."""
    address: Mapped[str]
    preview: Mapped[str] = mapped_column(default="")
    """Its small copy's name under the data folder's `previews`, made by us; empty where there is none."""
    width_px: Mapped[int | None]
    height_px: Mapped[int | None]
    papers: Mapped[dict[str, Any]]
