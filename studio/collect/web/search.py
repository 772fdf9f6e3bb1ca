"""Searching services for images, to be looked at before anything is kept."""

import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
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
from studio.collect.web.commons import Commons
from studio.collect.web.fetcher import Kind, Visitor
from studio.collect.web.openverse import Openverse
from studio.collect.web.service import Hit, Service, checked_phrases
from studio.errors import ImageRefused, SearchFailed, ServerError
from studio.files import atomic_bytes
from studio.i18n import _
from studio.images.decode import decode_whole
from studio.images.provenance import Provenance
from studio.images.store import THUMBNAIL_PX, fitted
from studio.progress import Progress
from studio.settings import Settings


@dataclass(frozen=True)
class FoundHit:
    """A hit as it was kept."""

    id: int
    position: int
    """Its place among the hits of its search, from 0; some may be missing."""
    phrase: str
    address: str
    preview: str
    """The name of its small copy; empty where there is none."""
    width_px: int | None
    height_px: int | None
    provenance: Provenance


def hits(session: Session, job_id: int) -> tuple[FoundHit, ...]:
    """Return what a search has found so far, in order."""
    row = SearchHitRow
    rows = session.scalars(select(row).where(row.job_id == job_id).order_by(row.position, row.id))
    return tuple(map(_found, rows))


def hit(session: Session, hit_id: int) -> FoundHit | None:
    """Return one hit."""
    row = session.get(SearchHitRow, hit_id)
    return None if row is None else _found(row)


def _found(row: SearchHitRow) -> FoundHit:
    return FoundHit(
        row.id,
        row.position,
        row.phrase,
        row.address,
        row.preview,
        row.width_px,
        row.height_px,
        Provenance(**row.provenance),
    )


_MAX_BYTES = 5_000_000
_YOUNG_S = 3600.0
"""A file this new may belong to a hit whose row is not written yet."""


class Previews:
    """A folder of WebP files that fit 256 x 256 px, under names that nobody can guess."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, name: str) -> Path:
        """Return where the preview of that name lies."""
        return self._folder / name

    def fetch(self, visitor: Visitor, address: str, kind: Kind) -> str:
        """Fetch an image, keep a small copy and return its name; empty when nothing can be shown.

        Raises VisitEnded after the visitor's end, ServerError when the disk refuses.
        """
        if not address:
            return ""
        try:
            data = visitor.get(address, kind=kind, max_bytes=_MAX_BYTES).body
            image = decode_whole(data, address, at_least_px=THUMBNAIL_PX).image
        except ImageRefused:
            return ""
        name = f"{uuid4().hex}.webp"
        try:
            with atomic_bytes(self.path(name)) as file:
                fitted(image, THUMBNAIL_PX).save(file, "WEBP", quality=80, method=0)
        except OSError as error:
            raise ServerError(
                _(
                    "{path} cannot be written: {why}. Make room on the disk, or let the studio write there."
                ).format(path=self.path(name), why=error.strerror or error)
            ) from error
        return name

    def clear(self, database: Database) -> None:
        """Delete the files that no hit names any more."""
        if not self._folder.is_dir():
            return
        with database.read() as session:
            named = set(session.scalars(select(SearchHitRow.preview).where(SearchHitRow.preview != "")))
        for path in self._folder.iterdir():
            try:
                if path.name not in named and time.time() - path.stat().st_mtime > _YOUNG_S:
                    path.unlink()
            except OSError:  # another cleared it, or shows it: then it goes the next time
                continue


_AT_ONCE = 20
"""So many hits are shown before more are asked for."""
_THREADS = 4
_LOOK_EVERY_S = 0.2
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Searched:
    """How a search went."""

    hits: int
    cut_short: str = ""
    """Why there are not more, where the service did not let the search come to its end."""


def service_of(name: str, visitor: Visitor, settings: Settings, pause: Callable[[float], object]) -> Service:
    """Return the service of that name. pause: waits for so many seconds, or less when all is to end."""
    if name == "openverse":
        return Openverse(
            visitor, settings.openverse_address, settings.openverse_id, settings.openverse_secret
        )
    return Commons(visitor, settings.commons_address, settings.contact, pause)


def search(
    database: Database,
    visitor: Visitor,
    *,
    job_id: int,
    service: str,
    phrases: Sequence[str],
    count: int,
    licences: frozenset[str],
    min_side_px: int,
    settings: Settings,
    progress: Progress,
) -> Searched:
    """Find about `count` images and keep them as the job's hits, which can be read while this goes on.

    The phrases get even shares, in turn; what one leaves over goes to those after it. An image that several
    find belongs to the first. A job taken up again goes on: what it has found stays. The visitor is closed
    at the end. Raises what `checked_phrases` raises, SearchFailed when the service refuses before anything
    is found, Stopped when a person asks for an end.
    """
    phrases = checked_phrases(service, phrases, licences)
    previews = Previews(settings.previews_dir)
    _let_go(database, previews, job_id)
    ended = Event()
    asked = service_of(service, visitor, settings, ended.wait)
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="search")
    finding = _Finding(database, visitor, asked, previews, job_id, count, progress, pool)
    try:
        for number, words in enumerate(phrases):
            share = math.ceil((count - finding.before(phrases[:number])) / (len(phrases) - number))
            found = asked.find(words, licences=licences, min_side_px=min_side_px)
            finding.take(found, share - finding.before([words]))
        cut_short = ""
    except SearchFailed as failure:
        if not finding.known:
            raise
        cut_short = str(failure)
    finally:
        ended.set()
        visitor.close()
        pool.shutdown(wait=False, cancel_futures=True)
    return Searched(len(finding.known), cut_short)


class _Finding:
    """What a job has found, and how it finds more."""

    def __init__(
        self,
        database: Database,
        visitor: Visitor,
        service: Service,
        previews: Previews,
        job_id: int,
        count: int,
        progress: Progress,
        pool: ThreadPoolExecutor,
    ) -> None:
        self._database, self._visitor, self._service = database, visitor, service
        self._previews, self._job_id, self._count = previews, job_id, count
        self._progress, self._pool = progress, pool
        with database.read() as session:
            earlier = hits(session, job_id)
        self.known = {hit.address for hit in earlier}
        self._by_phrase = Counter(hit.phrase for hit in earlier)
        self._position = max((hit.position for hit in earlier), default=-1) + 1

    def before(self, phrases: Collection[str]) -> int:
        """Return how many hits these phrases have."""
        return sum(self._by_phrase[words] for words in phrases)

    def take(self, found: Iterator[Hit], wanted: int) -> None:
        """Keep `wanted` of what is found that is not known yet, a few at a time."""
        while wanted > 0:
            # More is asked for when these can be seen: none waits in vain when the service has enough of us.
            few, failure = self._waited(self._pool.submit(self._few, found, min(wanted, _AT_ONCE)))
            self._keep(few)
            if failure is not None:
                raise failure
            if not few:
                return
            wanted -= len(few)

    def _few(self, found: Iterator[Hit], number: int) -> tuple[list[Hit], SearchFailed | None]:
        few: dict[str, Hit] = {}
        try:
            fresh = (hit for hit in found if hit.address not in self.known and hit.address not in few)
            for hit in islice(fresh, number):
                few[hit.address] = hit
        except SearchFailed as failure:
            return list(few.values()), failure
        return list(few.values()), None

    def _keep(self, few: Sequence[Hit]) -> None:
        fetch, kind = self._previews.fetch, self._service.preview_kind
        waiting = {
            self._pool.submit(fetch, self._visitor, hit.preview_address, kind): (self._position + index, hit)
            for index, hit in enumerate(few)
        }
        self._position += len(few)
        while waiting:
            self._progress.report(_("Searching"), len(self.known), self._count)
            done, _others = wait(waiting, _LOOK_EVERY_S, FIRST_COMPLETED)
            self._write({waiting.pop(future): future.result() for future in done})
        self._progress.report(_("Searching"), len(self.known), self._count)

    def _write(self, previews: dict[tuple[int, Hit], str]) -> None:
        if not previews:
            return
        rows = [
            {
                "job_id": self._job_id,
                "position": position,
                "phrase": hit.phrase,
                "address": hit.address,
                "preview": preview,
                "width_px": hit.width_px,
                "height_px": hit.height_px,
                "provenance": {name: value for name, value in asdict(hit.provenance).items() if value},
            }
            for (position, hit), preview in previews.items()
        ]
        with self._database.write() as session:
            insert_ignoring(session, SearchHitRow, rows)
        self.known.update(hit.address for _position, hit in previews)
        self._by_phrase.update(hit.phrase for _position, hit in previews)

    def _waited(self, future: Future[_Result]) -> _Result:
        while not wait([future], _LOOK_EVERY_S).done:
            self._progress.report(_("Searching"), len(self.known), self._count)
        return future.result()


def _let_go(database: Database, previews: Previews, job_id: int) -> None:
    """Give up the previews of what the project searched for before; its hits can still be fetched."""
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
