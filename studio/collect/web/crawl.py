"""Crawling from a few addresses, and fetching pictures whose addresses are known."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Unpack
from urllib.parse import parse_qsl, urlsplit

from db.engine import Database
from studio.collect.entry import Find
from studio.collect.ingest import Ingesting, IngestReport
from studio.collect.names import class_name_of
from studio.collect.sources import Papers
from studio.collect.store import PictureStore
from studio.collect.web.addresses import normal, site
from studio.collect.web.frontier import Target
from studio.collect.web.harvest import harvest
from studio.collect.web.reading import Reading
from studio.collect.web.robots import NO_LINKS, NO_PICTURES, directives
from studio.collect.web.rules import Followed, Limits
from studio.collect.web.visitor import AGENT_TOKEN, Answer, Visitor
from studio.collect.why import Why
from studio.errors import SourceMissing
from studio.language import _, counted

DEEPEST = 3
_PAGING = re.compile(r"^(page|paged|pg|p|start|offset|from)$", re.IGNORECASE)
_PAGING_PATH = re.compile(r"/page/\d+/?$", re.IGNORECASE)


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
    max_pictures: int = 500
    max_bytes: int = 2_000_000_000
    max_minutes: float = 60
    min_side_px: int = 100

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> "Plan":
        """Return the plan that a job's arguments describe."""
        lists = {name: tuple(arguments.get(name, ())) for name in ("addresses", "sites")}
        return cls(**{**arguments, **lists})

    def arguments(self) -> dict[str, Any]:
        """Return the plan as a job's arguments; `of` reads them."""
        return {**vars(self), "addresses": list(self.addresses), "sites": list(self.sites)}

    def checked(self) -> "Plan":
        """Return the plan with its addresses in their normal form.

        Raises PictureRefused for one that is not asked, SourceMissing when there is none, or the depth is
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


class Crawling:
    """The rules of a crawl: pictures from anywhere, links to the same or listed sites, no endless paging."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._sites = {_bare(site(address)) for address in plan.addresses} | {_bare(s) for s in plan.sites}

    def follow(self, page: Target, answer: Answer, reading: Reading, known: set[str]) -> Followed:
        """Return the pictures that a page shows, and its links where the crawl goes deeper."""
        said = directives(answer.robots_tags, reading.robots, AGENT_TOKEN)
        forbidden = sorted(said & NO_PICTURES)
        found = {picture.address: picture for picture in reading.pictures if picture.address not in known}
        refused = [
            Find(address, "refused", reason, Why.ORNAMENT)
            for address, reason in dict(reading.dropped).items()
            if address not in known and address not in found
        ]
        targets: list[Target] = []
        for address, picture in found.items():
            if forbidden:
                reason = _("{address} is not taken: its page says {directive}.").format(
                    address=address, directive=", ".join(forbidden)
                )
                refused.append(Find(address, "refused", reason, Why.NOAI))
            else:
                targets.append(
                    Target(address, "picture", page.depth + 1, self._plan.class_name, picture.papers)
                )
        # A page that shows nothing new ends a series: calendars and loops have no end of their own.
        fresh = bool(found) or page.depth == 0
        if not said & NO_LINKS:
            targets.extend(self._pages(page, answer.address, reading, known | set(found), fresh=fresh))
        summary = counted("{count} new picture", "{count} new pictures", len(found))
        return Followed(targets, refused, summary)

    def _pages(
        self, page: Target, address: str, reading: Reading, known: set[str], *, fresh: bool
    ) -> Iterable[Target]:
        following = set(reading.next_links)
        for link in dict.fromkeys((*reading.next_links, *reading.links)):
            if link in known or link == address or _bare(site(link)) not in self._sites:
                continue
            if link in following or _same_series(link, address):
                depth = page.depth if fresh else DEEPEST + 1
            else:
                depth = page.depth + 1
            if depth <= self._plan.depth:
                yield Target(link, "page", depth, self._plan.class_name, Papers(page.address))


def ingest_crawl(
    database: Database,
    store: PictureStore,
    project_id: int,
    plan: Plan,
    visitor: Visitor,
    **ingesting: Unpack[Ingesting],
) -> IngestReport:
    """Crawl as planned and take in what is found. Raises what `Plan.checked` and `ingest` raise."""
    plan = plan.checked()
    class_name = class_name_of(plan.class_name or "")
    targets = [Target(address, "page", 0, class_name) for address in plan.addresses]
    limits = Limits(plan.max_pages, plan.max_pictures, plan.max_bytes, plan.max_minutes)
    return harvest(
        database,
        store,
        project_id,
        visitor,
        targets,
        limits,
        Crawling(plan),
        "crawl",
        plan.min_side_px,
        ingesting,
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
