"""Robots rules: robots.txt, X-Robots-Tag headers and robots meta tags."""

import re
import threading
from collections.abc import Callable, Iterable

from protego import Protego

from studio.collect.web.urls import origin_of
from studio.errors import ImageRefused
from studio.i18n import _
from studio.images.skip_reasons import SkipReason

NO_IMAGE_DIRECTIVES = frozenset({"noai", "noimageai", "noindex", "noimageindex", "none"})
NO_LINK_DIRECTIVES = frozenset({"nofollow", "none"})
MAX_ROBOTS_TXT_BYTES = 512 * 1024
MAX_DELAY_S = 60.0
# Directives with a value after a colon, to tell them from user agent names.
_VALUED_DIRECTIVES = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})
_ANY_AGENT = frozenset({"robots", "*"})
_NAMED_DIRECTIVE = re.compile(r"\s*([\w*.+-]+)\s*:\s*(.*)", re.DOTALL)


def robots_directives(
    values: Iterable[str], metas: Iterable[tuple[str, str]], agent_token: str
) -> frozenset[str]:
    """Return the directives for our user agent, in lower case.

    values: of X-Robots-Tag headers, such as `noai`, `noindex, nofollow` or `otherbot: noindex`; a user agent
    applies to all that follows it in its header. metas: name and content of robots meta tags.
    """
    agents = _ANY_AGENT | {agent_token}
    directives: set[str] = set()
    for value in values:
        directives |= _parse_directives(value, agents)
    for name, content in metas:
        if name.strip().lower() in agents:
            directives |= _parse_directives(content, agents)
    return frozenset(directives)


def _parse_directives(text: str, agents: frozenset[str]) -> set[str]:
    directives: set[str] = set()
    applies = True
    for part in text.lower().split(","):
        content = part
        if named := _NAMED_DIRECTIVE.fullmatch(part):
            if named[1] in _VALUED_DIRECTIVES:
                continue
            applies = named[1] in agents
            content = named[2]
        if applies:
            directives.update(content.split())
    return directives


class RobotsRules:
    """The robots.txt of every origin, fetched at the first check.

    fetch: returns the body at a URL, or None if there is none (then everything is allowed); raises
    ImageRefused when it cannot be fetched (then nothing is allowed: RFC 9309, 2.3.1.4).
    """

    def __init__(self, fetch: Callable[[str], bytes | None], agent_token: str) -> None:
        self._fetch, self._agent = fetch, agent_token
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._rules: dict[str, Protego | ImageRefused | None] = {}

    def check(self, url: str) -> tuple[str, float]:
        """Return a short description of what the rules say, and the crawl delay in seconds.

        Raises ImageRefused when they forbid the URL.
        """
        origin = origin_of(url)
        rules = self._rules_for(origin)
        if isinstance(rules, ImageRefused):
            raise ImageRefused(
                _("{url} is not fetched, as {origin}/robots.txt cannot be read: {why}").format(
                    url=url, origin=origin, why=rules
                ),
                rules.skip_reason,
            )
        if rules is None:
            return _("no robots.txt"), 0.0
        if not rules.can_fetch(url, self._agent):
            raise ImageRefused(
                _("{url} is not fetched: {origin}/robots.txt forbids it.").format(url=url, origin=origin),
                SkipReason.ROBOTS,
            )
        delay_s = rules.crawl_delay(self._agent) or 0.0
        if delay_s > MAX_DELAY_S:
            verdict = _("robots.txt allows it, every {asked} s; every {kept} s is kept").format(
                asked=f"{delay_s:g}", kept=f"{MAX_DELAY_S:g}"
            )
            return verdict, MAX_DELAY_S
        return _("robots.txt allows it"), delay_s

    def _rules_for(self, origin: str) -> Protego | ImageRefused | None:
        if origin in self._rules:
            return self._rules[origin]
        with self._lock:
            lock = self._locks.setdefault(origin, threading.Lock())
        with lock:  # concurrent checks fetch it once
            if origin not in self._rules:
                try:
                    body = self._fetch(f"{origin}/robots.txt")
                except ImageRefused as error:
                    if error.skip_reason == SkipReason.BUSY:
                        return error  # not cached, since it is temporary
                    self._rules[origin] = error
                else:
                    self._rules[origin] = None if body is None else Protego.parse(_decode_robots_txt(body))
            return self._rules[origin]


def _decode_robots_txt(body: bytes) -> str:
    if len(body) >= MAX_ROBOTS_TXT_BYTES:
        body = body[: body.rfind(b"\n") + 1]  # drop an incomplete last line
    return body.decode("utf-8-sig", errors="replace")
