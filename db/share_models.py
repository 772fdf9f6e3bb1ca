"""The tables of sharing: links to runs, and what visitors said of their answers."""

from datetime import datetime

from sqlalchemy import Double, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base


class ShareLink(Base):
    """A link by which anybody who has it may ask one run's model, and nothing else."""

    __tablename__ = "share_links"
    __table_args__ = (Index(None, "run_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    name: Mapped[str]
    token_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    """The token itself is nowhere: who has made the link has been shown it once."""
    keeps_pictures: Mapped[bool]
    """Whether a visitor who marks an answer wrong is asked to leave the picture."""
    shows_examples: Mapped[bool]
    """Whether its page shows training pictures of each class."""
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    opened: Mapped[int] = mapped_column(default=0)
    """How often its page was opened."""
    answered: Mapped[int] = mapped_column(default=0)
    """How many pictures were answered here; what a visitor's own browser answers, nobody counts."""
    opened_at: Mapped[datetime | None]
    """When last."""
    created_at: Mapped[datetime]


class ShareMark(Base):
    """An answer that a visitor marked as wrong."""

    __tablename__ = "share_marks"
    __table_args__ = (Index(None, "link_id"), Index(None, "image_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    link_id: Mapped[int] = mapped_column(ForeignKey("share_links.id", ondelete="CASCADE"))
    answered: Mapped[str]
    """The class that the model named."""
    score: Mapped[float] = mapped_column(Double)
    """How sure it was, 0 to 1."""
    meant: Mapped[str] = mapped_column(default="")
    """The class that the visitor named; empty where they named none."""
    image_id: Mapped[int | None] = mapped_column(ForeignKey("images.id", ondelete="SET NULL"))
    """The picture, where the owner asked for it and the visitor left it."""
    at: Mapped[datetime]
