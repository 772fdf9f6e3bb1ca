"""RSS, Atom and sitemaps: the images that they name and the pages that they lead to."""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from xml.etree.ElementTree import Element, ParseError, iterparse

from studio.collect.web.html_page import read_html
from studio.collect.web.image_candidates import is_image_file, why_ornament
from studio.collect.web.page import FoundImage, Reading
from studio.collect.web.urls import joined, plain
from studio.errors import ImageRefused
from studio.i18n import _
from studio.images.provenance import Provenance, licence_name
from studio.images.reasons import SkipReason

ROOTS = frozenset({"rss", "feed", "rdf", "urlset", "sitemapindex"})
_ENTRIES = frozenset({"item", "entry", "url", "sitemap"})
_MOST_ELEMENTS = 1_000_000
_LONGEST_TEXT = 65_536
_NO_ENTITY = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9a-fA-F]{1,6});)")
_NO_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_PIXELS = re.compile(r"\d{1,6}")


def read_feed(text: str, address: str) -> Reading:
    """Return what a feed or a sitemap names, up to where it is broken, if it is.

    text: from its first element on. What stands before it, a document type for one, is not ours to pass on:
    entities of its own have no place in a feed, and serve attacks. Raises ImageRefused when nothing can be
    read.
    """
    text = _NO_XML.sub("", text)
    feed = _Feed(address)
    fault = feed.read(text)
    if fault and _NO_ENTITY.search(text):
        # HTML's entities and lone ampersands are what most broken feeds suffer from.
        feed = _Feed(address)
        fault = feed.read(_NO_ENTITY.sub("&amp;", text))
    if fault and not feed.images and not feed.links:
        raise ImageRefused(
            _("expected a feed or a sitemap; {address} cannot be read: {why}.").format(
                address=address, why=fault
            ),
            SkipReason.DAMAGED,
        )
    return Reading(
        tuple(feed.images.values()),
        tuple(feed.dropped.items()),
        tuple(feed.links),
        tuple(feed.next_links),
    )


@dataclass
class _Feed:
    """A feed as it is read, entry by entry: none stays in memory."""

    address: str
    images: dict[str, FoundImage] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    links: dict[str, None] = field(default_factory=dict)
    next_links: dict[str, None] = field(default_factory=dict)

    def read(self, text: str) -> str:
        """Read all of it; return what is wrong with it, or nothing."""
        elements = inside = 0
        try:
            # Without a document type, which may not stand here, there is nothing to expand.
            for event, element in iterparse(io.StringIO(text), ("start", "end")):  # noqa: S314
                is_entry = _name(element) in _ENTRIES
                if event == "start":
                    elements += 1
                    inside += is_entry
                    if elements > _MOST_ELEMENTS:
                        break
                else:
                    inside -= is_entry
                    if not inside:
                        self._read_element(element, is_entry=is_entry)
        except (ParseError, ValueError) as error:
            return str(error)
        return ""

    def _read_element(self, element: Element, *, is_entry: bool) -> None:
        if is_entry:
            self._read_entry(element)
            element.clear()
        elif (
            _name(element) == "link"
            and element.get("rel") == "next"
            and (target := joined(element.get("href"), self.address))
        ):
            self.links[target] = self.next_links[target] = None

    def _read_entry(self, entry: Element) -> None:
        provenance = self._provenance(entry)
        page = provenance.page_address
        if is_image_file(page):
            provenance = replace(provenance, page_address=self.address)
            self._keep(FoundImage(page, provenance))
        elif page != self.address:
            self.links[page] = None
        contents: list[FoundImage] = []
        thumbnails: list[FoundImage] = []
        for each in entry.iter():
            name = _name(each)
            found = self._named(each, provenance)
            if found is not None and name == "thumbnail":
                thumbnails.append(found)
            elif found is not None and name == "content" and found.width_px:
                contents.append(found)
            elif found is not None:
                self._keep(found)
            elif name == "image":
                self._read_sitemap_image(each, provenance)
            elif name in ("encoded", "description", "summary", "content") and "<img" in (each.text or ""):
                self._read_text(each.text or "", provenance)
        # One image in several sizes; a small copy counts where there is nothing else.
        for found in contents or thumbnails:
            if found is max(contents or thumbnails, key=_area):
                self._keep(found)

    def _provenance(self, entry: Element) -> Provenance:
        """Return what an entry says of itself, each where it stands first."""
        said: dict[str, str] = {}
        for each in entry.iter():
            match _name(each):
                case "title":
                    said.setdefault("title", _text(each))
                case "credit" | "creator" as name:
                    said.setdefault(name, _text(each))
                case "author":
                    names = [_text(child) for child in each if _name(child) == "name"]
                    said.setdefault("author", names[0] if names else _text(each))
                case "loc":
                    said.setdefault("page", joined(each.text, self.address) or "")
                case "license" | "licence":
                    said.setdefault("licence", _reference(each))
                case "link" if each.get("rel") == "license":
                    said.setdefault("licence", each.get("href", ""))
                case "link" if each.get("rel", "alternate") == "alternate":
                    page = joined(each.get("href") or each.text, self.address) or ""
                    said.setdefault("page", page)
        creator = said.get("credit") or said.get("creator") or said.get("author") or ""
        licence = joined(said.get("licence"), self.address) or ""
        page = said.get("page") or self.address
        return Provenance(page, said.get("title", ""), creator, licence_name(licence), licence)

    def _named(self, element: Element, provenance: Provenance) -> FoundImage | None:
        """Return the image of an enclosure, of one of Media RSS' elements, of an img in XHTML."""
        name = _name(element)
        address = None
        if name == "img":
            address = joined(element.get("src"), provenance.page_address)
            provenance = replace(provenance, title=plain(element.get("alt", "")) or provenance.title)
        elif name in ("enclosure", "content", "thumbnail") or element.get("rel") == "enclosure":
            address = joined(element.get("url") or element.get("href"), self.address)
            kind = element.get("type") or element.get("medium") or ""
            if not (kind.startswith("image") or (not kind and (name == "thumbnail" or _shows(address)))):
                return None
        if address is None:
            return None
        width, height = (_pixels(element.get(side, "")) for side in ("width", "height"))
        return FoundImage(address, provenance, width, height)

    def _read_sitemap_image(self, image: Element, provenance: Provenance) -> None:
        said = {_name(each): each for each in image}
        if "loc" in said and (address := joined(said["loc"].text, self.address)):
            title = next((text for name in ("title", "caption") if (text := _text(said.get(name)))), "")
            provenance = replace(provenance, title=title)
            if "license" in said and (licence := joined(said["license"].text, self.address)):
                provenance = replace(provenance, licence=licence_name(licence), licence_address=licence)
            self._keep(FoundImage(address, provenance))

    def _read_text(self, text: str, provenance: Provenance) -> None:
        """Read an entry's HTML: what it does not say of an image, the entry does."""
        shown = read_html(text, provenance.page_address)
        for found in shown.images:
            own = {name: value for name, value in vars(found.provenance).items() if value}
            if own.get("licence_address"):
                own.setdefault("licence", "")
            self._keep(replace(found, provenance=replace(provenance, **own)))
        for address, reason in shown.dropped:
            self.dropped.setdefault(address, reason)

    def _keep(self, found: FoundImage) -> None:
        if reason := why_ornament(found.address, found.width_px, found.height_px):
            self.dropped.setdefault(found.address, reason)
        else:
            self.images.setdefault(found.address, found)


def first_element(text: str) -> tuple[str, int]:
    """Return the name of a document's first element, in lower case and without prefix, and where it begins.

    What may stand before it is passed over: instructions, comments, a document type. Empty where there is
    none.
    """
    at = 0
    while (at := text.find("<", at)) >= 0:
        for begin, end in (("<?", "?>"), ("<!--", "-->"), ("<!", ">")):
            if text.startswith(begin, at):
                found = text.find(end, at + 2)
                at = found + len(end) if found >= 0 else len(text)
                break
        else:
            name = re.match(r"<(?:[\w.-]+:)?([\w.-]+)", text[at : at + 100])
            return (name[1].lower(), at) if name else ("", at)
    return "", len(text)


def _shows(address: str | None) -> bool:
    return address is not None and is_image_file(address)


def _area(found: FoundImage) -> int:
    return (found.width_px or 0) * (found.height_px or 1)


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2].lower()


def _reference(element: Element) -> str:
    """Return what a licence's element leads to, of Media RSS or of Creative Commons' own."""
    resource = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}resource"
    return element.get("href") or element.get(resource) or (element.text or "")


def _pixels(value: str) -> int | None:
    return int(value) if _PIXELS.fullmatch(value) else None


def _text(element: Element | None) -> str:
    return plain("".join(_pieces(element))) if element is not None else ""


def _pieces(element: Element) -> Iterator[str]:
    size = 0
    for piece in element.itertext():
        yield piece
        size += len(piece)
        if size > _LONGEST_TEXT:
            return
