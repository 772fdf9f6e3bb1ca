"""The one way by which images enter a project, wherever they come from."""

import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import NoReturn, Required, TypedDict
from uuid import uuid4

from sqlalchemy import bindparam, select

from db import models
from db.engine import Database
from studio.collect.ingest_rows import FileFacts, IngestOutcome, ReadImage, write_batch
from studio.datasets.sources import Source
from studio.errors import ImageRefused, StudioError
from studio.i18n import _
from studio.images.decode import decode_whole
from studio.images.near_duplicates import NearDuplicateIndex
from studio.images.reasons import SkipReason
from studio.images.similarity import perceptual_hash
from studio.images.store import THUMBNAIL_PX, ImageStore, fitted
from studio.progress import Progress

_BATCH = 128
_BATCH_S = 0.5


@dataclass(frozen=True)
class Refusal:
    """A file that was not taken, and why, in one line."""

    name: str
    reason: str
    why: str = ""


@dataclass(frozen=True)
class IngestReport:
    """What became of the files on offer."""

    added: int
    copies: int
    refused: tuple[Refusal, ...]
    near_copies: int = 0
    """How many of those added are nearly the same as an image that was there."""


class Ingesting(TypedDict, total=False):
    """What every way in hands on to `ingest`."""

    progress: Required[Progress]
    clock: Required[Callable[[], datetime]]
    job_id: int | None
    threads: int
    new_id: Callable[[], str]


def ingest(
    database: Database,
    store: ImageStore,
    project_id: int,
    sources: Iterable[Source | None],
    *,
    progress: Progress,
    clock: Callable[[], datetime],
    total: int | None = None,
    job_id: int | None = None,
    threads: int = 0,
    new_id: Callable[[], str] = lambda: uuid4().hex,
    on_finds: Callable[[Sequence[IngestOutcome]], object] = lambda finds: None,
) -> IngestReport:
    """Take every source into the project that is an image, and note of every other why not.

    Sources are read one after the other and decoded by `threads` threads (0: one a core); a few at a time
    are in memory, however many there are. Rows are written in batches, each in one transaction together with
    the record of what became of each source, so that a job (`job_id`) taken up again passes over what it has
    finished, and its report covers the whole job. `new_id` names the labelling operations.

    A source of None says that there is none for the moment: what has come is written meanwhile. `on_finds` is
    told what became of sources once it is written.

    Raises Stopped when a person asks for an end, ArchiveRefused when an archive turns out broken on the way,
    ServerError when the disk is full, ProjectError when the project is gone: what was read till then is kept.
    """
    earlier = _earlier_finds(database, job_id)
    finds = list(earlier.values())
    threads = threads or os.cpu_count() or 1
    near_copies = NearDuplicateIndex(store, project_id)
    # One more than compute: there is always one that waits for the disk.
    with ThreadPoolExecutor(threads + 1, thread_name_prefix="ingest") as pool:
        pending: deque[Future[ReadImage]] = deque()
        batch: list[ReadImage] = []
        written_at = time.monotonic()

        def write() -> None:
            nonlocal written_at
            written = write_batch(
                database,
                project_id,
                batch,
                at=clock(),
                job_id=job_id,
                operation_id=new_id(),
                near_copies=near_copies,
            )
            finds.extend(written)
            batch.clear()
            on_finds(written)
            written_at = time.monotonic()

        def take(image: Future[ReadImage]) -> None:
            batch.append(image.result())
            if len(batch) >= _BATCH or time.monotonic() - written_at >= _BATCH_S:
                write()
            progress.report(_("Reading images"), len(finds) + len(batch), total)

        try:
            progress.report(_("Reading images"), len(finds), total)
            for source in sources:
                if source is None:
                    while pending and pending[0].done():
                        take(pending.popleft())
                    if batch and time.monotonic() - written_at >= _BATCH_S:
                        write()
                    continue
                if source.name in earlier:
                    continue
                pending.append(_prepare(pool, database, store, source))
                if len(pending) > 2 * threads:
                    take(pending.popleft())
            while pending:
                take(pending.popleft())
        except (StudioError, KeyboardInterrupt):
            # The few that have been read get their files and rows too: nothing is left half done.
            batch.extend(image.result() for image in pending if image.exception() is None)
            write()
            raise
        write()
    return _report(finds)


def _prepare(
    pool: ThreadPoolExecutor, database: Database, store: ImageStore, source: Source
) -> Future[ReadImage]:
    if source.stored and _is_stored(database, store, source.stored):
        found: Future[ReadImage] = Future()
        found.set_result(ReadImage(source, source.stored))
        return found
    # Read here and not in the pool: an archive's members come in their order, each before the next.
    try:
        data = source.read()
    except ImageRefused as refusal:
        refused: Future[ReadImage] = Future()
        refused.set_result(ReadImage(source, refusal=str(refusal), why=refusal.why))
        return refused
    # Its reader may hold the bytes: they need not wait in memory for the batch to be written.
    source = replace(source, read=_read_before)
    return pool.submit(_arrive, database, store, source, data)


def _read_before() -> NoReturn:
    raise AssertionError("a source is read once")


def _arrive(database: Database, store: ImageStore, source: Source, data: bytes) -> ReadImage:
    digest = sha256(data).hexdigest()
    known_format = _known_format(database, digest)
    if known_format:  # it was decoded when it first came
        store.put(data, digest, known_format)
        return ReadImage(source, digest)
    try:
        # For the thumbnail and the hash no more is needed, and every byte of the file is read all the same.
        decoded = decode_whole(data, source.name, fitting_px=THUMBNAIL_PX)
    except ImageRefused as refusal:
        return ReadImage(source, refusal=str(refusal), why=refusal.why)
    if min(decoded.width_px, decoded.height_px) < source.min_side_px:
        reason = _("{name} is {width} x {height} px: smaller than the {side} px a side that were asked for.")
        return ReadImage(
            source,
            refusal=reason.format(
                name=source.name,
                width=decoded.width_px,
                height=decoded.height_px,
                side=source.min_side_px,
            ),
            why=SkipReason.TOO_SMALL,
        )
    small = fitted(decoded.image, THUMBNAIL_PX)
    store.put_thumbnail(digest, small)
    store.put(data, digest, decoded.format)
    facts = FileFacts(decoded.format, decoded.width_px, decoded.height_px, len(data), perceptual_hash(small))
    return ReadImage(source, digest, facts)


_FORMAT_OF = select(models.ImageRow.format).where(models.ImageRow.sha256 == bindparam("digest"))


def _known_format(database: Database, digest: str) -> str | None:
    # Without a session: it would take four times as long, for every image.
    with database.engine.connect() as connection:
        return connection.scalar(_FORMAT_OF, {"digest": digest})


def _is_stored(database: Database, store: ImageStore, digest: str) -> bool:
    known_format = _known_format(database, digest)
    return known_format is not None and store.original(digest, known_format).exists()


def report_of(database: Database, job_id: int) -> IngestReport:
    """Return what became of everything that a job was offered."""
    return _report(list(_earlier_finds(database, job_id).values()))


def _earlier_finds(database: Database, job_id: int | None) -> dict[str, IngestOutcome]:
    if job_id is None:
        return {}
    with database.read() as session:
        rows = session.execute(
            select(
                models.IngestOutcomeRow.name,
                models.IngestOutcomeRow.outcome,
                models.IngestOutcomeRow.reason,
                models.IngestOutcomeRow.why,
            ).where(models.IngestOutcomeRow.job_id == job_id, models.IngestOutcomeRow.outcome != "page")
        )
        return {name: IngestOutcome(name, outcome, reason, why) for name, outcome, reason, why in rows}


def _report(finds: list[IngestOutcome]) -> IngestReport:
    outcomes = Counter(find.outcome for find in finds)
    refused = tuple(Refusal(find.name, find.reason, find.why) for find in finds if find.outcome == "refused")
    near = sum(1 for find in finds if find.outcome == "added" and find.reason)
    return IngestReport(outcomes["added"], outcomes["copy"], refused, near)
