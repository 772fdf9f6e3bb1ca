"""What an HTML page shows: its pictures with their papers, its links, and what it tells robots."""

import re
from dataclasses import dataclass
from itertools import islice

from bs4 import Tag

from studio.collect.licences import licence_name
from studio.collect.sources import Papers
from studio.collect.web.candidates import attribute, is_inline, references
from studio.collect.web.letters import joined, line
from studio.collect.web.markup import Markup, Place, Scope, rel_of, words
from studio.collect.web.ornaments import is_drawing, is_picture_file, why_ornament
from studio.collect.web.reading import FoundPicture, Reading
from studio.collect.web.soup import soup_of
from studio.collect.web.structured import Described, described

_PIXELS = re.compile(r"(\d{1,6})(?:\.\d+)?(?:px)?")
_LOOKED_AT_BESIDE = 20


def read_html(text: str, address: str) -> Reading:
    """Return what a page shows; never raises, whatever stands in it.

    address: where it was found, against which its links are read.
    """
    return _Page(Markup.of(soup_of(text)), address).reading()


@dataclass
class _Seen:
    """A picture, from all places of the page that name it."""

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
                FoundPicture(address, self._papers(seen, said.get(address)), seen.width_px, seen.height_px)
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
        if linked is not None and is_picture_file(linked):
            # The small picture leads to the whole one, of which the page gives no size.
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

    def _papers(self, seen: _Seen, said: Described | None) -> Papers:
        said = said or Described()
        page = self._markup
        creator = next((scope.creator for scope in seen.scope.outwards() if scope.creator), page.author)
        licence, licence_address = said.licence, said.licence_address
        if not licence and not licence_address:
            stated = next((scope.licence for scope in seen.scope.outwards() if scope.licence), "")
            licence_address = self._join(stated) or ""
            licence = licence_name(licence_address)
        return Papers(
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
            elif is_picture_file(target) or is_drawing(target):
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
