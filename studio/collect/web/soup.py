"""HTML of strangers as a tree, in a time and a size that nothing on the page can stretch."""

import re
import warnings
from typing import Any

from bs4 import BeautifulSoup, MarkupResemblesLocatorWarning, Tag, XMLParsedAsHTMLWarning

# What is passed in was fetched and may be anything; the parser's advice to programmers is not for us.
for _category in (MarkupResemblesLocatorWarning, XMLParsedAsHTMLWarning):
    warnings.filterwarnings("ignore", category=_category)

LONGEST = 4_000_000
MOST_TAGS = 100_000
_DEEPEST = 128
_SKIPPED = re.compile(r"<!--|<(script|style)\b[^>]*>", re.IGNORECASE)
_ENDS = {"script": re.compile(r"</script\b", re.IGNORECASE), "style": re.compile(r"</style\b", re.IGNORECASE)}
# Numbers of letters that are too long for one, or none at all.
_NO_LETTER = re.compile(r"&#(?![0-9]{1,7}[^0-9a-f]|x[0-9a-f]{1,6}[^0-9a-f])", re.IGNORECASE)


class _Soup(BeautifulSoup):
    """A tree that stops growing: both ways, since much of what walks one climbs up from every leaf."""

    _made = 0

    def handle_starttag(self, *place: Any, **more: Any) -> Tag | None:
        self._made += 1
        if self._made > MOST_TAGS:
            return None
        while len(self.tagStack) > _DEEPEST:  # what is deeper stands beside it, as in browsers
            self.endData()
            self.popTag()
        return super().handle_starttag(*place, **more)


def soup_of(text: str) -> BeautifulSoup:
    """Return a page as a tree whose attributes are all strings; never raises.

    Of a page, the first 4 million characters and 100,000 tags are read; of its scripts, those with JSON-LD.
    """
    return _Soup(_tame(text[:LONGEST]), "html.parser", multi_valued_attributes=None)


def _tame(text: str) -> str:
    """Return a page without what html.parser would look for to the end of the page, again and again."""
    # What stands behind the last tag is no tag, and every tag has an end then.
    text = text[: text.rfind(">") + 1].replace("\0", "")
    return _NO_LETTER.sub("&amp;#", _without_scripts(text).replace("<![", "<! ["))


def _without_scripts(text: str) -> str:
    kept: list[str] = []
    at = 0
    comments_end = text.rfind("-->")
    while found := _SKIPPED.search(text, at):
        kept.append(text[at : found.start()])
        tag = (found[1] or "").lower()
        if not tag:
            # As browsers do: <!--> is a comment that ends where it begins.
            ends = found.start() + 2 <= comments_end
            at = text.index("-->", found.start() + 2) + 3 if ends else found.end()
            continue
        end = _ENDS[tag].search(text, found.end())
        if end is None:  # it holds all the rest
            return "".join(kept)
        if tag == "style" or "ld+json" in found[0].lower():
            inside = text[found.end() : end.start()].replace("<!--", "").replace("-->", "")
            kept.append(found[0] + inside + f"</{tag}>")
        at = text.find(">", end.end()) + 1 or len(text)
    kept.append(text[at:])
    return "".join(kept)
