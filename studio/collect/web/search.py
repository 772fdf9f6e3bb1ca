"""Image search: run a search job, store its hits and previews, and read them."""

import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from threading import Event
from typing import TypeVar
from uuid import uuid4

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db import models
from db.engine import Database, insert_ignoring
from db.models import SearchHitRow
from studio.collect.web.fetcher import Fetcher, ResourceKind
from studio.collect.web.search_registry import SEARCH_SERVICES, SearchRequest
from studio.collect.web.search_service import ServiceHit
from studio.errors import ImageRefused, SearchFailed, ServerError
from studio.files import atomic_bytes
from studio.i18n import _
from studio.images.decode import decode_with_format
from studio.images.provenance import Provenance
from studio.images.store import THUMBNAIL_PX, resize_to_fit
from studio.progress import Progress
from studio.settings import Settings


@dataclass(frozen=True)
class SearchHit:
    """A stored hit."""

    id: int
    position: int
    """Rank among the hits of its search, from 0; ranks may be missing."""
    phrase: str
    url: str
    preview: str
    """File name of its preview; empty if there is none."""
    width_px: int | None
    height_px: int | None
    provenance: Provenance


def search_hits(session: Session, job_id: int) -> tuple[SearchHit, ...]:
    """Return the hits of a search job so far, by rank."""
    row = SearchHitRow
    rows = session.scalars(select(row).where(row.job_id == job_id).order_by(row.position, row.id))
    return tuple(map(_hit_of, rows))


def find_hit(session: Session, hit_id: int) -> SearchHit | None:
    """Return one hit, or None."""
    row = session.get(SearchHitRow, hit_id)
    return None if row is None else _hit_of(row)


def _hit_of(row: SearchHitRow) -> SearchHit:
    return SearchHit(
        row.id,
        row.position,
        row.phrase,
        row.address,
        row.preview,
        row.width_px,
        row.height_px,
        Provenance(**row.provenance),
    )


_MAX_PREVIEW_BYTES = 5_000_000
_KEEP_NEWER_THAN_S = 3600.0
"""A newer file may belong to a hit whose row is not written yet."""


class PreviewStore:
    """A folder of previews: WebP files of at most 256 x 256 px with unguessable names."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, name: str) -> Path:
        """Return the path of a preview."""
        return self._folder / name

    def fetch(self, fetcher: Fetcher, kind: ResourceKind, url: str) -> str:
        """Fetch an image, store a preview and return its name; empty when the image cannot be shown.

        Raises FetcherClosed after the fetcher is closed, ServerError when the disk cannot be written.
        """
        if not url:
            return ""
        try:
            data = fetcher.get(url, kind=kind, max_bytes=_MAX_PREVIEW_BYTES).body
            image = decode_with_format(data, url, at_least_px=THUMBNAIL_PX).image
        except ImageRefused:
            return ""
        name = f"{uuid4().hex}.webp"
        try:
            with atomic_bytes(self.path(name)) as file:
                resize_to_fit(image, THUMBNAIL_PX).save(file, "WEBP", quality=80, method=0)
        except OSError as error:
            raise ServerError(
                _(
                    "{path} cannot be written: {why}. Free disk space, or give the studio write access."
                ).format(path=self.path(name), why=error.strerror or error)
            ) from error
        return name

    def clear(self, database: Database) -> None:
        """Delete previews that no hit refers to."""
        if not self._folder.is_dir():
            return
        with database.read() as session:
            named = set(session.scalars(select(SearchHitRow.preview).where(SearchHitRow.preview != "")))
        for path in self._folder.iterdir():
            try:
                if path.name not in named and time.time() - path.stat().st_mtime > _KEEP_NEWER_THAN_S:
                    path.unlink()
            except OSError:  # deleted by another process or in use; the next call tries again
                continue


_HITS_PER_STEP = 20
"""Hits whose previews are fetched before the next hits are requested."""
_SEARCH_THREADS = 4
_POLL_S = 0.2
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class SearchResult:
    """Outcome of a search."""

    hits: int
    cut_short: str = ""
    """The error that ended the search early; empty if it was completed."""


def search(
    database: Database,
    fetcher: Fetcher,
    request: SearchRequest,
    *,
    job_id: int,
    settings: Settings,
    progress: Progress,
) -> SearchResult:
    """Find about `request.count` images and store them as the job's hits, readable while the search runs.

    The phrases share the count evenly, in turn; what one phrase leaves over goes to those after it. An image
    that several phrases find belongs to the first. A resumed job keeps its earlier hits. The fetcher is
    closed at the end. Raises what `SearchRequest.checked` raises, SearchFailed when the service refuses
    before anything is found, Stopped when a person stops the job.
    """
    request = request.checked()
    service = SEARCH_SERVICES[request.service]
    previews = PreviewStore(settings.previews_dir)
    _drop_older_previews(database, previews, job_id)
    ended = Event()
    client = service.connect(fetcher, settings, ended.wait)
    pool = ThreadPoolExecutor(_SEARCH_THREADS, thread_name_prefix="search")
    fetch_preview = partial(previews.fetch, fetcher, service.preview_kind)
    collector = _HitCollector(database, job_id, request.count, fetch_preview, progress, pool)
    try:
        for number, phrase in enumerate(request.phrases):
            left = request.count - collector.found_by(request.phrases[:number])
            share = math.ceil(left / (len(request.phrases) - number))
            hits = client.search(
                phrase, licences=frozenset(request.licences), min_side_px=request.min_side_px
            )
            collector.collect(hits, share - collector.found_by([phrase]))
        cut_short = ""
    except SearchFailed as error:
        if not collector.known:
            raise
        cut_short = str(error)
    finally:
        ended.set()
        fetcher.close()
        pool.shutdown(wait=False, cancel_futures=True)
    return SearchResult(len(collector.known), cut_short)


class _HitCollector:
    """Stores new hits of a search job with their previews."""

    def __init__(
        self,
        database: Database,
        job_id: int,
        count: int,
        fetch_preview: Callable[[str], str],
        progress: Progress,
        pool: ThreadPoolExecutor,
    ) -> None:
        self._database, self._job_id, self._count = database, job_id, count
        self._fetch_preview, self._progress, self._pool = fetch_preview, progress, pool
        with database.read() as session:
            earlier = search_hits(session, job_id)
        self.known = {hit.url for hit in earlier}
        self._by_phrase = Counter(hit.phrase for hit in earlier)
        self._position = max((hit.position for hit in earlier), default=-1) + 1

    def found_by(self, phrases: Collection[str]) -> int:
        """Return the number of hits of these phrases."""
        return sum(self._by_phrase[phrase] for phrase in phrases)

    def collect(self, hits: Iterator[ServiceHit], count: int) -> None:
        """Store up to `count` new hits, `_HITS_PER_STEP` at a time."""
        while count > 0:
            # The next hits are requested only when these are visible: a service that stops answering then
            # holds back nothing that was found.
            batch, error = self._wait_for(
                self._pool.submit(self._next_batch, hits, min(count, _HITS_PER_STEP))
            )
            self._store(batch)
            if error is not None:
                raise error
            if not batch:
                return
            count -= len(batch)

    def _next_batch(
        self, hits: Iterable[ServiceHit], size: int
    ) -> tuple[list[ServiceHit], SearchFailed | None]:
        batch: dict[str, ServiceHit] = {}
        try:
            new = (hit for hit in hits if hit.url not in self.known and hit.url not in batch)
            for hit in islice(new, size):
                batch[hit.url] = hit
        except SearchFailed as error:
            return list(batch.values()), error
        return list(batch.values()), None

    def _store(self, batch: Sequence[ServiceHit]) -> None:
        waiting = {
            self._pool.submit(self._fetch_preview, hit.preview_url): (self._position + index, hit)
            for index, hit in enumerate(batch)
        }
        self._position += len(batch)
        while waiting:
            self._progress.report(_("Searching"), len(self.known), self._count)
            done, _others = wait(waiting, _POLL_S, FIRST_COMPLETED)
            self._write({waiting.pop(future): future.result() for future in done})
        self._progress.report(_("Searching"), len(self.known), self._count)

    def _write(self, previews: dict[tuple[int, ServiceHit], str]) -> None:
        if not previews:
            return
        rows = [
            {
                "job_id": self._job_id,
                "position": position,
                "phrase": hit.phrase,
                "address": hit.url,
                "preview": preview,
                "width_px": hit.width_px,
                "height_px": hit.height_px,
                "provenance": {name: value for name, value in asdict(hit.provenance).items() if value},
            }
            for (position, hit), preview in previews.items()
        ]
        with self._database.write() as session:
            insert_ignoring(session, SearchHitRow, rows)
        self.known.update(hit.url for _position, hit in previews)
        self._by_phrase.update(hit.phrase for _position, hit in previews)

    def _wait_for(self, future: Future[_Result]) -> _Result:
        while not wait([future], _POLL_S).done:
            self._progress.report(_("Searching"), len(self.known), self._count)
        return future.result()


def _drop_older_previews(database: Database, previews: PreviewStore, job_id: int) -> None:
    """Drop the previews of the project's earlier searches; their hits can still be fetched."""
    job = models.JobRow
    with database.write() as session:
        project_id = session.scalar(select(job.project_id).where(job.id == job_id))
        older = select(job.id).where(job.project_id == project_id, job.id < job_id)
        session.execute(
            update(SearchHitRow)
            .where(SearchHitRow.job_id.in_(older), SearchHitRow.preview != "")
            .values(preview="")
        )
    previews.clear(database)
