"""Fetcher of pages, images and search results: the only HTTP client for URLs that people and pages name."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Self
from urllib.parse import urlencode

from studio.collect.web.connections import ConnectionPolicy, Resolver
from studio.collect.web.deadlines import DeadlineWatcher
from studio.collect.web.http_client import HttpClient, Request, Response
from studio.collect.web.rate_limits import RateLimiter, parse_retry_after, too_busy_error
from studio.collect.web.robots import (
    MAX_ROBOTS_TXT_BYTES,
    NO_IMAGE_DIRECTIVES,
    RobotsRules,
    robots_directives,
)
from studio.collect.web.urls import normalise_url, origin_of, site_of
from studio.errors import ImageRefused
from studio.i18n import _
from studio.images.skip_reasons import SkipReason

AGENT_TOKEN = "retrain-studio"  # noqa: S105 - the name by which robots rules know us

ResourceKind = Literal["page", "picture", "service"]
"""The expected resource; the stored word for an image is picture."""
_MAX_BODY_BYTES: dict[ResourceKind, int] = {"picture": 50_000_000, "page": 10_000_000, "service": 10_000_000}
_OK, _NOT_MODIFIED, _BAD_REQUEST, _SERVER_ERROR = 200, 304, 400, 500
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NOT_FOUND = frozenset({404, 410})
_FORBIDDEN = frozenset({401, 403, 407, 451})
_BUSY = frozenset({429, 503})


@dataclass(frozen=True)
class FetchLimits:
    """Size and time limits of a fetch."""

    redirects: int = 5
    header_bytes: int = 65_536
    first_byte_s: float = 20.0
    """To connect, for the response's header, and between two chunks of its body."""
    total_s: float = 120.0
    """For one request, from its start to its last byte."""
    tries: int = 4
    """Attempts when a site is busy."""
    longest_wait_s: float = 60.0
    """A site that asks for a longer wait is suspended instead."""


@dataclass(frozen=True)
class FetchResult:
    """The response to a fetch."""

    url: str
    """The final URL, after redirects."""
    status: int
    """200, or 304 if the cached response is still valid; of a service also 400 to 499."""
    headers: Mapping[str, str]
    """With case-insensitive names."""
    body: bytes
    robots: str
    """Summary of the robots rules, in a few words."""
    robots_tags: tuple[str, ...] = ()
    """The values of the X-Robots-Tag headers."""


class Fetcher:
    """Fetches URLs: public hosts only, within limits, honouring robots rules and rate limits. Thread-safe.

    agent: the User-Agent header. allowed_hosts: hosts that may be private. connections, delay_s: concurrent
    requests per site, and the delay between two requests to it. resolve: as socket.getaddrinfo.
    """

    def __init__(
        self,
        *,
        agent: str,
        allowed_hosts: frozenset[str] = frozenset(),
        connections: int = 2,
        delay_s: float = 0.5,
        limits: FetchLimits | None = None,
        resolve: Resolver = socket.getaddrinfo,
    ) -> None:
        self.connections = connections
        self._limits = limits = limits or FetchLimits()
        self._rate_limiter = RateLimiter(
            connections, delay_s, tries=limits.tries, longest_wait_s=limits.longest_wait_s
        )
        hosts = frozenset(host.strip("[]").lower() for host in allowed_hosts)
        policy = ConnectionPolicy(hosts, limits.header_bytes, DeadlineWatcher(), resolve)
        self._http_client = HttpClient(
            agent, connections, policy, first_byte_s=limits.first_byte_s, total_s=limits.total_s
        )
        self._robots_rules = RobotsRules(self._fetch_robots_txt, AGENT_TOKEN)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def get(
        self,
        url: str,
        *,
        kind: ResourceKind = "picture",
        etag: str = "",
        last_modified: str = "",
        max_bytes: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> FetchResult:
        """Fetch a URL and follow its redirects; every hop is checked like the first.

        kind: the expected resource; robots.txt is not read for a service, since it is made for programs.
        etag, last_modified: validators of a cached response. headers: sent to the first origin only.
        Raises ImageRefused with a skip reason when the fetch fails, FetcherClosed after `close`.
        """
        validators = {"If-None-Match": etag, "If-Modified-Since": last_modified}
        validators = {name: value for name, value in validators.items() if value}
        limit_bytes = max_bytes or _MAX_BODY_BYTES[kind]
        url = first = normalise_url(url)
        origin, robots = origin_of(url), ""
        for _hop in range(self._limits.redirects + 1):
            if kind != "service":
                robots, delay_s = self._robots_rules.check(url)
                self._rate_limiter.set_min_delay(site_of(url), delay_s)
            private = (headers or {}) if origin_of(url) == origin else {}
            response = self._send_with_retries(Request(url, {**validators, **private}), kind, limit_bytes)
            if not _is_redirect(response):
                if response.status == _NOT_MODIFIED and not validators:
                    raise _status_error(url, response.status)
                return _accepted(_fetch_result(url, response, robots), kind)
            url = normalise_url(response.headers["Location"], url)
        raise self._redirect_error(first)

    def post(self, url: str, form: Mapping[str, str]) -> FetchResult:
        """Post a form to a service, without following redirects. Raises as `get` does."""
        request = Request(
            normalise_url(url),
            {"Content-Type": "application/x-www-form-urlencoded"},
            urlencode(form).encode(),
        )
        response = self._send_with_retries(request, "service", _MAX_BODY_BYTES["service"])
        return _accepted(_fetch_result(request.url, response, ""), "service")

    def seconds_until_ready(self, url: str) -> float:
        """Return the seconds until the rate limit allows a request to a normalised URL; 0: now."""
        return self._rate_limiter.seconds_until_ready(site_of(url))

    def close(self) -> None:
        """Abort all requests and refuse new ones; threads that wait for one get FetcherClosed."""
        self._rate_limiter.close()
        self._http_client.close()

    def _send_with_retries(
        self, request: Request, kind: ResourceKind, limit_bytes: int, *, truncate: bool = False
    ) -> Response:
        """Send a request within the rate limit; repeat it when the site is busy."""

        def max_body_bytes(response: Response) -> int:
            if kind == "service" and _BAD_REQUEST <= response.status < _SERVER_ERROR:
                return limit_bytes
            tags = response.headers.getlist("X-Robots-Tag")
            is_wanted = response.status == _OK and not _forbidding_directives(tags, kind)
            return limit_bytes if is_wanted else 0

        site = site_of(request.url)
        wait_s = 0.0
        for _try in range(self._limits.tries):
            with self._rate_limiter.slot(site) as started_at:
                response = self._http_client.send(request, max_body_bytes, truncate=truncate)
                if response.status not in _BUSY:
                    self._rate_limiter.record_success(site, started_at)
                    return response
                retry_after_s = parse_retry_after(response.headers.get("Retry-After", ""), datetime.now(UTC))
                wait_s = self._rate_limiter.record_busy(site, started_at, retry_after_s)
        raise too_busy_error(site, wait_s)

    def _fetch_robots_txt(self, url: str) -> bytes | None:
        for _hop in range(self._limits.redirects + 1):
            response = self._send_with_retries(Request(url, {}), "page", MAX_ROBOTS_TXT_BYTES, truncate=True)
            if not _is_redirect(response):
                if response.status == _OK:
                    return response.body
                if _BAD_REQUEST <= response.status < _SERVER_ERROR:
                    return None
                raise ImageRefused(
                    _("its site answered {status}.").format(status=response.status), SkipReason.ROBOTS
                )
            url = normalise_url(response.headers["Location"], url)
        raise self._redirect_error(url)

    def _redirect_error(self, url: str) -> ImageRefused:
        return ImageRefused(
            _("{url} leads on and on: more than {limit} redirects.").format(
                url=url, limit=self._limits.redirects
            ),
            SkipReason.REDIRECTS,
        )


def _is_redirect(response: Response) -> bool:
    return response.status in _REDIRECTS and "Location" in response.headers


def _fetch_result(url: str, response: Response, robots: str) -> FetchResult:
    tags = tuple(response.headers.getlist("X-Robots-Tag"))
    return FetchResult(url, response.status, response.headers, response.body, robots, tags)


def _forbidding_directives(tags: list[str] | tuple[str, ...], kind: ResourceKind) -> frozenset[str]:
    if kind != "picture" or not tags:
        return frozenset()
    return robots_directives(tags, (), AGENT_TOKEN) & NO_IMAGE_DIRECTIVES


def _accepted(result: FetchResult, kind: ResourceKind) -> FetchResult:
    status, url = result.status, result.url
    if status in (_OK, _NOT_MODIFIED):
        if directives := _forbidding_directives(result.robots_tags, kind):
            raise ImageRefused(
                _("{url} is skipped: its X-Robots-Tag says {directive}.").format(
                    url=url, directive=", ".join(sorted(directives))
                ),
                SkipReason.NOAI,
            )
        return result
    if kind == "service" and _BAD_REQUEST <= status < _SERVER_ERROR:
        return result
    raise _status_error(url, status)


def _status_error(url: str, status: int) -> ImageRefused:
    if status in _NOT_FOUND:
        message, reason = _("{url} is not there ({status})."), SkipReason.MISSING
    elif status in _FORBIDDEN:
        message, reason = _("{url} is refused by its site ({status})."), SkipReason.FORBIDDEN
    else:
        message = _("{url} cannot be fetched: its site answered {status}.")
        reason = SkipReason.UNREACHABLE if status >= _SERVER_ERROR else SkipReason.OTHER
    return ImageRefused(message.format(url=url, status=status), reason)
