"""What sites allow: robots.txt, and the directives of X-Robots-Tag and of robots metas."""

import re
import threading
from collections.abc import Callable, Iterable

from protego import Protego

from studio.collect.why import Why
from studio.errors import PictureRefused
from studio.language import _

NO_PICTURES = frozenset({"noai", "noimageai", "noindex", "noimageindex", "none"})
NO_LINKS = frozenset({"nofollow", "none"})
MAX_BYTES = 512 * 1024
LONGEST_DELAY_S = 60.0
# Directives that take a value after a colon, which is not the name of a robot.
_VALUED = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})
_SCOPE = re.compile(r"^\s*([\w.+-]+)\s*:\s*(.*)$", re.DOTALL)


def directives(values: Iterable[str], metas: Iterable[tuple[str, str]], agent_token: str) -> frozenset[str]:
    """Return the directives that concern us, in lower case.

    values: one for each X-Robots-Tag header, as in `noai`, `noindex, nofollow` or `otherbot: noindex`; the
    name of a robot holds for the rest of its header. metas: name and content of robots metas.
    """
    said: set[str] = set()
    for value in values:
        scope = _SCOPE.match(value)
        text = value
        if scope and scope[1].lower() not in _VALUED:
            if scope[1].lower() not in ("robots", "*", agent_token):
                continue
            text = scope[2]
        said.update(part.strip().lower() for part in text.split(","))
    for name, content in metas:
        if name.lower() in ("robots", agent_token):
            said.update(part.strip().lower() for part in content.split(","))
    return frozenset(said - {""})


class Rules:
    """The robots.txt of every site, fetched when it is first asked about.

    fetch: gives the body of an address, or None where there is none (then all is allowed); raises
    PictureRefused when it cannot be had, and then nothing is allowed (RFC 9309, 2.3.1.4).
    """

    def __init__(self, fetch: Callable[[str], bytes | None], agent_token: str) -> None:
        self._fetch, self._agent = fetch, agent_token
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._rules: dict[str, Protego | PictureRefused | None] = {}

    def check(self, origin: str, address: str) -> tuple[str, float]:
        """Return what the rules say, in a few words, and the delay in seconds that they ask for.

        origin: such as https://example.org. Raises PictureRefused where they forbid the address.
        """
        rules = self._of(origin)
        if isinstance(rules, PictureRefused):
            if rules.why == Why.ADDRESS:
                raise rules
            raise PictureRefused(
                _("{address} is not asked: {origin}/robots.txt could not be read ({why}).").format(
                    address=address, origin=origin, why=rules
                ),
                Why.ROBOTS,
            )
        if rules is None:
            return _("no robots.txt"), 0.0
        if not rules.can_fetch(address, self._agent):
            raise PictureRefused(
                _("{address} is not asked: {origin}/robots.txt forbids it.").format(
                    address=address, origin=origin
                ),
                Why.ROBOTS,
            )
        delay_s = float(rules.crawl_delay(self._agent) or 0)
        return _("robots.txt allows it"), min(delay_s, LONGEST_DELAY_S)

    def _of(self, origin: str) -> Protego | PictureRefused | None:
        with self._lock:
            if origin in self._rules:
                return self._rules[origin]
            lock = self._locks.setdefault(origin, threading.Lock())
        with lock:  # two who ask for the same at once fetch it once
            if origin not in self._rules:
                try:
                    body = self._fetch(f"{origin}/robots.txt")
                    text = None if body is None else body[:MAX_BYTES].decode("utf-8-sig", errors="replace")
                    self._rules[origin] = None if text is None else Protego.parse(text)
                except PictureRefused as refusal:
                    self._rules[origin] = refusal
            return self._rules[origin]
