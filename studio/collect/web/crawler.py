"""Asking a job's addresses, many at a time, and handing on what comes as sources for `ingest`."""

import heapq
import queue as queues
import time
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import Unpack

from db.engine import Database
from studio.collect.ingest import Ingesting, IngestReport, ingest, report_of
from studio.collect.ingest_rows import IngestOutcome
from studio.collect.web import frontier
from studio.collect.web.fetcher import Answer, Visitor
from studio.collect.web.frontier import Target
from studio.collect.web.page import Reading
from studio.collect.web.rate_limits import VisitEnded
from studio.collect.web.read_page import read_page
from studio.datasets.sources import Source, refuse
from studio.errors import ImageRefused
from studio.i18n import _
from studio.images.reasons import SkipReason
from studio.images.store import ImageStore
from studio.progress import Progress, Silent

_IMAGES_AHEAD = 200
"""While fewer images wait than this, pages are read first: they lead to more."""


class Turns:
    """The targets that wait, by site, and which of them may be asked now.

    Pages come in the order of their depth: none while one that is nearer to the start waits or is under way,
    so that a page is always reached by the shortest way and a crawl reads the same pages every time.

    connections: how many requests a site gets at a time.
    ready_in: how many seconds it is until a target's site may be asked again.
    """

    def __init__(self, connections: int, ready_in: Callable[[str], float]) -> None:
        self._connections, self._ready_in = connections, ready_in
        self._pages: defaultdict[str, deque[Target]] = defaultdict(deque)
        self._images: defaultdict[str, deque[Target]] = defaultdict(deque)
        self._under_way: defaultdict[str, int] = defaultdict(int)
        self._rotation: deque[str] = deque()
        self._resting: list[tuple[float, str]] = []
        self._listed: set[str] = set()
        self._deeper: defaultdict[int, list[Target]] = defaultdict(list)
        self._depth = 0
        self._level = 0  # pages of this depth that wait or are under way
        self.pages = self.images = 0
        """How many wait."""

    def add(self, target: Target) -> None:
        """Put a target behind the others of its site."""
        if target.kind == "picture":
            self._images[target.site].append(target)
            self.images += 1
            self._list(target.site)
            return
        self.pages += 1
        if target.depth > self._depth:
            self._deeper[target.depth].append(target)
        else:
            self._put_page(target)

    def _put_page(self, target: Target) -> None:
        self._level += 1
        self._pages[target.site].append(target)
        self._list(target.site)

    def next(self, *, pages: bool, images: bool) -> Target | None:
        """Return a target that may be asked now, or None. `back` is to be told when it has been."""
        while self._resting and self._resting[0][0] <= time.monotonic():
            self._rotation.append(heapq.heappop(self._resting)[1])
        for _turn in range(len(self._rotation)):
            site = self._rotation.popleft()
            waiting = self._choose(site, pages=pages, images=images)
            if waiting is None:
                if self._pages[site] or self._images[site]:
                    self._rotation.append(site)  # its turn comes when more may be asked for
                else:
                    self._listed.discard(site)
                continue
            rest_s = self._ready_in(waiting[0].address)
            if rest_s > 0:
                heapq.heappush(self._resting, (time.monotonic() + rest_s, site))
                continue
            target = waiting.popleft()
            if target.kind == "page":
                self.pages -= 1
            else:
                self.images -= 1
            self._under_way[site] += 1
            self._listed.discard(site)
            self._list(site)
            return target
        return None

    def back(self, target: Target) -> None:
        """Take note that a target has been asked."""
        self._under_way[target.site] -= 1
        if target.kind == "page":
            self._level -= 1
        self._list(target.site)

    def go_deeper(self) -> None:
        """Begin with the next pages, if those before have been read and all that they lead to is added."""
        if not self._level and self._deeper:
            self._depth = min(self._deeper)
            for target in self._deeper.pop(self._depth):
                self._put_page(target)

    def drain(self) -> Iterator[Target]:
        """Give up and yield everything that waits."""
        for waiting in (*self._pages.values(), *self._images.values(), *map(deque, self._deeper.values())):
            while waiting:
                yield waiting.popleft()
        self._deeper.clear()
        self.pages = self.images = 0

    def _choose(self, site: str, *, pages: bool, images: bool) -> deque[Target] | None:
        page, image = self._pages[site] if pages else None, self._images[site] if images else None
        if page and image:
            return page if self.images < _IMAGES_AHEAD else image
        return page or image or None

    def _list(self, site: str) -> None:
        waits = self._pages[site] or self._images[site]
        if waits and site not in self._listed and self._under_way[site] < self._connections:
            self._listed.add(site)
            self._rotation.append(site)


@dataclass(frozen=True)
class Limits:
    """Where a harvest ends at the latest."""

    pages: int = 1_000_000
    images: int = 1_000_000
    """New ones; copies and refusals do not count."""
    total_bytes: int = 1_000_000_000_000
    minutes: float = 1_000_000


@dataclass(frozen=True)
class Followed:
    """What is made of a page: addresses to ask, and those that are clearly not to be asked."""

    targets: Sequence[Target]
    refused: Sequence[IngestOutcome]
    said: str
    """What the page gave, in a few words."""


Follow = Callable[[Target, Answer, Reading, Collection[str]], Followed]
"""Says what a page leads to, without the addresses that are known already."""
_AT_ONCE = 48
_WAIT_S = 0.1
_KEEP_EVERY = 64


@dataclass(frozen=True)
class _Outcome:
    target: Target
    data: bytes = b""
    robots: str = ""
    kept: frontier.Kept | None = None
    reading: Reading | None = None
    answer: Answer | None = None
    fault: Exception | None = None


class Harvest:
    """One job's addresses. Iterate over `sources`, and tell `settled` what became of them.

    kind: of the sources. All it has to know after a kill stands in the database.
    """

    def __init__(
        self,
        database: Database,
        store: ImageStore,
        project_id: int,
        job_id: int,
        visitor: Visitor,
        *,
        kind: str,
        min_side_px: int,
        limits: Limits,
        follow: Follow | None,
        progress: Progress,
        clock: Callable[[], datetime],
    ) -> None:
        self._database, self._store = database, store
        self._project_id, self._job_id = project_id, job_id
        self._visitor, self._limits, self._follow = visitor, limits, follow
        self._kind, self._min_side_px, self._progress, self._clock = kind, min_side_px, progress, clock
        self._turns = Turns(visitor.connections, visitor.ready_in)
        self._came: queues.SimpleQueue[_Outcome] = queues.SimpleQueue()
        self._to_keep: list[frontier.Kept] = []
        self._kept: dict[str, frontier.Kept] = {}
        self._under_way = {"page": 0, "picture": 0}
        self._pages = self._added = self._finds = self._in_hand = self._bytes = 0
        self._ends_at = time.monotonic() + limits.minutes * 60

    def settled(self, finds: Sequence[IngestOutcome]) -> None:
        """Take note of what became of sources, as `ingest` tells it."""
        self._in_hand -= len(finds)
        self._finds += len(finds)
        self._added += sum(find.outcome == "added" for find in finds)

    def sources(self) -> Generator[Source | None, None, None]:
        """Yield what comes, as it comes; None when nothing has come for a moment.

        Raises Stopped when a person asks for an end: no request is under way any more then.
        """
        self._take_up()
        pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="ask")
        try:
            while True:
                self._send_out(pool)
                try:
                    outcome = self._came.get(timeout=_WAIT_S if any(self._under_way.values()) else 0)
                except queues.Empty:
                    if not any(self._under_way.values()) and not self._in_hand and not self._may_go_on():
                        break
                    self.tell()
                    yield None
                    if not any(self._under_way.values()):
                        time.sleep(_WAIT_S if self._waits() else 0)
                    continue
                self._under_way[outcome.target.kind] -= 1
                self._turns.back(outcome.target)
                yield from self._received(outcome)
                self._turns.go_deeper()
                self.tell()
            self._leave_the_rest()
        finally:
            self._visitor.close()
            pool.shutdown(wait=False, cancel_futures=True)
            self._keep_answers()

    def tell(self) -> None:
        """Report how far it is."""
        known = self._finds + self._in_hand + self._under_way["picture"] + self._turns.images
        total = min(known, max(self._limits.images, self._finds))
        self._progress.report(_("Fetching images"), self._finds, total or None)

    def _take_up(self) -> None:
        with self._database.write() as session:
            frontier.settle(session, self._job_id)
        with self._database.read() as session:
            targets = frontier.waiting(session, self._job_id)
            self._known = frontier.known(session, self._job_id)
            self._pages = frontier.pages_asked(session, self._job_id)
            self._finds, self._added = frontier.images_found(session, self._job_id)
        self._add(targets)
        self._turns.go_deeper()

    def _add(self, targets: Sequence[Target]) -> None:
        with self._database.read() as session:
            self._kept.update(frontier.recall(session, [target.address for target in targets]))
        for target in targets:
            self._turns.add(target)

    def _over(self) -> str:
        """Return which limit has been reached that ends everything, or nothing."""
        if self._added >= self._limits.images:
            return _("not asked: the limit of {count} images was reached").format(
                count=f"{self._limits.images:,}"
            )
        if self._bytes >= self._limits.total_bytes:
            return _("not asked: the limit of {count} MB was reached").format(
                count=f"{self._limits.total_bytes // 1_000_000:,}"
            )
        if time.monotonic() >= self._ends_at:
            return _("not asked: the limit of {count} minutes was reached").format(
                count=f"{self._limits.minutes:g}"
            )
        return ""

    def _may_page(self) -> bool:
        return self._pages < self._limits.pages

    def _waits(self) -> bool:
        return bool(self._turns.images or (self._turns.pages and self._may_page()))

    def _may_go_on(self) -> bool:
        return self._waits() and not self._over()

    def _send_out(self, pool: ThreadPoolExecutor) -> None:
        while sum(self._under_way.values()) < _AT_ONCE and not self._over():
            hoped_for = self._added + self._in_hand + self._under_way["picture"]
            target = self._turns.next(pages=self._may_page(), images=hoped_for < self._limits.images)
            if target is None:
                return
            self._under_way[target.kind] += 1
            self._pages += target.kind == "page"
            pool.submit(self._ask, target)

    def _ask(self, target: Target) -> None:
        try:
            self._came.put(self._asked(target, self._kept.get(target.address)))
        except VisitEnded:
            pass  # nobody waits for it any more
        except Exception as fault:
            self._came.put(_Outcome(target, fault=fault))

    def _asked(self, target: Target, kept: frontier.Kept | None) -> _Outcome:
        answer = self._visitor.get(
            target.address,
            kind=target.kind,
            etag=kept.etag if kept else "",
            last_modified=kept.last_modified if kept else "",
        )
        if answer.status == 304 and kept is not None:  # noqa: PLR2004 - not modified
            if kept.reading is not None:
                return _Outcome(target, reading=Reading.from_json(kept.reading), answer=answer)
            original = self._store.original(kept.sha256 or "", kept.format)
            if original.exists():
                return _Outcome(target, original.read_bytes(), answer.robots)
            return self._asked(target, None)  # its file is lost: fetch it again
        etag, modified = answer.headers.get("ETag", ""), answer.headers.get("Last-Modified", "")
        tagged = frontier.Kept(target.address, etag, modified) if etag or modified else None
        if target.kind == "picture" or answer.headers.get("Content-Type", "").startswith("image/"):
            if tagged is not None:
                tagged = replace(tagged, sha256=sha256(answer.body).hexdigest())
            return _Outcome(target, answer.body, answer.robots, tagged)
        reading = read_page(answer.body, answer.headers.get("Content-Type", ""), answer.address)
        if tagged is not None:
            tagged = replace(tagged, reading=reading.to_json())
        return _Outcome(target, b"", answer.robots, tagged, reading, answer)

    def _received(self, outcome: _Outcome) -> Iterator[Source]:
        self._bytes += len(outcome.data) + (len(outcome.answer.body) if outcome.answer else 0)
        if outcome.kept is not None:
            self._to_keep.append(outcome.kept)
        if len(self._to_keep) >= _KEEP_EVERY:
            self._keep_answers()
        target = outcome.target
        fault = outcome.fault
        if fault is not None and not isinstance(fault, ImageRefused):
            raise fault
        if outcome.reading is not None and outcome.answer is not None and self._follow is not None:
            followed = self._follow(target, outcome.answer, outcome.reading, self._known)
            self._known.update(found.address for found in followed.targets)
            self._known.update(find.name for find in followed.refused)
            find = IngestOutcome(target.address, "page", followed.said)
            self._page_done(target, find, followed.targets, followed.refused)
            self._add(followed.targets)
        elif fault is not None and target.kind == "page":
            self._page_done(target, IngestOutcome(target.address, "refused", str(fault), fault.why), (), ())
        else:
            read = partial(refuse, str(fault), fault.why) if fault else partial(bytes, outcome.data)
            provenance = replace(target.provenance, robots=outcome.robots)
            self._in_hand += 1
            yield Source(
                target.address,
                read,
                target.class_name,
                self._kind,
                provenance,
                site=target.site,
                min_side_px=self._min_side_px,
            )

    def _page_done(
        self, page: Target, find: IngestOutcome, targets: Sequence[Target], refused: Sequence[IngestOutcome]
    ) -> None:
        finds = [(find, page.provenance.page_address), *((each, page.address) for each in refused)]
        with self._database.write() as session:
            frontier.add(session, self._job_id, targets)
            frontier.note(session, self._project_id, self._job_id, finds, at=self._clock())
            frontier.done(session, self._job_id, [page.address])
        self._finds += sum(each.outcome != "page" for each, _page in finds)

    def _leave_the_rest(self) -> None:
        """Give every address that a limit left unasked its reason."""
        reason = self._over() or _("not asked: the limit of {count} pages was reached").format(
            count=f"{self._limits.pages:,}"
        )
        rest = list(self._turns.drain())
        finds = [
            (
                IngestOutcome(target.address, "refused", reason, SkipReason.LIMIT),
                target.provenance.page_address,
            )
            for target in rest
        ]
        if finds:
            with self._database.write() as session:
                frontier.note(session, self._project_id, self._job_id, finds, at=self._clock())
                frontier.settle(session, self._job_id)

    def _keep_answers(self) -> None:
        if self._to_keep:
            with self._database.write() as session:
                frontier.keep(session, self._to_keep, self._clock())
            self._to_keep.clear()


def harvest(
    database: Database,
    store: ImageStore,
    project_id: int,
    visitor: Visitor,
    *,
    kind: str,
    min_side_px: int,
    limits: Limits | None = None,
    follow: Follow | None = None,
    **ingesting: Unpack[Ingesting],
) -> IngestReport:
    """Ask all addresses that wait for the job, take in what comes, and say what became of everything.

    kind: of the images' provenance: crawl, list, openverse, commons. follow: what is made of pages; none
    where all addresses are of images. ingesting: must name the job. Raises what `ingest` raises.
    """
    job_id = ingesting["job_id"]
    assert job_id is not None  # noqa: S101 - its addresses are the job's
    asking = Harvest(
        database,
        store,
        project_id,
        job_id,
        visitor,
        kind=kind,
        min_side_px=min_side_px,
        limits=limits or Limits(),
        follow=follow,
        progress=ingesting["progress"],
        clock=ingesting["clock"],
    )
    # The harvest reports for both: how many there are is known to it alone.
    quietly: Ingesting = {**ingesting, "progress": Silent()}
    with closing(asking.sources()) as sources:
        ingest(database, store, project_id, sources, on_finds=asking.settled, **quietly)
    return report_of(database, job_id)
