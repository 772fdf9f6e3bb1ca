"""Asking the web for pages and images: the only place in the studio that does, safely and politely."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Self
from urllib.parse import urlencode

from studio.collect.web.connections import Checks, Lifelines, Resolver
from studio.collect.web.http import Exchanges, Request, Response
from studio.collect.web.rate_limits import Manners, retry_after, too_busy
from studio.collect.web.robots import MAX_BYTES, NO_IMAGES, Rules, directives
from studio.collect.web.urls import normal, origin, site
from studio.errors import ImageRefused
from studio.i18n import _
from studio.images.reasons import SkipReason

AGENT_TOKEN = "retrain-studio"  # noqa: S105 - the name by which robots rules know us

Kind = Literal["page", "picture", "service"]
_MAX_BYTES: dict[Kind, int] = {"picture": 50_000_000, "page": 10_000_000, "service": 10_000_000}
_OK, _NOT_MODIFIED, _BAD_REQUEST, _SERVER_FAULT = 200, 304, 400, 500
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MISSING = frozenset({404, 410})
_FORBIDDEN = frozenset({401, 403, 407, 451})
_BUSY = frozenset({429, 503})


@dataclass(frozen=True)
class Limits:
    """How much an answer may be, and how long it may take."""

    redirects: int = 5
    header_bytes: int = 65_536
    first_byte_s: float = 20.0
    """To connect, until the answer's header has come, and between two pieces of its body."""
    total_s: float = 120.0
    """For one request from its start to its last byte."""
    tries: int = 4
    """When a site says that it is too busy."""
    longest_wait_s: float = 60.0
    """A longer wait than this that a site asks for is not waited for."""


@dataclass(frozen=True)
class Answer:
    """What an address gave."""

    address: str
    """Where it came from, after redirects."""
    status: int
    """200, or 304: what was known before still holds. A service's refusals (400 to 499) come too."""
    headers: Mapping[str, str]
    """Names in any case."""
    body: bytes
    robots: str
    """What the robots rules said, in a few words."""
    robots_tags: tuple[str, ...] = ()
    """One for each X-Robots-Tag header."""


class Visitor:
    """Asks addresses, from any number of threads.

    agent: how we name ourselves. allowed_hosts: hosts that are asked although they are not public.
    connections, delay_s: for each site, at a time and between two requests. resolve: as socket.getaddrinfo.
    """

    def __init__(
        self,
        *,
        agent: str,
        allowed_hosts: frozenset[str] = frozenset(),
        connections: int = 2,
        delay_s: float = 0.5,
        limits: Limits | None = None,
        resolve: Resolver = socket.getaddrinfo,
    ) -> None:
        self.connections = connections
        self._limits = limits = limits or Limits()
        self._manners = Manners(
            connections, delay_s, tries=limits.tries, longest_wait_s=limits.longest_wait_s
        )
        hosts = frozenset(host.strip("[]").lower() for host in allowed_hosts)
        checks = Checks(hosts, limits.header_bytes, Lifelines(), resolve)
        self._exchanges = Exchanges(
            agent, connections, checks, first_byte_s=limits.first_byte_s, total_s=limits.total_s
        )
        self._rules = Rules(self._robots_txt, AGENT_TOKEN)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_fault: object) -> None:
        self.close()

    def get(
        self,
        address: str,
        *,
        kind: Kind = "picture",
        etag: str = "",
        last_modified: str = "",
        max_bytes: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask an address, and follow where it leads, with every hop checked like the first.

        kind: what is hoped for; a service is made for programs, so that its robots.txt is not asked.
        etag, last_modified: of the answer that is known already. headers: told to this site and no other.
        Raises ImageRefused with the kind of refusal when nothing comes of it, VisitEnded after `close`.
        """
        known = {"If-None-Match": etag, "If-Modified-Since": last_modified}
        known = {name: value for name, value in known.items() if value}
        most_bytes = max_bytes or _MAX_BYTES[kind]
        address = first = normal(address)
        place, private, robots = origin(address), headers or {}, ""
        for _hop in range(self._limits.redirects + 1):
            if kind != "service":
                robots, delay_s = self._rules.check(address)
                self._manners.slow_down(site(address), delay_s)
            told = {**known, **(private if origin(address) == place else {})}
            response = self._patiently(Request(address, told), kind, most_bytes)
            if not _leads_on(response):
                if response.status == _NOT_MODIFIED and not known:
                    raise _no_use(address, response.status)
                return _usable(_answer(address, response, robots), kind)
            address = normal(response.headers["Location"], address)
        raise self._too_many_redirects(first)

    def post(self, address: str, form: Mapping[str, str]) -> Answer:
        """Send a form to a service, and to nowhere else: redirects are refused. Raises as `get`."""
        request = Request(
            normal(address),
            {"Content-Type": "application/x-www-form-urlencoded"},
            urlencode(form).encode(),
        )
        response = self._patiently(request, "service", _MAX_BYTES["service"])
        return _usable(_answer(request.address, response, ""), "service")

    def ready_in(self, address: str) -> float:
        """Return the seconds until a normal address's site may be asked with a connection free; 0 for now."""
        return self._manners.ready_in(site(address))

    def close(self) -> None:
        """End every request, now and to come: whoever waits for one gets VisitEnded."""
        self._manners.close()
        self._exchanges.close()

    def _patiently(self, request: Request, kind: Kind, most_bytes: int, *, cut: bool = False) -> Response:
        """Ask, and ask again when the site says that it is too busy now."""

        def wanted(response: Response) -> int:
            if kind == "service" and _BAD_REQUEST <= response.status < _SERVER_FAULT:
                return most_bytes
            tags = response.headers.getlist("X-Robots-Tag")
            return most_bytes if response.status == _OK and not _forbidden(tags, kind) else 0

        place = site(request.address)
        wait_s = 0.0
        for _try in range(self._limits.tries):
            with self._manners.turn(place) as began:
                response = self._exchanges.ask(request, wanted, cut=cut)
                if response.status not in _BUSY:
                    self._manners.answered(place, began)
                    return response
                asked_s = retry_after(response.headers.get("Retry-After", ""), datetime.now(UTC))
                wait_s = self._manners.busy(place, began, asked_s)
        raise too_busy(place, wait_s)

    def _robots_txt(self, address: str) -> bytes | None:
        for _hop in range(self._limits.redirects + 1):
            response = self._patiently(Request(address, {}), "page", MAX_BYTES, cut=True)
            if not _leads_on(response):
                if response.status == _OK:
                    return response.body
                if _BAD_REQUEST <= response.status < _SERVER_FAULT:
                    return None
                raise ImageRefused(
                    _("its site answered {status}.").format(status=response.status), SkipReason.ROBOTS
                )
            address = normal(response.headers["Location"], address)
        raise self._too_many_redirects(address)

    def _too_many_redirects(self, address: str) -> ImageRefused:
        return ImageRefused(
            _("{address} leads on and on: more than {limit} redirects.").format(
                address=address, limit=self._limits.redirects
            ),
            SkipReason.REDIRECTS,
        )


def _leads_on(response: Response) -> bool:
    return response.status in _REDIRECTS and "Location" in response.headers


def _answer(address: str, response: Response, robots: str) -> Answer:
    tags = tuple(response.headers.getlist("X-Robots-Tag"))
    return Answer(address, response.status, response.headers, response.body, robots, tags)


def _forbidden(tags: list[str] | tuple[str, ...], kind: Kind) -> frozenset[str]:
    if kind != "picture" or not tags:
        return frozenset()
    return directives(tags, (), AGENT_TOKEN) & NO_IMAGES


def _usable(answer: Answer, kind: Kind) -> Answer:
    status, address = answer.status, answer.address
    if status in (_OK, _NOT_MODIFIED):
        if forbidden := _forbidden(answer.robots_tags, kind):
            raise ImageRefused(
                _("{address} is not taken: its X-Robots-Tag says {directive}.").format(
                    address=address, directive=", ".join(sorted(forbidden))
                ),
                SkipReason.NOAI,
            )
        return answer
    if kind == "service" and _BAD_REQUEST <= status < _SERVER_FAULT:
        return answer
    raise _no_use(address, status)


def _no_use(address: str, status: int) -> ImageRefused:
    if status in _MISSING:
        said, why = _("{address} is not there ({status})."), SkipReason.MISSING
    elif status in _FORBIDDEN:
        said, why = _("{address} is refused by its site ({status})."), SkipReason.FORBIDDEN
    else:
        said = _("{address} cannot be had: its site answered {status}.")
        why = SkipReason.UNREACHABLE if status >= _SERVER_FAULT else SkipReason.OTHER
    return ImageRefused(said.format(address=address, status=status), why)
