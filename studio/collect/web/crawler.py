"""Crawler: fetches the URLs of a job's frontier, many at a time, and passes images to `ingest` as sources."""

import queue as queues
import time
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256

from sqlalchemy.orm import Session

from studio.collect.ingest import ImportContext, IngestReport, ingest, report_of
from studio.collect.ingest_rows import IngestOutcome
from studio.collect.web import frontier
from studio.collect.web.fetcher import Fetcher, FetchResult
from studio.collect.web.frontier import CachedResponse, FrontierItem
from studio.collect.web.page_parser import parse_page
from studio.collect.web.parsed_page import ParsedPage
from studio.collect.web.rate_limits import FetcherClosed
from studio.collect.web.scheduler import Scheduler
from studio.datasets.sources import Source, raise_refused
from studio.errors import ImageRefused
from studio.i18n import _
from studio.images.skip_reasons import SkipReason
from studio.progress import Silent

_MAX_CONCURRENT = 48
"""Requests at a time, over all sites."""
_POLL_S = 0.1
_CACHE_BATCH = 64
"""Responses that are cached in one transaction."""


@dataclass(frozen=True)
class CrawlLimits:
    """Limits at which a crawl ends."""

    pages: int = 1_000_000
    images: int = 1_000_000
    """New images; duplicates and skipped ones do not count."""
    total_bytes: int = 1_000_000_000_000
    minutes: float = 1_000_000


@dataclass(frozen=True)
class PageResult:
    """The items of a page: URLs to fetch, and images to skip without fetching them."""

    items: Sequence[FrontierItem]
    skipped: Sequence[IngestOutcome]
    summary: str
    """For the page's own outcome."""


FollowPage = Callable[[FrontierItem, FetchResult, ParsedPage, Collection[str]], PageResult]
"""Returns the result of a page, without the URLs that are known already (the last argument)."""


@dataclass(frozen=True)
class _Fetched:
    item: FrontierItem
    data: bytes = b""
    """Of an image."""
    robots: str = ""
    to_cache: CachedResponse | None = None
    page: ParsedPage | None = None
    response: FetchResult | None = None
    """Of a page."""
    error: Exception | None = None


class Crawler:
    """Fetches the frontier of one job. Iterate over `sources`, and pass their outcomes to `record_outcomes`.

    kind: provenance kind of the sources. All state that has to survive a killed process is in the database.
    """

    def __init__(
        self,
        context: ImportContext,
        fetcher: Fetcher,
        *,
        kind: str,
        min_side_px: int,
        limits: CrawlLimits,
        follow: FollowPage | None,
    ) -> None:
        assert context.job_id is not None  # noqa: S101 - the frontier belongs to a job
        self._context, self._job_id = context, context.job_id
        self._database = context.database
        self._fetcher, self._limits, self._follow = fetcher, limits, follow
        self._kind, self._min_side_px = kind, min_side_px
        self._scheduler = Scheduler(fetcher.connections, fetcher.seconds_until_ready)
        self._results: queues.SimpleQueue[_Fetched] = queues.SimpleQueue()
        self._cached: dict[str, CachedResponse] = {}
        self._to_cache: list[CachedResponse] = []
        self._known: set[str] = set()
        self._in_flight = {"page": 0, "picture": 0}
        self._pages = self._added = self._outcomes = self._being_ingested = self._bytes = 0
        self._ends_at = time.monotonic() + limits.minutes * 60

    def record_outcomes(self, outcomes: Sequence[IngestOutcome]) -> None:
        """Count the outcomes of sources that `ingest` has written."""
        self._being_ingested -= len(outcomes)
        self._outcomes += len(outcomes)
        self._added += sum(each.outcome == "added" for each in outcomes)

    def sources(self) -> Generator[Source | None, None, None]:
        """Yield sources as they are fetched, and None when none was fetched for a moment.

        Raises Stopped when a person stops the job; no request is in flight any more then.
        """
        self._resume()
        pool = ThreadPoolExecutor(_MAX_CONCURRENT, thread_name_prefix="fetch")
        try:
            while True:
                self._submit_next(pool)
                try:
                    fetched = self._results.get(timeout=_POLL_S if any(self._in_flight.values()) else 0)
                except queues.Empty:
                    is_idle = not any(self._in_flight.values())
                    if is_idle and not self._being_ingested and not self._may_continue():
                        break
                    self._report_progress()
                    yield None
                    if not any(self._in_flight.values()):
                        time.sleep(_POLL_S if self._has_waiting() else 0)
                    continue
                self._in_flight[fetched.item.kind] -= 1
                self._scheduler.finished(fetched.item)
                yield from self._process(fetched)
                self._scheduler.advance_depth()
                self._report_progress()
            self._skip_waiting()
        finally:
            self._fetcher.close()
            pool.shutdown(wait=False, cancel_futures=True)
            self._write_cache()

    def _report_progress(self) -> None:
        waiting = self._in_flight["picture"] + self._scheduler.images
        known = self._outcomes + self._being_ingested + waiting
        total = min(known, max(self._limits.images, self._outcomes))
        self._context.progress.report(_("Fetching images"), self._outcomes, total or None)

    def _resume(self) -> None:
        with self._database.write() as session:
            frontier.mark_recorded_done(session, self._job_id)
        with self._database.read() as session:
            items = frontier.waiting_items(session, self._job_id)
            self._known = frontier.known_urls(session, self._job_id)
            self._pages = frontier.pages_fetched(session, self._job_id)
            self._outcomes, self._added = frontier.image_counts(session, self._job_id)
        self._schedule(items)
        self._scheduler.advance_depth()

    def _schedule(self, items: Sequence[FrontierItem]) -> None:
        with self._database.read() as session:
            self._cached.update(frontier.load_cached(session, [item.url for item in items]))
        for item in items:
            self._scheduler.add(item)

    def _limit_message(self) -> str:
        """Return the message of the limit that ends the crawl, or empty if none is reached."""
        if self._added >= self._limits.images:
            return _("not fetched: the limit of {count} images was reached").format(
                count=f"{self._limits.images:,}"
            )
        if self._bytes >= self._limits.total_bytes:
            return _("not fetched: the limit of {count} MB was reached").format(
                count=f"{self._limits.total_bytes // 1_000_000:,}"
            )
        if time.monotonic() >= self._ends_at:
            return _("not fetched: the limit of {count} minutes was reached").format(
                count=f"{self._limits.minutes:g}"
            )
        return ""

    def _may_fetch_pages(self) -> bool:
        return self._pages < self._limits.pages

    def _has_waiting(self) -> bool:
        return bool(self._scheduler.images or (self._scheduler.pages and self._may_fetch_pages()))

    def _may_continue(self) -> bool:
        return self._has_waiting() and not self._limit_message()

    def _submit_next(self, pool: ThreadPoolExecutor) -> None:
        while sum(self._in_flight.values()) < _MAX_CONCURRENT and not self._limit_message():
            expected = self._added + self._being_ingested + self._in_flight["picture"]
            item = self._scheduler.next(pages=self._may_fetch_pages(), images=expected < self._limits.images)
            if item is None:
                return
            self._in_flight[item.kind] += 1
            self._pages += item.kind == "page"
            pool.submit(self._fetch, item)

    def _fetch(self, item: FrontierItem) -> None:
        try:
            self._results.put(self._fetch_item(item, self._cached.get(item.url)))
        except FetcherClosed:
            pass  # nothing reads the results any more
        except Exception as error:
            self._results.put(_Fetched(item, error=error))

    def _fetch_item(self, item: FrontierItem, cached: CachedResponse | None) -> _Fetched:
        response = self._fetcher.get(
            item.url,
            kind=item.kind,
            etag=cached.etag if cached else "",
            last_modified=cached.last_modified if cached else "",
        )
        if response.status == 304 and cached is not None:  # noqa: PLR2004 - not modified
            if cached.page is not None:
                return _Fetched(item, page=ParsedPage.from_json(cached.page), response=response)
            original = self._context.store.original(cached.sha256 or "", cached.format)
            if original.exists():
                return _Fetched(item, original.read_bytes(), response.robots)
            return self._fetch_item(item, None)  # its file is lost: fetch it again
        etag, modified = response.headers.get("ETag", ""), response.headers.get("Last-Modified", "")
        to_cache = CachedResponse(item.url, etag, modified) if etag or modified else None
        content_type = response.headers.get("Content-Type", "")
        if item.kind == "picture" or content_type.startswith("image/"):
            if to_cache is not None:
                to_cache = replace(to_cache, sha256=sha256(response.body).hexdigest())
            return _Fetched(item, response.body, response.robots, to_cache)
        page = parse_page(response.body, content_type, response.url)
        if to_cache is not None:
            to_cache = replace(to_cache, page=page.to_json())
        return _Fetched(item, b"", response.robots, to_cache, page, response)

    def _process(self, fetched: _Fetched) -> Iterator[Source]:
        self._bytes += len(fetched.data) + (len(fetched.response.body) if fetched.response else 0)
        if fetched.to_cache is not None:
            self._to_cache.append(fetched.to_cache)
        if len(self._to_cache) >= _CACHE_BATCH:
            self._write_cache()
        item, error = fetched.item, fetched.error
        if error is not None and not isinstance(error, ImageRefused):
            raise error
        if fetched.page is not None and fetched.response is not None and self._follow is not None:
            result = self._follow(item, fetched.response, fetched.page, self._known)
            self._known.update(found.url for found in result.items)
            self._known.update(skipped.name for skipped in result.skipped)
            outcome = IngestOutcome(item.url, "page", result.summary)
            self._finish_page(item, outcome, result.items, result.skipped)
            self._schedule(result.items)
        elif error is not None and item.kind == "page":
            self._finish_page(item, IngestOutcome(item.url, "refused", str(error), error.skip_reason), (), ())
        else:
            read = (
                partial(raise_refused, str(error), error.skip_reason)
                if error
                else partial(bytes, fetched.data)
            )
            provenance = replace(item.provenance, robots=fetched.robots)
            self._being_ingested += 1
            yield Source(
                item.url,
                read,
                item.class_name,
                self._kind,
                provenance,
                site=item.site,
                min_side_px=self._min_side_px,
            )

    def _finish_page(
        self,
        page: FrontierItem,
        outcome: IngestOutcome,
        items: Sequence[FrontierItem],
        skipped: Sequence[IngestOutcome],
    ) -> None:
        """Write a page's outcome, the URLs it leads to and the images it skips, in one transaction."""
        outcomes = [(outcome, page.provenance.page_address), *((each, page.url) for each in skipped)]
        with self._database.write() as session:
            frontier.add_items(session, self._job_id, items)
            self._write_outcomes(session, outcomes)
            frontier.mark_done(session, self._job_id, [page.url])
        self._outcomes += sum(each.outcome != "page" for each, _page in outcomes)

    def _skip_waiting(self) -> None:
        """Record the URLs that a limit left waiting as skipped."""
        message = self._limit_message() or _("not fetched: the limit of {count} pages was reached").format(
            count=f"{self._limits.pages:,}"
        )
        outcomes = [
            (IngestOutcome(item.url, "refused", message, SkipReason.LIMIT), item.provenance.page_address)
            for item in self._scheduler.drain()
        ]
        if outcomes:
            with self._database.write() as session:
                self._write_outcomes(session, outcomes)
                frontier.mark_recorded_done(session, self._job_id)

    def _write_outcomes(self, session: Session, outcomes: Sequence[tuple[IngestOutcome, str]]) -> None:
        frontier.record_outcomes(
            session, self._context.project_id, self._job_id, outcomes, at=self._context.clock()
        )

    def _write_cache(self) -> None:
        if self._to_cache:
            with self._database.write() as session:
                frontier.cache_responses(session, self._to_cache, self._context.clock())
            self._to_cache.clear()


def ingest_frontier(
    context: ImportContext,
    fetcher: Fetcher,
    *,
    kind: str,
    min_side_px: int,
    limits: CrawlLimits | None = None,
    follow: FollowPage | None = None,
) -> IngestReport:
    """Fetch all URLs that wait in the job's frontier, import the images, and report the outcomes.

    kind: provenance kind of the images: crawl, list or the name of a search service. follow: how pages are
    followed; None if all URLs are of images. The context must name a job. Raises what `ingest` raises.
    """
    crawler = Crawler(
        context,
        fetcher,
        kind=kind,
        min_side_px=min_side_px,
        limits=limits or CrawlLimits(),
        follow=follow,
    )
    # The crawler alone knows the total, so it reports the progress of fetching and ingesting together.
    silent = replace(context, progress=Silent())
    with closing(crawler.sources()) as sources:
        ingest(silent, sources, on_outcomes=crawler.record_outcomes)
    assert context.job_id is not None  # noqa: S101 - checked by Crawler
    return report_of(context.database, context.job_id)
