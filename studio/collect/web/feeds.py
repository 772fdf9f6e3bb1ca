"""Feed parser: images and links of RSS and Atom feeds and of sitemaps."""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from xml.etree.ElementTree import Element, ParseError, iterparse

from studio.collect.web.html_parser import parse_html
from studio.collect.web.image_candidates import icon_or_tracker_reason, is_image_file
from studio.collect.web.page_text import strip_html
from studio.collect.web.parsed_page import PageImage, ParsedPage
from studio.collect.web.urls import resolve_url
from studio.errors import ImageRefused
from studio.i18n import _
from studio.images.provenance import Provenance, licence_name
from studio.images.skip_reasons import SkipReason

FEED_ROOTS = frozenset({"rss", "feed", "rdf", "urlset", "sitemapindex"})
_ENTRIES = frozenset({"item", "entry", "url", "sitemap"})
_MAX_ELEMENTS = 1_000_000
_MAX_TEXT_CHARS = 65_536
_UNDEFINED_ENTITY = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9a-fA-F]{1,6});)")
_INVALID_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_PIXELS = re.compile(r"\d{1,6}")


def parse_feed(text: str, url: str) -> ParsedPage:
    """Return the images and links of a feed or a sitemap; of a malformed one, those before the error.

    text: from its root element on, without a document type: custom entities are not needed in feeds and
    serve attacks. Raises ImageRefused when nothing can be read.
    """
    text = _INVALID_XML.sub("", text)
    feed = _FeedParser(url)
    error = feed.parse(text)
    if error and _UNDEFINED_ENTITY.search(text):
        # Most malformed feeds contain HTML entities or unescaped ampersands.
        feed = _FeedParser(url)
        error = feed.parse(_UNDEFINED_ENTITY.sub("&amp;", text))
    if error and not feed.images and not feed.links:
        raise ImageRefused(
            _("expected a feed or a sitemap; {url} cannot be read: {why}.").format(url=url, why=error),
            SkipReason.DAMAGED,
        )
    return ParsedPage(
        tuple(feed.images.values()),
        tuple(feed.skipped.items()),
        tuple(feed.links),
        tuple(feed.next_links),
    )


@dataclass
class _FeedParser:
    """Parses a feed entry by entry, without keeping entries in memory."""

    url: str
    images: dict[str, PageImage] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    links: dict[str, None] = field(default_factory=dict)
    next_links: dict[str, None] = field(default_factory=dict)

    def parse(self, text: str) -> str:
        """Parse the whole text; return the error message, or empty."""
        elements = inside = 0
        try:
            # The text has no document type, so there are no entities to expand.
            for event, element in iterparse(io.StringIO(text), ("start", "end")):  # noqa: S314
                is_entry = _local_name(element) in _ENTRIES
                if event == "start":
                    elements += 1
                    inside += is_entry
                    if elements > _MAX_ELEMENTS:
                        break
                else:
                    inside -= is_entry
                    if not inside:
                        self._parse_element(element, is_entry=is_entry)
        except (ParseError, ValueError) as error:
            return str(error)
        return ""

    def _parse_element(self, element: Element, *, is_entry: bool) -> None:
        if is_entry:
            self._parse_entry(element)
            element.clear()
        elif (
            _local_name(element) == "link"
            and element.get("rel") == "next"
            and (target := resolve_url(element.get("href"), self.url))
        ):
            self.links[target] = self.next_links[target] = None

    def _parse_entry(self, entry: Element) -> None:
        provenance = self._provenance(entry)
        page = provenance.page_address
        if is_image_file(page):
            provenance = replace(provenance, page_address=self.url)
            self._keep(PageImage(page, provenance))
        elif page != self.url:
            self.links[page] = None
        contents: list[PageImage] = []
        thumbnails: list[PageImage] = []
        for child in entry.iter():
            name = _local_name(child)
            image = self._media_image(child, provenance)
            if image is not None and name == "thumbnail":
                thumbnails.append(image)
            elif image is not None and name == "content" and image.width_px:
                contents.append(image)
            elif image is not None:
                self._keep(image)
            elif name == "image":
                self._parse_sitemap_image(child, provenance)
            elif name in ("encoded", "description", "summary", "content") and "<img" in (child.text or ""):
                self._parse_embedded_html(child.text or "", provenance)
        # The same image in several sizes: keep the largest; thumbnails only if there is nothing else.
        for image in contents or thumbnails:
            if image is max(contents or thumbnails, key=_area):
                self._keep(image)

    def _provenance(self, entry: Element) -> Provenance:
        """Return the provenance that an entry states; the first value of each field counts."""
        fields: dict[str, str] = {}
        for child in entry.iter():
            match _local_name(child):
                case "title":
                    fields.setdefault("title", _text(child))
                case "credit" | "creator" as name:
                    fields.setdefault(name, _text(child))
                case "author":
                    names = [_text(each) for each in child if _local_name(each) == "name"]
                    fields.setdefault("author", names[0] if names else _text(child))
                case "loc":
                    fields.setdefault("page", resolve_url(child.text, self.url) or "")
                case "license" | "licence":
                    fields.setdefault("licence", _licence_reference(child))
                case "link" if child.get("rel") == "license":
                    fields.setdefault("licence", child.get("href", ""))
                case "link" if child.get("rel", "alternate") == "alternate":
                    page = resolve_url(child.get("href") or child.text, self.url) or ""
                    fields.setdefault("page", page)
        creator = fields.get("credit") or fields.get("creator") or fields.get("author") or ""
        licence = resolve_url(fields.get("licence"), self.url) or ""
        page = fields.get("page") or self.url
        return Provenance(page, fields.get("title", ""), creator, licence_name(licence), licence)

    def _media_image(self, element: Element, provenance: Provenance) -> PageImage | None:
        """Return the image of an enclosure, a Media RSS element or an XHTML img, or None."""
        name = _local_name(element)
        url = None
        if name == "img":
            url = resolve_url(element.get("src"), provenance.page_address)
            provenance = replace(provenance, title=strip_html(element.get("alt", "")) or provenance.title)
        elif name in ("enclosure", "content", "thumbnail") or element.get("rel") == "enclosure":
            url = resolve_url(element.get("url") or element.get("href"), self.url)
            kind = element.get("type") or element.get("medium") or ""
            if not (kind.startswith("image") or (not kind and (name == "thumbnail" or _is_image_url(url)))):
                return None
        if url is None:
            return None
        width, height = (_pixels(element.get(side, "")) for side in ("width", "height"))
        return PageImage(url, provenance, width, height)

    def _parse_sitemap_image(self, image: Element, provenance: Provenance) -> None:
        fields = {_local_name(child): child for child in image}
        if "loc" in fields and (url := resolve_url(fields["loc"].text, self.url)):
            title = next((text for name in ("title", "caption") if (text := _text(fields.get(name)))), "")
            provenance = replace(provenance, title=title)
            if "license" in fields and (licence := resolve_url(fields["license"].text, self.url)):
                provenance = replace(provenance, licence=licence_name(licence), licence_address=licence)
            self._keep(PageImage(url, provenance))

    def _parse_embedded_html(self, text: str, provenance: Provenance) -> None:
        """Parse the HTML of an entry; provenance that it lacks is taken from the entry."""
        page = parse_html(text, provenance.page_address)
        for image in page.images:
            own = {name: value for name, value in vars(image.provenance).items() if value}
            if own.get("licence_address"):
                own.setdefault("licence", "")
            self._keep(replace(image, provenance=replace(provenance, **own)))
        for url, message in page.skipped:
            self.skipped.setdefault(url, message)

    def _keep(self, image: PageImage) -> None:
        if message := icon_or_tracker_reason(image.url, image.width_px, image.height_px):
            self.skipped.setdefault(image.url, message)
        else:
            self.images.setdefault(image.url, image)


def root_element(text: str) -> tuple[str, int]:
    """Return the name of the root element, in lower case and without prefix, and its offset.

    Processing instructions, comments and a document type before it are skipped. The name is empty if there
    is no element.
    """
    at = 0
    while (at := text.find("<", at)) >= 0:
        for opening, end in (("<?", "?>"), ("<!--", "-->"), ("<!", ">")):
            if text.startswith(opening, at):
                closing = text.find(end, at + 2)
                at = closing + len(end) if closing >= 0 else len(text)
                break
        else:
            name = re.match(r"<(?:[\w.-]+:)?([\w.-]+)", text[at : at + 100])
            return (name[1].lower(), at) if name else ("", at)
    return "", len(text)


def _is_image_url(url: str | None) -> bool:
    return url is not None and is_image_file(url)


def _area(image: PageImage) -> int:
    return (image.width_px or 0) * (image.height_px or 1)


def _local_name(element: Element) -> str:
    return element.tag.rpartition("}")[2].lower()


def _licence_reference(element: Element) -> str:
    """Return the reference in a licence element of Media RSS or of the Creative Commons module."""
    resource = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}resource"
    return element.get("href") or element.get(resource) or (element.text or "")


def _pixels(value: str) -> int | None:
    return int(value) if _PIXELS.fullmatch(value) else None


def _text(element: Element | None) -> str:
    return strip_html("".join(_text_pieces(element))) if element is not None else ""


def _text_pieces(element: Element) -> Iterator[str]:
    size = 0
    for piece in element.itertext():
        yield piece
        size += len(piece)
        if size > _MAX_TEXT_CHARS:
            return
