"""The tags of an HTML page that tell of pictures, links and rules, each with what stands around it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Self

from bs4 import BeautifulSoup, Tag

from studio.collect.web.candidates import attribute
from studio.collect.web.letters import line
from studio.collect.web.visitor import AGENT_TOKEN

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
    """What a figure, an article or the whole page states for the pictures in it."""

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
    """Those of each picture, by the id of its tag."""
    others: list[tuple[str, Tag | None, Place]] = field(default_factory=list)
    """References to backgrounds, posters, objects; with the tag whose size and words are theirs."""
    cards: list[str] = field(default_factory=list)
    """References to the pictures for those who share the page."""
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
            self.cards[-1:] = [content]  # the same picture as the one before it
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
