"""Ingest images into a project: read, decode, store, deduplicate and record the outcome of every source."""

import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from typing import NoReturn
from uuid import uuid4

from sqlalchemy import bindparam, select

from db import models
from db.engine import Database
from studio.collect.ingest_rows import FileFacts, IngestOutcome, ReadImage, write_batch
from studio.datasets.sources import Source
from studio.errors import ImageRefused, StudioError
from studio.i18n import _
from studio.images.decode import decode_with_format
from studio.images.near_duplicates import NearDuplicateIndex
from studio.images.similarity import perceptual_hash
from studio.images.skip_reasons import SkipReason
from studio.images.store import THUMBNAIL_PX, ImageStore, resize_to_fit
from studio.progress import Progress, Silent

_BATCH_SIZE = 128
_BATCH_S = 0.5


@dataclass(frozen=True, kw_only=True)
class ImportContext:
    """The project that images are imported into, and everything an importer needs to write to it."""

    database: Database
    store: ImageStore
    project_id: int
    clock: Callable[[], datetime]
    """Returns the current time, in UTC."""
    progress: Progress = field(default_factory=Silent)
    job_id: int | None = None
    """The job that imports; None outside of jobs."""
    threads: int = 0
    """Decoding threads; 0: one per core."""
    new_id: Callable[[], str] = lambda: uuid4().hex
    """Returns an id for a labelling operation."""


@dataclass(frozen=True)
class SkippedFile:
    """A file that was not imported."""

    name: str
    message: str
    """The reason in one sentence."""
    skip_reason: str = ""
    """One of SkipReason."""


@dataclass(frozen=True)
class IngestReport:
    """Counts of an import's outcomes, and the files that were skipped."""

    added: int
    duplicates: int
    skipped: tuple[SkippedFile, ...]
    near_duplicates: int = 0
    """The added images that are nearly the same as an image already in the project."""


def ingest(
    context: ImportContext,
    sources: Iterable[Source | None],
    *,
    total: int | None = None,
    on_outcomes: Callable[[Sequence[IngestOutcome]], object] = lambda outcomes: None,
) -> IngestReport:
    """Import every source that is an image, and record why each other one was skipped.

    Sources are read one after the other and decoded by `context.threads` threads; only a few are in memory
    at a time. Rows are written in batches, each in one transaction together with the outcome of each source,
    so that a resumed job skips the sources it has finished and its report covers the whole job.

    A source of None means that none is available yet: the images read so far are written meanwhile.
    `on_outcomes` is called with the outcomes of each batch once they are written.

    Raises Stopped when a person stops the job, ArchiveRefused when an archive turns out to be broken,
    ServerError when the disk is full, ProjectError when the project is gone. Images read until then are kept.
    """
    earlier = _recorded_outcomes(context.database, context.job_id)
    outcomes = list(earlier.values())
    progress = context.progress
    threads = context.threads or os.cpu_count() or 1
    near_duplicates = NearDuplicateIndex(context.store, context.project_id)
    # One more than there are decoders, since one is always waiting for the disk.
    with ThreadPoolExecutor(threads + 1, thread_name_prefix="ingest") as pool:
        pending: deque[Future[ReadImage]] = deque()
        batch: list[ReadImage] = []
        written_at = time.monotonic()

        def write() -> None:
            nonlocal written_at
            written = write_batch(
                context.database,
                context.project_id,
                batch,
                at=context.clock(),
                job_id=context.job_id,
                operation_id=context.new_id(),
                near_duplicates=near_duplicates,
            )
            outcomes.extend(written)
            batch.clear()
            on_outcomes(written)
            written_at = time.monotonic()

        def add_to_batch(image: Future[ReadImage]) -> None:
            batch.append(image.result())
            if len(batch) >= _BATCH_SIZE or time.monotonic() - written_at >= _BATCH_S:
                write()
            progress.report(_("Reading images"), len(outcomes) + len(batch), total)

        try:
            progress.report(_("Reading images"), len(outcomes), total)
            for source in sources:
                if source is None:
                    while pending and pending[0].done():
                        add_to_batch(pending.popleft())
                    if batch and time.monotonic() - written_at >= _BATCH_S:
                        write()
                    continue
                if source.name in earlier:
                    continue
                pending.append(_submit(pool, context, source))
                if len(pending) > 2 * threads:
                    add_to_batch(pending.popleft())
            while pending:
                add_to_batch(pending.popleft())
        except (StudioError, KeyboardInterrupt):
            # Finish the images that have been read already, so that no file is left without a row.
            batch.extend(image.result() for image in pending if image.exception() is None)
            write()
            raise
        write()
    return _report(outcomes)


def _submit(pool: ThreadPoolExecutor, context: ImportContext, source: Source) -> Future[ReadImage]:
    if source.stored and _is_stored(context, source.stored):
        found: Future[ReadImage] = Future()
        found.set_result(ReadImage(source, source.stored))
        return found
    # Read here, not in the pool: an archive's members must be read in their order.
    try:
        data = source.read()
    except ImageRefused as refusal:
        skipped: Future[ReadImage] = Future()
        skipped.set_result(ReadImage(source, skip_message=str(refusal), skip_reason=refusal.skip_reason))
        return skipped
    # The reader may hold the bytes; drop it so that they are freed before the batch is written.
    source = replace(source, read=_already_read)
    return pool.submit(_decode_and_store, context, source, data)


def _already_read() -> NoReturn:
    raise AssertionError("a source is read once")


def _decode_and_store(context: ImportContext, source: Source, data: bytes) -> ReadImage:
    store = context.store
    digest = sha256(data).hexdigest()
    known_format = _known_format(context.database, digest)
    if known_format:  # decoded at its first import
        store.put(data, digest, known_format)
        return ReadImage(source, digest)
    try:
        # Thumbnail and hash need no larger size; every byte of the file is read all the same.
        decoded = decode_with_format(data, source.name, fitting_px=THUMBNAIL_PX)
    except ImageRefused as refusal:
        return ReadImage(source, skip_message=str(refusal), skip_reason=refusal.skip_reason)
    if min(decoded.width_px, decoded.height_px) < source.min_side_px:
        message = _("{name} is {width} x {height} px; expected at least {side} px per side.")
        return ReadImage(
            source,
            skip_message=message.format(
                name=source.name,
                width=decoded.width_px,
                height=decoded.height_px,
                side=source.min_side_px,
            ),
            skip_reason=SkipReason.TOO_SMALL,
        )
    small = resize_to_fit(decoded.image, THUMBNAIL_PX)
    store.put_thumbnail(digest, small)
    store.put(data, digest, decoded.format)
    facts = FileFacts(decoded.format, decoded.width_px, decoded.height_px, len(data), perceptual_hash(small))
    return ReadImage(source, digest, facts)


_FORMAT_OF = select(models.ImageRow.format).where(models.ImageRow.sha256 == bindparam("digest"))


def _known_format(database: Database, digest: str) -> str | None:
    # Without a session, which would take four times as long for every image.
    with database.engine.connect() as connection:
        return connection.scalar(_FORMAT_OF, {"digest": digest})


def _is_stored(context: ImportContext, digest: str) -> bool:
    known_format = _known_format(context.database, digest)
    return known_format is not None and context.store.original(digest, known_format).exists()


def report_of(database: Database, job_id: int) -> IngestReport:
    """Return the report of a job, from its recorded outcomes."""
    return _report(list(_recorded_outcomes(database, job_id).values()))


def _recorded_outcomes(database: Database, job_id: int | None) -> dict[str, IngestOutcome]:
    if job_id is None:
        return {}
    with database.read() as session:
        rows = session.execute(
            select(
                models.IngestOutcomeRow.name,
                models.IngestOutcomeRow.outcome,
                models.IngestOutcomeRow.reason,
                models.IngestOutcomeRow.skip_reason,
            ).where(models.IngestOutcomeRow.job_id == job_id, models.IngestOutcomeRow.outcome != "page")
        )
        return {name: IngestOutcome(name, outcome, reason, why) for name, outcome, reason, why in rows}


def _report(outcomes: list[IngestOutcome]) -> IngestReport:
    counts = Counter(each.outcome for each in outcomes)
    skipped = tuple(
        SkippedFile(each.name, each.message, each.skip_reason)
        for each in outcomes
        if each.outcome == "refused"
    )
    near_duplicates = sum(1 for each in outcomes if each.outcome == "added" and each.message)
    return IngestReport(counts["added"], counts["copy"], skipped, near_duplicates)
