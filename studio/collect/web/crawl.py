"""Crawls: the plan of one, and the rules by which it follows pages from its start URLs."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from studio.collect.ingest import ImportContext, IngestReport
from studio.collect.ingest_rows import IngestOutcome
from studio.collect.web import frontier
from studio.collect.web.crawler import CrawlLimits, PageResult, ingest_frontier
from studio.collect.web.fetcher import AGENT_TOKEN, Fetcher, FetchResult
from studio.collect.web.frontier import FrontierItem
from studio.collect.web.parsed_page import ParsedPage
from studio.collect.web.robots import NO_IMAGE_DIRECTIVES, NO_LINK_DIRECTIVES, robots_directives
from studio.collect.web.urls import normalise_url, site_of
from studio.datasets.names import clean_class_name
from studio.errors import SourceMissing
from studio.i18n import _, counted
from studio.images.provenance import Provenance
from studio.images.skip_reasons import SkipReason

MAX_DEPTH = 3


@dataclass(frozen=True)
class CrawlPlan:
    """Start URLs, scope and limits of a crawl."""

    start_urls: tuple[str, ...]
    class_name: str | None
    depth: int = 1
    """Number of links to follow from the start URLs, 0 to 3."""
    sites: tuple[str, ...] = ()
    """Further hosts whose pages are read, besides those of the start URLs."""
    max_pages: int = 200
    max_images: int = 500
    max_bytes: int = 2_000_000_000
    max_minutes: float = 60
    min_side_px: int = 100

    @classmethod
    def from_arguments(cls, arguments: Mapping[str, Any]) -> "CrawlPlan":
        """Return the plan in a job's arguments."""
        values = dict(arguments)
        return cls(
            start_urls=tuple(values.pop("addresses", ())),
            sites=tuple(values.pop("sites", ())),
            max_images=values.pop("max_pictures"),
            **values,
        )

    def to_arguments(self) -> dict[str, Any]:
        """Return the plan as a job's arguments, under the keys that databases of earlier versions hold."""
        values = {**vars(self), "sites": list(self.sites)}
        return {
            "max_pictures": values.pop("max_images"),
            "addresses": list(values.pop("start_urls")),
            **values,
        }

    def checked(self) -> "CrawlPlan":
        """Return the plan with its URLs normalised.

        Raises ImageRefused for a URL that may not be fetched, SourceMissing when there is none or the depth
        is not 0 to 3.
        """
        start_urls = tuple(dict.fromkeys(normalise_url(url) for url in self.start_urls))
        if not start_urls:
            raise SourceMissing(_("expected at least one URL to start at, such as https://…/gallery."))
        if not 0 <= self.depth <= MAX_DEPTH:
            raise SourceMissing(
                _("expected a depth of 0 to {deepest}; got {depth}.").format(
                    deepest=MAX_DEPTH, depth=self.depth
                )
            )
        sites = tuple(dict.fromkeys(name.strip().lower() for name in self.sites if name.strip()))
        return replace(self, start_urls=start_urls, sites=sites)


_PAGING_PARAMETER = re.compile(r"^(page|paged|pg|p|start|offset|from)$", re.IGNORECASE)
_PAGING_PATH = re.compile(r"/page/\d+/?$", re.IGNORECASE)


class CrawlRules:
    """The rules of a crawl: images from any host, links only to allowed sites, no endless pagination."""

    def __init__(self, plan: CrawlPlan) -> None:
        self._plan = plan
        sites = (*map(site_of, plan.start_urls), *plan.sites)
        self._sites = {_without_www(name) for name in sites}

    def follow(
        self, item: FrontierItem, response: FetchResult, page: ParsedPage, known: Collection[str]
    ) -> PageResult:
        """Return the images that a page shows, and its links if the crawl goes deeper."""
        directives = robots_directives(response.robots_tags, page.robots_metas, AGENT_TOKEN)
        forbidding = sorted(directives & NO_IMAGE_DIRECTIVES)
        images = {image.url: image for image in page.images if image.url not in known}
        skipped = [
            IngestOutcome(url, "refused", message, SkipReason.ORNAMENT)
            for url, message in dict(page.skipped).items()
            if url not in known and url not in images
        ]
        items: list[FrontierItem] = []
        for url, image in images.items():
            if forbidding:
                message = _("{url} is skipped: its page says {directive}.").format(
                    url=url, directive=", ".join(forbidding)
                )
                skipped.append(IngestOutcome(url, "refused", message, SkipReason.NOAI))
            else:
                items.append(
                    FrontierItem(url, "picture", item.depth + 1, self._plan.class_name, image.provenance)
                )
        if not directives & NO_LINK_DIRECTIVES:
            # A page without new images ends a paginated series: calendars and loops have no end of their own.
            has_new_images = bool(images) or item.depth == 0
            pages = self._linked_pages(item, response.url, page, has_new_images=has_new_images)
            items.extend(linked for linked in pages if linked.url not in known)
        return PageResult(items, skipped, counted("{count} new image", "{count} new images", len(images)))

    def _linked_pages(
        self, item: FrontierItem, url: str, page: ParsedPage, *, has_new_images: bool
    ) -> Iterable[FrontierItem]:
        next_links = set(page.next_links)
        for link in dict.fromkeys((*page.next_links, *page.links)):
            if link == url or _without_www(site_of(link)) not in self._sites:
                continue
            continues_series = link in next_links or _is_same_series(link, url)
            depth = item.depth if continues_series else item.depth + 1
            if depth <= self._plan.depth and (has_new_images or not continues_series):
                yield FrontierItem(link, "page", depth, self._plan.class_name, Provenance(item.url))


def ingest_crawl(context: ImportContext, fetcher: Fetcher, plan: CrawlPlan) -> IngestReport:
    """Crawl as planned and import the images. Raises what `CrawlPlan.checked` and `ingest` raise."""
    plan = plan.checked()
    class_name = clean_class_name(plan.class_name or "")
    assert context.job_id is not None  # noqa: S101 - the frontier belongs to a job
    with context.database.write() as session:
        items = (FrontierItem(url, "page", 0, class_name) for url in plan.start_urls)
        frontier.add_items(session, context.job_id, items)
    return ingest_frontier(
        context,
        fetcher,
        kind="crawl",
        min_side_px=plan.min_side_px,
        limits=CrawlLimits(plan.max_pages, plan.max_images, plan.max_bytes, plan.max_minutes),
        follow=CrawlRules(plan).follow,
    )


def _without_www(host: str) -> str:
    return host.removeprefix("www.")


def _is_same_series(link: str, url: str) -> bool:
    """Return whether two URLs belong to one paginated series: equal but for the page number."""
    first, second = urlsplit(link), urlsplit(url)
    return first.netloc == second.netloc and (
        _PAGING_PATH.sub("", first.path).rstrip("/") == _PAGING_PATH.sub("", second.path).rstrip("/")
        and _query_without_paging(first.query) == _query_without_paging(second.query)
    )


def _query_without_paging(query: str) -> list[tuple[str, str]]:
    return sorted((key, value) for key, value in parse_qsl(query) if not _PAGING_PARAMETER.match(key))
