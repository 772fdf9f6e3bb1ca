"""The tables of curating: labels that met another's, and what the studio found about pictures."""

from datetime import datetime
from typing import Any

from sqlalchemy import Double, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base


class LabelClash(Base):
    """A label that was not written, because somebody else had changed the picture in between."""

    __tablename__ = "label_clashes"
    __table_args__ = (Index(None, "project_id", "image_id"), Index(None, "image_id"))

    operation_id: Mapped[str] = mapped_column(
        ForeignKey("label_operations.id", ondelete="CASCADE"), primary_key=True
    )
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id"), primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    state: Mapped[str]
    """What was wanted: unlabelled, labelled or rejected."""
    class_id: Mapped[int | None] = mapped_column(ForeignKey("classes.id"))


class Finding(Base):
    """Something that the studio found about a picture of a project."""

    __tablename__ = "findings"
    __table_args__ = (
        # Each finding is a filter and an order: all of a kind, or those that name one class.
        Index(None, "project_id", "kind", "score", "image_id"),
        Index(None, "project_id", "kind", "class_id", "score", "image_id"),
        Index(None, "image_id"),
        Index(None, "class_id"),
    )

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    """One of `studio.curate.findings.Kind`."""
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id"), primary_key=True)
    score: Mapped[float] = mapped_column(Double)
    """0 to 1; the higher, the more so."""
    class_id: Mapped[int | None] = mapped_column(ForeignKey("classes.id"))
    """The class that it suggests."""
    operation_number: Mapped[int]
    """How far the project's history went when it was found: what was decided later answers it."""


class Study(Base):
    """The last time that the studio looked through a project in one way."""

    __tablename__ = "studies"

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    """survey (of the pictures) or review (of the labels)."""
    operation_number: Mapped[int]
    """How far the project's history went."""
    facts: Mapped[dict[str, Any]]
    """What came of it, such as how many labels are likely wrong."""
    at: Mapped[datetime]
