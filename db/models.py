"""The tables of the database as SQLAlchemy models; `docs/decisions/0003-database.md` explains them."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Double, ForeignKey, Index, String, Text
from sqlalchemy import UniqueConstraint as Unique
from sqlalchemy.orm import Mapped, mapped_column

from db.engine import Base


class ProjectRow(Base):
    """A project: one classifier in the making."""

    __tablename__ = "projects"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]


class ImageClassRow(Base):
    """A class of a project, at its position in the order that people chose."""

    __tablename__ = "classes"
    __table_args__ = (Unique("project_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    name: Mapped[str]
    position: Mapped[int]
    colour: Mapped[str] = mapped_column(String(7), default="", server_default="")
    """`#rrggbb`; empty: the default colour of its position."""
    hotkey: Mapped[str] = mapped_column(String(1), default="", server_default="")
    """A digit or a letter; empty: the digit of its position."""
    removed_at: Mapped[datetime | None]
    """When it was deleted or merged into another class. The row stays for the label history."""


class ImageRow(Base):
    """An image, identified by the SHA-256 of its file and stored once for all projects."""

    __tablename__ = "images"

    id: Mapped[int] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    format: Mapped[str]
    """Pillow's name of the file format: JPEG, PNG, …"""
    width_px: Mapped[int]
    height_px: Mapped[int]
    """Width and height after the EXIF orientation has been applied."""
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    perceptual_hash: Mapped[str] = mapped_column(String(16))
    """pHash: 64 bits in hexadecimal."""
    created_at: Mapped[datetime]


class ProvenanceRow(Base):
    """One place where an image of a project was found, with its title, creator and licence."""

    __tablename__ = "provenances"
    __table_args__ = (Unique("project_id", "image_id", "kind", "address"), Index(None, "image_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"))
    kind: Mapped[str]
    """folder, archive, upload, camera, drawing, download, crawl, list, openverse, commons, …"""
    address: Mapped[str]
    """The file's path in its folder or archive, or its URL."""
    page_address: Mapped[str] = mapped_column(default="")
    title: Mapped[str] = mapped_column(default="")
    creator: Mapped[str] = mapped_column(default="")
    licence: Mapped[str] = mapped_column(default="")
    licence_address: Mapped[str] = mapped_column(default="")
    robots: Mapped[str] = mapped_column(default="")
    found_at: Mapped[datetime]


class LabelRow(Base):
    """The current class and state of an image in a project."""

    __tablename__ = "labels"
    __table_args__ = (
        # Serves the counts and the keyset pagination of each class and state.
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
    """training, validation or testing, if the set gave one; None: the hash of the image decides."""
    operation_number: Mapped[int] = mapped_column(default=0, server_default="0")
    """`number` of the label operation that set the class and state."""
    updated_at: Mapped[datetime]


class LabelOperationRow(Base):
    """A label operation on one or many images. Append-only: rows are never changed."""

    __tablename__ = "label_operations"
    __table_args__ = (
        Index(None, "project_id", "at"),
        Index(None, "project_id", "number", unique=True),
        # For the newest operation of an author that can be undone.
        Index(None, "project_id", "author", "direction", "number"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Chosen by the client, so that a repeated request is recorded once."""
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    number: Mapped[int] = mapped_column(server_default="0")
    """Position in the project's history: 1, 2, 3, … in the order of the commits."""
    author: Mapped[str] = mapped_column(String(64), default="", server_default="")
    """Id of the browser; empty for operations of the studio itself, such as imports."""
    direction: Mapped[str] = mapped_column(String(4), default="do", server_default="do")
    """do, undo or redo."""
    undoes: Mapped[str | None] = mapped_column(ForeignKey("label_operations.id"), unique=True)
    """The operation that this one reverts; for a redo, the undo."""
    removed_class_id: Mapped[int | None] = mapped_column(ForeignKey("classes.id"))
    """The class that the operation deleted or merged into another."""
    outcome: Mapped[list[Any]] = mapped_column(server_default="[]")
    """Counts of its changes: [state, class id, 1 if the images were new to the project else 0, count], …"""
    at: Mapped[datetime]


class LabelChangeRow(Base):
    """The state and class of one image before and after a label operation."""

    __tablename__ = "label_changes"
    __table_args__ = (Index(None, "image_id"),)

    operation_id: Mapped[str] = mapped_column(
        ForeignKey("label_operations.id", ondelete="CASCADE"), primary_key=True
    )
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id"), primary_key=True)
    state_before: Mapped[str | None]
    """None: the image was new to the project."""
    class_id_before: Mapped[int | None] = mapped_column(ForeignKey("classes.id"))
    state_after: Mapped[str]
    class_id_after: Mapped[int | None] = mapped_column(ForeignKey("classes.id"))


class JobRow(Base):
    """A job. This table is the queue: its rows alone say what waits, runs and has ended."""

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
    """`done` when the phase began: a resumed job estimates its time left from there."""
    stop_requested: Mapped[bool] = mapped_column("stop_asked", default=False)
    worker: Mapped[str | None]
    heartbeat_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[str | None] = mapped_column(Text)
    """The message for the person, one line."""
    details: Mapped[str | None] = mapped_column(Text)
    """The traceback, for developers."""
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class IngestOutcomeRow(Base):
    """The ingest outcome of one file or URL: added, duplicate, skipped, or page."""

    __tablename__ = "finds"
    __table_args__ = (
        Unique("job_id", "name"),
        Index(None, "project_id", "outcome"),
        # For the counts by site and reason, which a page requests every second while a job runs.
        Index(None, "project_id", "job_id", "site", "outcome", "why"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    job_id: Mapped[int | None] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    name: Mapped[str]
    outcome: Mapped[str]
    """added, copy (a duplicate), refused (skipped), or page (a web page that was read)."""
    reason: Mapped[str] = mapped_column(default="")
    skip_reason: Mapped[str] = mapped_column("why", String(16), default="", server_default="")
    """Why it was skipped, as `studio.images.skip_reasons.SkipReason`."""
    page_address: Mapped[str] = mapped_column(default="", server_default="")
    """The page that linked to it."""
    site: Mapped[str] = mapped_column(default="", server_default="")
    """Host or search service; empty for files."""
    image_id: Mapped[int | None] = mapped_column(ForeignKey("images.id", ondelete="SET NULL"))
    at: Mapped[datetime]


class DuplicateGroupRow(Base):
    """The membership of an image in a group of near-duplicates of a project."""

    __tablename__ = "copy_groups"
    __table_args__ = (Index(None, "project_id", "group_id"), Index(None, "image_id"))

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id"), primary_key=True)
    group_id: Mapped[int]
    """Id of the image that was in the group first."""
    found_by: Mapped[str]
    """The method that found the duplicate: hash or bottleneck."""


class SnapshotRow(Base):
    """A frozen list of (image, class, split), identified by its hash."""

    __tablename__ = "snapshots"
    __table_args__ = (Unique("project_id", "hash"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    hash: Mapped[str] = mapped_column(String(64))
    images: Mapped[int] = mapped_column("pictures", default=0, server_default="0")
    """Number of images, so that a list of runs need not count them."""
    created_at: Mapped[datetime]


class SnapshotImageRow(Base):
    """An image of a snapshot. The class is stored by name: renaming a class changes no snapshot."""

    __tablename__ = "snapshot_images"
    __table_args__ = (Index(None, "image_id"),)

    snapshot_id: Mapped[int] = mapped_column(ForeignKey("snapshots.id", ondelete="CASCADE"), primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id"), primary_key=True)
    class_name: Mapped[str]
    split: Mapped[str]


class RunRow(Base):
    """A run: one training on a snapshot."""

    __tablename__ = "runs"
    __table_args__ = (Index(None, "project_id", "id"), Index(None, "job_id"), Index(None, "rerun_of"))

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    snapshot_id: Mapped[int] = mapped_column(ForeignKey("snapshots.id"))
    job_id: Mapped[int | None] = mapped_column(ForeignKey("jobs.id", ondelete="SET NULL"))
    """A job trains several runs, one after the other, for a sweep."""
    folder: Mapped[str] = mapped_column(unique=True)
    """Name of the run's folder in the data folder's `runs`."""
    name: Mapped[str] = mapped_column(default="", server_default="")
    """Name that a person gave; may be empty."""
    note: Mapped[str] = mapped_column(default="", server_default="")
    options: Mapped[dict[str, Any]]
    evaluation: Mapped[dict[str, Any] | None]
    """Metrics that lists show; written once, at the end."""
    answers: Mapped[dict[str, Any] | None] = mapped_column(deferred=True)
    """Predictions on every test image: large, loaded for one run at a time."""
    facts: Mapped[dict[str, Any] | None]
    """Library versions, seconds, trials and the like; written with `evaluation`."""
    rerun_of: Mapped[int | None] = mapped_column(ForeignKey("runs.id", ondelete="SET NULL"))
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    """When it was deleted from the lists; it can be restored."""


class CurvePointRow(Base):
    """Accuracy and cross-entropy of one split at one training step of a run."""

    __tablename__ = "curve_points"

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    split: Mapped[str] = mapped_column(primary_key=True)
    step: Mapped[int] = mapped_column(primary_key=True)
    accuracy: Mapped[float] = mapped_column(Double)
    cross_entropy: Mapped[float] = mapped_column(Double)
    elapsed_s: Mapped[float | None] = mapped_column(Double)
    """Seconds of training up to this step."""


class ModelRow(Base):
    """The model file of a finished run."""

    __tablename__ = "models"

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), unique=True)
    sha256: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime]


class LabelClashRow(Base):
    """A label that was not set because somebody else had changed the image in between."""

    __tablename__ = "label_clashes"
    __table_args__ = (Index(None, "project_id", "image_id"), Index(None, "image_id"))

    operation_id: Mapped[str] = mapped_column(
        ForeignKey("label_operations.id", ondelete="CASCADE"), primary_key=True
    )
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id"), primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    state: Mapped[str]
    """The state that was requested: unlabelled, labelled or rejected."""
    class_id: Mapped[int | None] = mapped_column(ForeignKey("classes.id"))


class FindingRow(Base):
    """A result of an analysis about one image: suggestion, label issue, image issue, …"""

    __tablename__ = "findings"
    __table_args__ = (
        # Each kind is a filter and a sort order, for all classes or for one.
        Index(None, "project_id", "kind", "score", "image_id"),
        Index(None, "project_id", "kind", "class_id", "score", "image_id"),
        Index(None, "image_id"),
        Index(None, "class_id"),
    )

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    """One of `studio.curate.analysis_results.ResultKind`."""
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id"), primary_key=True)
    score: Mapped[float] = mapped_column(Double)
    """0 to 1; higher: stronger."""
    class_id: Mapped[int | None] = mapped_column(ForeignKey("classes.id"))
    """The suggested class."""
    operation_number: Mapped[int]
    """`number` of the project's newest label operation at the time: later labels settle the result."""


class AnalysisRow(Base):
    """The last analysis of one kind of a project."""

    __tablename__ = "studies"

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    """survey: analysis of the images; review: analysis of the labels."""
    operation_number: Mapped[int]
    """`number` of the project's newest label operation at the time."""
    facts: Mapped[dict[str, Any]]
    """Summary, such as the number of label issues."""
    at: Mapped[datetime]


class ShareLinkRow(Base):
    """A share link: it opens the model of one run to everybody who has it, and nothing else."""

    __tablename__ = "share_links"
    __table_args__ = (Index(None, "run_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    name: Mapped[str]
    token_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    """Hash of the token. The token is shown once, when the link is made, and not stored."""
    keeps_images: Mapped[bool] = mapped_column("keeps_pictures")
    """Whether visitors who report a wrong answer are asked for the image."""
    shows_examples: Mapped[bool]
    """Whether the visitor page shows training images of each class."""
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    opened: Mapped[int] = mapped_column(default=0)
    """Number of times the visitor page was opened."""
    answered: Mapped[int] = mapped_column(default=0)
    """Number of predictions made by the server; predictions in visitors' browsers are not counted."""
    opened_at: Mapped[datetime | None]
    """When the visitor page was last opened."""
    created_at: Mapped[datetime]


class VisitorFeedbackRow(Base):
    """Feedback of a visitor: a wrong answer, and the class that they meant."""

    __tablename__ = "share_marks"
    __table_args__ = (Index(None, "link_id"), Index(None, "image_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    link_id: Mapped[int] = mapped_column(ForeignKey("share_links.id", ondelete="CASCADE"))
    answered: Mapped[str]
    """The class that the model predicted."""
    score: Mapped[float] = mapped_column(Double)
    """Confidence of the prediction, 0 to 1."""
    meant: Mapped[str] = mapped_column(default="")
    """The class that the visitor chose; empty: none."""
    image_id: Mapped[int | None] = mapped_column(ForeignKey("images.id", ondelete="SET NULL"))
    """The image, if the link asks for it and the visitor sent it."""
    at: Mapped[datetime]


class FrontierRow(Base):
    """A URL in the frontier of a job, waiting or done. An interrupted crawl resumes from here."""

    __tablename__ = "web_addresses"
    __table_args__ = (Unique("job_id", "address"), Index(None, "job_id", "state", "id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    address: Mapped[str]
    kind: Mapped[str]
    """page (HTML, feed, sitemap) or picture (an image)."""
    depth: Mapped[int] = mapped_column(default=0)
    """Number of links from the start URL."""
    state: Mapped[str] = mapped_column(default="waiting")
    """waiting or done."""
    class_name: Mapped[str | None]
    provenance: Mapped[dict[str, Any]] = mapped_column("papers")
    """The provenance known before the request, as `studio.images.provenance.Provenance`."""


class CachedAnswerRow(Base):
    """The validators of the last response of a URL, for conditional requests."""

    __tablename__ = "web_answers"

    id: Mapped[int] = mapped_column(primary_key=True)
    address: Mapped[str] = mapped_column(unique=True)
    etag: Mapped[str] = mapped_column(default="")
    last_modified: Mapped[str] = mapped_column(default="")
    sha256: Mapped[str | None] = mapped_column(String(64))
    """The image that it returned."""
    reading: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """The parsed page that it returned."""
    at: Mapped[datetime]


class SearchHitRow(Base):
    """A result of an image search, shown as a preview; the image is not stored."""

    __tablename__ = "search_hits"
    __table_args__ = (Unique("job_id", "address"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    position: Mapped[int]
    phrase: Mapped[str]
    """The search phrase that found it first."""
    address: Mapped[str]
    preview: Mapped[str] = mapped_column(default="")
    """File name of its preview in the data folder's `previews`; empty: none."""
    width_px: Mapped[int | None]
    height_px: Mapped[int | None]
    provenance: Mapped[dict[str, Any]] = mapped_column("papers")
