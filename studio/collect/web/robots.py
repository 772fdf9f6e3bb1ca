"""What sites allow: robots.txt, and the directives of X-Robots-Tag and of robots metas."""

import re
import threading
from collections.abc import Callable, Iterable

from protego import Protego

from studio.collect.web.urls import origin
from studio.errors import ImageRefused
from studio.i18n import _
from studio.images.reasons import SkipReason

NO_IMAGES = frozenset({"noai", "noimageai", "noindex", "noimageindex", "none"})
NO_LINKS = frozenset({"nofollow", "none"})
MAX_BYTES = 512 * 1024
LONGEST_DELAY_S = 60.0
# Directives that take a value after a colon, which is not the name of a robot.
_VALUED = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})
_EVERYBODY = frozenset({"robots", "*"})
_COLON = re.compile(r"\s*([\w*.+-]+)\s*:\s*(.*)", re.DOTALL)


def directives(values: Iterable[str], metas: Iterable[tuple[str, str]], agent_token: str) -> frozenset[str]:
    """Return the directives that concern us, in lower case.

    values: one for each X-Robots-Tag header, as in `noai`, `noindex, nofollow` or `otherbot: noindex`; the
    name of a robot holds for what follows it in its header. metas: name and content of robots metas.
    """
    ours = _EVERYBODY | {agent_token}
    said: set[str] = set()
    for value in values:
        said |= _said(value, ours)
    for name, content in metas:
        if name.strip().lower() in ours:
            said |= _said(content, ours)
    return frozenset(said)


def _said(text: str, ours: frozenset[str]) -> set[str]:
    said: set[str] = set()
    concerns_us = True
    for part in text.lower().split(","):
        words = part
        if named := _COLON.fullmatch(part):
            if named[1] in _VALUED:
                continue
            concerns_us = named[1] in ours
            words = named[2]
        if concerns_us:
            said.update(words.split())
    return said


class Rules:
    """The robots.txt of every site, fetched when it is first asked about.

    fetch: gives the body of an address, or None where there is none (then all is allowed); raises
    ImageRefused when it cannot be had, and then nothing is allowed (RFC 9309, 2.3.1.4).
    """

    def __init__(self, fetch: Callable[[str], bytes | None], agent_token: str) -> None:
        self._fetch, self._agent = fetch, agent_token
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._rules: dict[str, Protego | ImageRefused | None] = {}

    def check(self, address: str) -> tuple[str, float]:
        """Return what the rules say, in a few words, and the delay in seconds that they ask for.

        Raises ImageRefused where they forbid the address.
        """
        place = origin(address)
        rules = self._of(place)
        if isinstance(rules, ImageRefused):
            raise ImageRefused(
                _("{address} is not asked, as {origin}/robots.txt cannot be read: {why}").format(
                    address=address, origin=place, why=rules
                ),
                rules.why,
            )
        if rules is None:
            return _("no robots.txt"), 0.0
        if not rules.can_fetch(address, self._agent):
            raise ImageRefused(
                _("{address} is not asked: {origin}/robots.txt forbids it.").format(
                    address=address, origin=place
                ),
                SkipReason.ROBOTS,
            )
        delay_s = rules.crawl_delay(self._agent) or 0.0
        if delay_s > LONGEST_DELAY_S:
            said = _("robots.txt allows it, every {asked} s; every {kept} s is kept").format(
                asked=f"{delay_s:g}", kept=f"{LONGEST_DELAY_S:g}"
            )
            return said, LONGEST_DELAY_S
        return _("robots.txt allows it"), delay_s

    def _of(self, place: str) -> Protego | ImageRefused | None:
        if place in self._rules:
            return self._rules[place]
        with self._lock:
            lock = self._locks.setdefault(place, threading.Lock())
        with lock:  # two who ask for the same at once fetch it once
            if place not in self._rules:
                try:
                    body = self._fetch(f"{place}/robots.txt")
                except ImageRefused as refusal:
                    if refusal.why == SkipReason.BUSY:
                        return refusal  # which passes
                    self._rules[place] = refusal
                else:
                    self._rules[place] = None if body is None else Protego.parse(_text(body))
            return self._rules[place]


def _text(body: bytes) -> str:
    whole = body if len(body) < MAX_BYTES else body[: body.rfind(b"\n") + 1]  # no half rule
    return whole.decode("utf-8-sig", errors="replace")
