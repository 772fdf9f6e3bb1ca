"""Crawling: pages read from a few addresses on, and the images that they show."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Unpack
from urllib.parse import parse_qsl, urlsplit

from db.engine import Database
from studio.collect.ingest import Ingesting, IngestReport
from studio.collect.ingest_rows import IngestOutcome
from studio.collect.web import frontier
from studio.collect.web.crawler import Followed, Limits, harvest
from studio.collect.web.fetcher import AGENT_TOKEN, Answer, Visitor
from studio.collect.web.frontier import Target
from studio.collect.web.page import Reading
from studio.collect.web.robots import NO_IMAGES, NO_LINKS, directives
from studio.collect.web.urls import normal, site
from studio.datasets.names import class_name_of
from studio.errors import SourceMissing
from studio.i18n import _, counted
from studio.images.provenance import Provenance
from studio.images.reasons import SkipReason
from studio.images.store import ImageStore

DEEPEST = 3


@dataclass(frozen=True)
class Plan:
    """What a crawl is to do."""

    addresses: tuple[str, ...]
    class_name: str | None
    depth: int = 1
    """How many links away from the addresses pages are read, 0 to 3."""
    sites: tuple[str, ...] = ()
    """Hosts whose pages are read besides those of the addresses."""
    max_pages: int = 200
    max_images: int = 500
    max_bytes: int = 2_000_000_000
    max_minutes: float = 60
    min_side_px: int = 100

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> "Plan":
        """Return the plan that a job's arguments describe."""
        values = {name: value for name, value in arguments.items() if name != "max_pictures"}
        lists = {name: tuple(arguments.get(name, ())) for name in ("addresses", "sites")}
        return cls(**{**values, **lists, "max_images": arguments["max_pictures"]})

    def arguments(self) -> dict[str, Any]:
        """Return the plan as a job's arguments; `of` reads them."""
        values = {**vars(self), "addresses": list(self.addresses), "sites": list(self.sites)}
        return {"max_pictures": values.pop("max_images"), **values}

    def checked(self) -> "Plan":
        """Return the plan with its addresses in their normal form.

        Raises ImageRefused for one that is not asked, SourceMissing when there is none, or the depth is
        not 0 to 3.
        """
        addresses = tuple(dict.fromkeys(normal(address) for address in self.addresses))
        if not addresses:
            raise SourceMissing(_("expected at least one address to begin with, such as https://…/gallery."))
        if not 0 <= self.depth <= DEEPEST:
            raise SourceMissing(
                _("expected a depth of 0 to {deepest}; got {depth}.").format(
                    deepest=DEEPEST, depth=self.depth
                )
            )
        sites = tuple(dict.fromkeys(listed.strip().lower() for listed in self.sites if listed.strip()))
        values = {**vars(self), "addresses": addresses, "sites": sites}
        return Plan(**values)


_PAGING = re.compile(r"^(page|paged|pg|p|start|offset|from)$", re.IGNORECASE)
_PAGING_PATH = re.compile(r"/page/\d+/?$", re.IGNORECASE)


class Crawling:
    """The rules of a crawl: images from anywhere, links to the same or listed sites, no endless paging."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._sites = {_bare(site(address)) for address in plan.addresses} | {_bare(s) for s in plan.sites}

    def follow(self, page: Target, answer: Answer, reading: Reading, known: Collection[str]) -> Followed:
        """Return the images that a page shows, and its links where the crawl goes deeper."""
        said = directives(answer.robots_tags, reading.robots, AGENT_TOKEN)
        forbidden = sorted(said & NO_IMAGES)
        found = {image.address: image for image in reading.images if image.address not in known}
        refused = [
            IngestOutcome(address, "refused", reason, SkipReason.ORNAMENT)
            for address, reason in dict(reading.dropped).items()
            if address not in known and address not in found
        ]
        targets: list[Target] = []
        for address, image in found.items():
            if forbidden:
                reason = _("{address} is not taken: its page says {directive}.").format(
                    address=address, directive=", ".join(forbidden)
                )
                refused.append(IngestOutcome(address, "refused", reason, SkipReason.NOAI))
            else:
                targets.append(
                    Target(address, "picture", page.depth + 1, self._plan.class_name, image.provenance)
                )
        if not said & NO_LINKS:
            # A page that shows nothing new ends a series: calendars and loops have no end of their own.
            fresh = bool(found) or page.depth == 0
            pages = self._pages(page, answer.address, reading, fresh=fresh)
            targets.extend(target for target in pages if target.address not in known)
        summary = counted("{count} new image", "{count} new images", len(found))
        return Followed(targets, refused, summary)

    def _pages(self, page: Target, address: str, reading: Reading, *, fresh: bool) -> Iterable[Target]:
        following = set(reading.next_links)
        for link in dict.fromkeys((*reading.next_links, *reading.links)):
            if link == address or _bare(site(link)) not in self._sites:
                continue
            goes_on = link in following or _same_series(link, address)
            depth = page.depth if goes_on else page.depth + 1
            if depth <= self._plan.depth and (fresh or not goes_on):
                yield Target(link, "page", depth, self._plan.class_name, Provenance(page.address))


def ingest_crawl(
    database: Database,
    store: ImageStore,
    project_id: int,
    plan: Plan,
    visitor: Visitor,
    **ingesting: Unpack[Ingesting],
) -> IngestReport:
    """Crawl as planned and take in what is found. Raises what `Plan.checked` and `ingest` raise."""
    plan = plan.checked()
    class_name = class_name_of(plan.class_name or "")
    job_id = ingesting["job_id"]
    assert job_id is not None  # noqa: S101 - its addresses are the job's
    with database.write() as session:
        frontier.add(session, job_id, (Target(each, "page", 0, class_name) for each in plan.addresses))
    return harvest(
        database,
        store,
        project_id,
        visitor,
        kind="crawl",
        min_side_px=plan.min_side_px,
        limits=Limits(plan.max_pages, plan.max_images, plan.max_bytes, plan.max_minutes),
        follow=Crawling(plan).follow,
        **ingesting,
    )


def _bare(host: str) -> str:
    return host.removeprefix("www.")


def _same_series(link: str, address: str) -> bool:
    """Whether two addresses are pages of one series: alike but for the number of the page."""
    first, second = urlsplit(link), urlsplit(address)
    return first.netloc == second.netloc and (
        _PAGING_PATH.sub("", first.path).rstrip("/") == _PAGING_PATH.sub("", second.path).rstrip("/")
        and _unpaged(first.query) == _unpaged(second.query)
    )


def _unpaged(query: str) -> list[tuple[str, str]]:
    return sorted((key, value) for key, value in parse_qsl(query) if not _PAGING.match(key))
