"""What an HTML page shows: its images with their provenance, its links, and what it tells robots."""

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Self

from bs4 import BeautifulSoup, MarkupResemblesLocatorWarning, Tag, XMLParsedAsHTMLWarning

from studio.collect.web.fetcher import AGENT_TOKEN
from studio.collect.web.image_candidates import (
    attribute,
    is_drawing,
    is_image_file,
    is_inline,
    references,
    why_ornament,
)
from studio.collect.web.json_ld import Described, described
from studio.collect.web.page import FoundImage, Reading
from studio.collect.web.urls import joined, line
from studio.images.provenance import Provenance, licence_name

_URL = re.compile(
    r"url\(\s*(?:\"([^\"]{1,2000})\"|'([^']{1,2000})'|([^()\"'\s]{1,2000}))\s*\)", re.IGNORECASE
)
_BACKGROUND = re.compile(r"background(?:-image)?\s*:([^;{}]*)", re.IGNORECASE)
_LATE_BACKGROUNDS = ("data-bg", "data-background", "data-background-image", "data-bg-image")
_CARDS = ("og:image", "og:image:url", "twitter:image", "twitter:image:src")
_LICENCE_METAS = ("dcterms.license", "dcterms:license", "dc.license", "cc:license")
_LICENCE_RELS = frozenset({"license", "cc:license", "dct:license", "dcterms:license"})
_MOST_STRINGS = 100


@dataclass
class Scope:
    """What a figure, an article or the whole page states for the images in it."""

    within: "Scope | None" = None
    is_figure: bool = False
    caption: str = ""
    creator: str = ""
    licence: str = ""
    """A reference to it."""

    def outwards(self) -> Iterator["Scope"]:
        """Yield it, and all that it stands in."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.within


@dataclass(frozen=True)
class Place:
    """What stands around a tag."""

    scope: Scope
    link: Tag | None = None
    picture: Tag | None = None
    noscript: Tag | None = None


@dataclass
class Markup:
    """One page's tags, in their order. All texts are one line."""

    title: str = ""
    card_title: str = ""
    """The one for those who share the page."""
    author: str = ""
    base: str = ""
    """What references begin at, as it is written."""
    whole: Scope = field(default_factory=Scope)
    images: list[tuple[Tag, Place]] = field(default_factory=list)
    sources: dict[int, list[Tag]] = field(default_factory=dict)
    """Those of each image, by the id of its tag."""
    others: list[tuple[str, Tag | None, Place]] = field(default_factory=list)
    """References to backgrounds, posters, objects; with the tag whose size and words are theirs."""
    cards: list[str] = field(default_factory=list)
    """References to the images for those who share the page."""
    links: list[tuple[Tag, Place]] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)
    robots: list[tuple[str, str]] = field(default_factory=list)

    @classmethod
    def of(cls, soup: BeautifulSoup) -> Self:
        """Return the tags of a page."""
        page = cls()
        around = {id(soup): Place(page.whole)}
        for tag in soup.descendants:
            if isinstance(tag, Tag):
                place = around[id(tag.parent)]
                page._see(tag, place)
                page._see_style(tag, place)
                around[id(tag)] = page._inside(tag, place)
        return page

    def _inside(self, tag: Tag, place: Place) -> Place:
        """Return what stands around all that a tag holds."""
        match tag.name:
            case "a":
                return replace(place, link=tag)
            case "figure" | "article":
                return replace(place, scope=Scope(place.scope, is_figure=tag.name == "figure"))
            case "picture":
                self.sources[id(tag)] = []
                return replace(place, picture=tag)
            case "noscript":
                return replace(place, noscript=tag)
        return place

    def _see(self, tag: Tag, place: Place) -> None:
        match tag.name:
            case "img":
                self.images.append((tag, place))
            case "source" if place.picture is not None:
                self.sources[id(place.picture)].append(tag)
            case "a" | "area" | "link":
                self._see_link(tag, place)
            case "meta":
                self._see_meta(tag)
            case "figcaption" if place.scope.is_figure:
                place.scope.caption = place.scope.caption or words(tag)
            case "base":
                self.base = self.base or attribute(tag, "href")
            case "title":
                self.title = self.title or words(tag)
            case "script":
                self.scripts.append(tag.get_text())
            case "video":
                self.others.append((attribute(tag, "poster"), None, place))
            case "object" | "embed" if attribute(tag, "type").startswith("image/"):
                self.others.append((attribute(tag, "data") or attribute(tag, "src"), tag, place))
        if "cc:attributionname" in attribute(tag, "property").lower():
            name = line(attribute(tag, "content")) or words(tag)
            place.scope.creator = place.scope.creator or name

    def _see_link(self, tag: Tag, place: Place) -> None:
        self.links.append((tag, place))
        rel = rel_of(tag)
        if rel & _LICENCE_RELS:
            place.scope.licence = place.scope.licence or attribute(tag, "href")
        if "image_src" in rel:
            self.others.append((attribute(tag, "href"), None, place))

    def _see_meta(self, tag: Tag) -> None:
        name = (attribute(tag, "property") or attribute(tag, "name")).lower()
        content = attribute(tag, "content")
        if name in _CARDS:
            self.cards.append(content)
        elif name == "og:image:secure_url" and content:
            self.cards[-1:] = [content]  # the same image as the one before it
        elif name == "og:title":
            self.card_title = self.card_title or line(content)
        elif name == "author":
            self.author = self.author or line(content)
        elif name in _LICENCE_METAS:
            self.whole.licence = self.whole.licence or content
        elif "bot" in name or name == AGENT_TOKEN:  # robots, googlebot and the like, and we
            self.robots.append((name, content))

    def _see_style(self, tag: Tag, place: Place) -> None:
        if tag.name == "style":
            styles = _BACKGROUND.findall(tag.get_text())
        else:
            styles = [attribute(tag, "style")]
            late = [value for name in _LATE_BACKGROUNDS if (value := attribute(tag, name))]
            styles += [each if "url(" in each.lower() else f'url("{each}")' for each in late]
        for style in styles:
            for found in _URL.findall(style):
                self.others.append(("".join(found), None if tag.name == "style" else tag, place))


def words(tag: Tag) -> str:
    """Return the text in a tag as one line; of a long one, its beginning."""
    return line(" ".join(islice(tag.stripped_strings, _MOST_STRINGS)))


def rel_of(tag: Tag) -> set[str]:
    """Return how what a link leads to is related to the page."""
    return set(attribute(tag, "rel").lower().split())


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


_PIXELS = re.compile(r"(\d{1,6})(?:\.\d+)?(?:px)?")
_LOOKED_AT_BESIDE = 20


def read_html(text: str, address: str) -> Reading:
    """Return what a page shows; never raises, whatever stands in it.

    address: where it was found, against which its links are read.
    """
    return _Page(Markup.of(soup_of(text)), address).reading()


@dataclass
class _Seen:
    """An image, from all places of the page that name it."""

    scope: Scope
    words: str
    width_px: int | None
    height_px: int | None
    drop: str


class _Page:
    """What a page's tags mean."""

    def __init__(self, markup: Markup, address: str) -> None:
        self._markup, self._address = markup, address
        self._base = joined(markup.base, address) or address
        self._anywhere = Place(markup.whole)
        self._found: dict[str, _Seen] = {}

    def reading(self) -> Reading:
        """Return all that is taken from the page."""
        self._images()
        for reference, tag, place in self._markup.others:
            self._first([reference], tag, place)
        for reference in self._markup.cards:
            self._first([reference], None, self._anywhere)
        links, next_links = self._links()
        said = described(self._markup.scripts, self._join)
        for address in said:
            self._keep(address, None, self._anywhere)
        return Reading(
            tuple(
                FoundImage(address, self._provenance(seen, said.get(address)), seen.width_px, seen.height_px)
                for address, seen in self._found.items()
                if not seen.drop
            ),
            tuple((address, seen.drop) for address, seen in self._found.items() if seen.drop),
            links,
            next_links,
            tuple(self._markup.robots),
        )

    def _join(self, reference: str) -> str | None:
        return joined(reference, self._base)

    def _images(self) -> None:
        images = self._markup.images
        gave = {id(image) for image, place in images if not place.noscript and self._image(image, place)}
        for image, place in images:
            if place.noscript and not _repeats(place.noscript, gave):
                self._image(image, place)
        with_image = {id(place.picture) for _image, place in images}
        for picture, sources in self._markup.sources.items():
            if picture not in with_image:
                self._first(references(None, sources), None, self._anywhere)

    def _image(self, image: Tag, place: Place) -> bool:
        """Keep the best that an img offers, and return whether there was anything."""
        linked = self._join(attribute(place.link, "href")) if place.link is not None else None
        if linked is not None and is_image_file(linked):
            # The small image leads to the whole one, of which the page gives no size.
            self._keep(linked, image, place, sized=False)
            return True
        sources = self._markup.sources.get(id(place.picture), [])
        return self._first(references(image, sources), image, place)

    def _first(self, offered: list[str], tag: Tag | None, place: Place) -> bool:
        """Keep the first of these references that can be asked for."""
        for reference in offered:
            if not is_inline(reference) and (address := self._join(reference)) is not None:
                self._keep(address, tag, place)
                return True
        return False

    def _keep(self, address: str, tag: Tag | None, place: Place, *, sized: bool = True) -> None:
        width = height = None
        said, hidden = "", False
        if tag is not None:
            said = line(attribute(tag, "alt") or attribute(tag, "title"))
            if tag.name == "a":
                said = said or words(tag)
            if sized:
                width, height = _pixels(tag, "width"), _pixels(tag, "height")
                hidden = _is_hidden(tag)
        drop = why_ornament(address, width, height, hidden=hidden)
        seen = self._found.setdefault(address, _Seen(place.scope, said, width, height, drop))
        seen.words = seen.words or said
        if seen.scope is self._markup.whole:
            seen.scope = place.scope
        if seen.drop and not drop:  # small there, but large here
            seen.drop, seen.width_px, seen.height_px = "", width, height

    def _provenance(self, seen: _Seen, said: Described | None) -> Provenance:
        said = said or Described()
        page = self._markup
        creator = next((scope.creator for scope in seen.scope.outwards() if scope.creator), page.author)
        licence, licence_address = said.licence, said.licence_address
        if not licence and not licence_address:
            stated = next((scope.licence for scope in seen.scope.outwards() if scope.licence), "")
            licence_address = self._join(stated) or ""
            licence = licence_name(licence_address)
        return Provenance(
            self._address,
            said.title or seen.scope.caption or seen.words or page.card_title or page.title,
            said.creator or creator,
            licence,
            licence_address,
        )

    def _links(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        links: dict[str, None] = {}
        following: dict[str, None] = {}
        for tag, place in self._markup.links:
            rel = rel_of(tag)
            target = self._join(attribute(tag, "href"))
            if target is None or target == self._address or "nofollow" in rel:
                continue
            if tag.name == "link":
                kind = attribute(tag, "type").lower()
                if not ("next" in rel or ("alternate" in rel and ("rss" in kind or "atom" in kind))):
                    continue
            elif is_image_file(target) or is_drawing(target):
                self._keep(target, tag, place)
                continue
            links[target] = None
            if "next" in rel:
                following[target] = None
        return tuple(links), tuple(following)


def _repeats(noscript: Tag, gave: set[int]) -> bool:
    """Whether the img in a noscript only repeats the one beside it, which is loaded late."""
    for beside in (noscript.find_previous_sibling(True), noscript.find_next_sibling(True)):
        if isinstance(beside, Tag):
            tags = [beside, *islice(beside.descendants, _LOOKED_AT_BESIDE)]
            images = [tag for tag in tags if isinstance(tag, Tag) and tag.name == "img"]
            if images:
                return any(id(image) in gave for image in images)
    return False


def _is_hidden(tag: Tag) -> bool:
    style = attribute(tag, "style").lower().replace(" ", "")
    return tag.has_attr("hidden") or "display:none" in style or "visibility:hidden" in style


def _pixels(tag: Tag, name: str) -> int | None:
    found = _PIXELS.fullmatch(attribute(tag, name))
    return int(found[1]) if found else None
