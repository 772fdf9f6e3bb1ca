"""The tables, as SQLAlchemy typed models. `docs/decisions/0003-database.md` says why they are shaped so."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Double, ForeignKey, Index, String, Text
from sqlalchemy import UniqueConstraint as Unique
from sqlalchemy.orm import Mapped, mapped_column

from db.engine import Base


class ProjectRow(Base):
    """One classifier in the making."""

    __tablename__ = "projects"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]


class ImageClassRow(Base):
    """One of a project's classes, in the order a person gave them."""

    __tablename__ = "classes"
    __table_args__ = (Unique("project_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    name: Mapped[str]
    position: Mapped[int]
    colour: Mapped[str] = mapped_column(String(7), default="", server_default="")
    """`#rrggbb`; empty where nobody chose one."""
    hotkey: Mapped[str] = mapped_column(String(1), default="", server_default="")
    """A digit or a letter; empty where the place among the classes decides."""
    removed_at: Mapped[datetime | None]
    """When it was deleted or merged into another; its row stays, for the history speaks of it."""


class ImageRow(Base):
    """One file's pixels, known by the SHA-256 of its bytes; stored once however many projects use it."""

    __tablename__ = "images"

    id: Mapped[int] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    format: Mapped[str]
    """Pillow's name of the format: JPEG, PNG, …"""
    width_px: Mapped[int]
    height_px: Mapped[int]
    """The size after the EXIF orientation has been applied."""
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    perceptual_hash: Mapped[str] = mapped_column(String(16))
    """64 bits in hexadecimal."""
    created_at: Mapped[datetime]


class ProvenanceRow(Base):
    """Where an image was found; an image found in several places has several of these."""

    __tablename__ = "provenances"
    __table_args__ = (Unique("project_id", "image_id", "kind", "address"), Index(None, "image_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"))
    kind: Mapped[str]
    """folder, archive, upload, camera, drawing, download, crawl, list, openverse, commons, …"""
    address: Mapped[str]
    """The file's path inside what was given, or its address on the web."""
    page_address: Mapped[str] = mapped_column(default="")
    title: Mapped[str] = mapped_column(default="")
    creator: Mapped[str] = mapped_column(default="")
    licence: Mapped[str] = mapped_column(default="")
    licence_address: Mapped[str] = mapped_column(default="")
    robots: Mapped[str] = mapped_column(default="")
    found_at: Mapped[datetime]


class LabelRow(Base):
    """An image's place in a project: its class and its state as they are now."""

    __tablename__ = "labels"
    __table_args__ = (
        # One index serves the counts, and a page of the grid by keyset, for each class and state.
        Index(None, "project_id", "state", "class_id", "image_id"),
        Index(None, "project_id", "state", "image_id"),
        Index(None, "image_id"),
        Index(None, "class_id"),
    )

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id"), primary_key=True)
    class_id: Mapped[int | None] = mapped_column(ForeignKey("classes.id"))
    state: Mapped[str]
    """unlabelled, labelled or rejected."""
    split: Mapped[str | None] = mapped_column(String(16))
    """training, validation or testing where it came with the image; None where a hash decides."""
    operation_number: Mapped[int] = mapped_column(default=0, server_default="0")
    """The number of the operation that decided about the image last."""
    updated_at: Mapped[datetime]


class LabelOperationRow(Base):
    """One act of labelling, of one image or of thousands. Never changed once written."""

    __tablename__ = "label_operations"
    __table_args__ = (
        Index(None, "project_id", "at"),
        Index(None, "project_id", "number", unique=True),
        # For the newest act of somebody's that can be undone.
        Index(None, "project_id", "author", "direction", "number"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Chosen by whoever asks, so that a request made twice is one act."""
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    number: Mapped[int] = mapped_column(server_default="0")
    """Its place in the project's history, from 1, without gaps and in the order of the commits."""
    author: Mapped[str] = mapped_column(String(64), default="", server_default="")
    """Which browser asked; empty for what the studio did itself, such as taking images in."""
    direction: Mapped[str] = mapped_column(String(4), default="do", server_default="do")
    """do, undo or redo."""
    undoes: Mapped[str | None] = mapped_column(ForeignKey("label_operations.id"), unique=True)
    """The operation that this one takes back: for a redo, the undo."""
    removed_class_id: Mapped[int | None] = mapped_column(ForeignKey("classes.id"))
    """The class that was deleted, or merged into another, with it."""
    outcome: Mapped[list[Any]] = mapped_column(server_default="[]")
    """Its changes counted: lists of state, class's id, 1 where it brought the images in, and how many."""
    at: Mapped[datetime]


class LabelChangeRow(Base):
    """What an operation did to one image: enough to do it again and to undo it."""

    __tablename__ = "label_changes"
    __table_args__ = (Index(None, "image_id"),)

    operation_id: Mapped[str] = mapped_column(
        ForeignKey("label_operations.id", ondelete="CASCADE"), primary_key=True
    )
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id"), primary_key=True)
    state_before: Mapped[str | None]
    """None where the image was not in the project before."""
    class_id_before: Mapped[int | None] = mapped_column(ForeignKey("classes.id"))
    state_after: Mapped[str]
    class_id_after: Mapped[int | None] = mapped_column(ForeignKey("classes.id"))


class JobRow(Base):
    """Long work. This table is the queue and the truth about it; the worker only reads and marks it."""

    __tablename__ = "jobs"
    __table_args__ = (Index(None, "state", "id"), Index(None, "project_id", "kind", "id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int | None] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    kind: Mapped[str]
    arguments: Mapped[dict[str, Any]]
    state: Mapped[str]
    """queued, running, done, failed or stopped."""
    phase: Mapped[str] = mapped_column(default="")
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int | None]
    phase_started_at: Mapped[datetime | None]
    phase_started_from: Mapped[int] = mapped_column(default=0)
    """`done` when the phase began, so that work taken up again does not spoil the time left."""
    stop_asked: Mapped[bool] = mapped_column(default=False)
    worker: Mapped[str | None]
    heartbeat_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[str | None] = mapped_column(Text)
    """One readable line."""
    details: Mapped[str | None] = mapped_column(Text)
    """The traceback, for whoever mends it."""
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class IngestOutcomeRow(Base):
    """What became of one file that was offered to a project: added, a copy, or refused and why."""

    __tablename__ = "finds"
    __table_args__ = (
        Unique("job_id", "name"),
        Index(None, "project_id", "outcome"),
        # For the counts by site and by reason, which a page asks for every second while a job runs.
        Index(None, "project_id", "job_id", "site", "outcome", "why"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    job_id: Mapped[int | None] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    name: Mapped[str]
    outcome: Mapped[str]
    """added, copy, refused, or page: one that was read and held no image of its own."""
    reason: Mapped[str] = mapped_column(default="")
    why: Mapped[str] = mapped_column(String(16), default="", server_default="")
    """The kind of refusal, to be counted by."""
    page_address: Mapped[str] = mapped_column(default="", server_default="")
    """The page that named it."""
    site: Mapped[str] = mapped_column(default="", server_default="")
    """Whom it was asked of: a host, a service; empty for files."""
    image_id: Mapped[int | None] = mapped_column(ForeignKey("images.id", ondelete="SET NULL"))
    at: Mapped[datetime]


class DuplicateGroupRow(Base):
    """An image's place in a group of images of one project that are nearly the same."""

    __tablename__ = "copy_groups"
    __table_args__ = (Index(None, "project_id", "group_id"), Index(None, "image_id"))

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id"), primary_key=True)
    group_id: Mapped[int]
    """The id of the image that was in the group first: it stays when larger ones come."""
    found_by: Mapped[str]
    """hash or bottleneck."""


class SnapshotRow(Base):
    """A frozen list of (image, label, split), named by its hash."""

    __tablename__ = "snapshots"
    __table_args__ = (Unique("project_id", "hash"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    hash: Mapped[str] = mapped_column(String(64))
    images: Mapped[int] = mapped_column("pictures", default=0, server_default="0")
    """How many it holds, so that a list of runs need not count them."""
    created_at: Mapped[datetime]


class SnapshotImageRow(Base):
    """One image of a snapshot. The class is kept by name: renaming a class later changes no snapshot."""

    __tablename__ = "snapshot_images"
    __table_args__ = (Index(None, "image_id"),)

    snapshot_id: Mapped[int] = mapped_column(ForeignKey("snapshots.id", ondelete="CASCADE"), primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id"), primary_key=True)
    class_name: Mapped[str]
    split: Mapped[str]


class RunRow(Base):
    """One training on a snapshot."""

    __tablename__ = "runs"
    __table_args__ = (Index(None, "project_id", "id"), Index(None, "job_id"), Index(None, "rerun_of"))

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    snapshot_id: Mapped[int] = mapped_column(ForeignKey("snapshots.id"))
    job_id: Mapped[int | None] = mapped_column(ForeignKey("jobs.id", ondelete="SET NULL"))
    """One job may do several runs, one after the other."""
    folder: Mapped[str] = mapped_column(unique=True)
    """Its folder's name under the data folder's `runs`."""
    name: Mapped[str] = mapped_column(default="", server_default="")
    """What a person called it; empty where nobody did."""
    note: Mapped[str] = mapped_column(default="", server_default="")
    options: Mapped[dict[str, Any]]
    evaluation: Mapped[dict[str, Any] | None]
    """Written once, at the end: what lists show of it."""
    answers: Mapped[dict[str, Any] | None] = mapped_column(deferred=True)
    """The rest of it, on every test image: large, and read for one run at a time."""
    facts: Mapped[dict[str, Any] | None]
    """Written with it: what the run was made with, what it took and what it tried."""
    rerun_of: Mapped[int | None] = mapped_column(ForeignKey("runs.id", ondelete="SET NULL"))
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    """Since when it is not shown; it can be brought back."""


class CurvePointRow(Base):
    """Accuracy and cross-entropy of one split at one step of a run."""

    __tablename__ = "curve_points"

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    split: Mapped[str] = mapped_column(primary_key=True)
    step: Mapped[int] = mapped_column(primary_key=True)
    accuracy: Mapped[float] = mapped_column(Double)
    cross_entropy: Mapped[float] = mapped_column(Double)
    elapsed_s: Mapped[float | None] = mapped_column(Double)
    """Seconds of training up to there."""


class ModelRow(Base):
    """What a finished run leaves."""

    __tablename__ = "models"

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), unique=True)
    sha256: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime]


class LabelClashRow(Base):
    """A label that was not written, because somebody else had changed the image in between."""

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


class FindingRow(Base):
    """Something that the studio found about an image of a project."""

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


class AnalysisRow(Base):
    """The last time that the studio looked through a project in one way."""

    __tablename__ = "studies"

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    """survey (of the images) or review (of the labels)."""
    operation_number: Mapped[int]
    """How far the project's history went."""
    facts: Mapped[dict[str, Any]]
    """What came of it, such as how many labels are likely wrong."""
    at: Mapped[datetime]


class ShareLinkRow(Base):
    """A link by which anybody who has it may ask one run's model, and nothing else."""

    __tablename__ = "share_links"
    __table_args__ = (Index(None, "run_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    name: Mapped[str]
    token_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    """The token itself is nowhere: who has made the link has been shown it once."""
    keeps_images: Mapped[bool] = mapped_column("keeps_pictures")
    """Whether a visitor who marks an answer wrong is asked to leave the image."""
    shows_examples: Mapped[bool]
    """Whether its page shows training images of each class."""
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    opened: Mapped[int] = mapped_column(default=0)
    """How often its page was opened."""
    answered: Mapped[int] = mapped_column(default=0)
    """How many images were answered here; what a visitor's own browser answers, nobody counts."""
    opened_at: Mapped[datetime | None]
    """When last."""
    created_at: Mapped[datetime]


class VisitorFeedbackRow(Base):
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
    """The image, where the owner asked for it and the visitor left it."""
    at: Mapped[datetime]


class FrontierRow(Base):
    """An address that a job is to ask, or has asked: what a crawl goes on from after it was cut off."""

    __tablename__ = "web_addresses"
    __table_args__ = (Unique("job_id", "address"), Index(None, "job_id", "state", "id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    address: Mapped[str]
    kind: Mapped[str]
    """page (HTML, a feed, a sitemap) or image."""
    depth: Mapped[int] = mapped_column(default=0)
    """How many links away from where the job began."""
    state: Mapped[str] = mapped_column(default="waiting")
    """waiting or done."""
    class_name: Mapped[str | None]
    provenance: Mapped[dict[str, Any]] = mapped_column("papers")
    """What is known of it before it is asked, as `studio.images.provenance.Provenance`."""


class CachedAnswerRow(Base):
    """What an address answered last, so that it can be asked whether anything has changed since."""

    __tablename__ = "web_answers"

    id: Mapped[int] = mapped_column(primary_key=True)
    address: Mapped[str] = mapped_column(unique=True)
    etag: Mapped[str] = mapped_column(default="")
    last_modified: Mapped[str] = mapped_column(default="")
    sha256: Mapped[str | None] = mapped_column(String(64))
    """The image that it gave."""
    reading: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """What was read from the page that it gave."""
    at: Mapped[datetime]


class SearchHitRow(Base):
    """An image that a search found, shown before anything is kept."""

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
    provenance: Mapped[dict[str, Any]] = mapped_column("papers")
