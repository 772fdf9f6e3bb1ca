"""HTML parser: images with their provenance, links and robots directives of a page."""

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
    candidate_references,
    icon_or_tracker_reason,
    is_image_file,
    is_inline,
    is_vector_or_icon,
)
from studio.collect.web.json_ld import JsonLdImage, parse_json_ld
from studio.collect.web.page_text import single_line
from studio.collect.web.parsed_page import PageImage, ParsedPage
from studio.collect.web.urls import resolve_url
from studio.images.provenance import Provenance, licence_name

_CSS_URL = re.compile(
    r"url\(\s*(?:\"([^\"]{1,2000})\"|'([^']{1,2000})'|([^()\"'\s]{1,2000}))\s*\)", re.IGNORECASE
)
_CSS_BACKGROUND = re.compile(r"background(?:-image)?\s*:([^;{}]*)", re.IGNORECASE)
_LAZY_BACKGROUND_ATTRIBUTES = ("data-bg", "data-background", "data-background-image", "data-bg-image")
_SOCIAL_IMAGE_METAS = ("og:image", "og:image:url", "twitter:image", "twitter:image:src")
_LICENCE_METAS = ("dcterms.license", "dcterms:license", "dc.license", "cc:license")
_LICENCE_LINK_RELS = frozenset({"license", "cc:license", "dct:license", "dcterms:license"})
_MAX_STRINGS = 100


@dataclass
class ProvenanceScope:
    """Caption, creator and licence that a figure, an article or the whole page states for its images."""

    parent: "ProvenanceScope | None" = None
    is_figure: bool = False
    caption: str = ""
    creator: str = ""
    licence: str = ""
    """A URL, possibly relative."""

    def ancestors(self) -> Iterator["ProvenanceScope"]:
        """Yield this scope and those that enclose it, innermost first."""
        scope: ProvenanceScope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent


@dataclass(frozen=True)
class TagContext:
    """The enclosing elements of a tag that matter for its images."""

    scope: ProvenanceScope
    link: Tag | None = None
    picture: Tag | None = None
    noscript: Tag | None = None


@dataclass
class PageTags:
    """The relevant tags of a page, in document order. All texts are one line."""

    title: str = ""
    social_title: str = ""
    """og:title."""
    author: str = ""
    base: str = ""
    """The href of the base tag, unresolved."""
    page_scope: ProvenanceScope = field(default_factory=ProvenanceScope)
    images: list[tuple[Tag, TagContext]] = field(default_factory=list)
    sources: dict[int, list[Tag]] = field(default_factory=dict)
    """The source tags of each picture tag, by id()."""
    other_references: list[tuple[str, Tag | None, TagContext]] = field(default_factory=list)
    """References to backgrounds, posters and objects, with the tag that gives size and text."""
    social_images: list[str] = field(default_factory=list)
    """References in og:image and twitter:image."""
    links: list[tuple[Tag, TagContext]] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)
    robots_metas: list[tuple[str, str]] = field(default_factory=list)

    @classmethod
    def from_soup(cls, soup: BeautifulSoup) -> Self:
        """Collect the tags of a page."""
        page = cls()
        contexts = {id(soup): TagContext(page.page_scope)}
        for tag in soup.descendants:
            if isinstance(tag, Tag):
                context = contexts[id(tag.parent)]
                page._collect(tag, context)
                page._collect_style(tag, context)
                contexts[id(tag)] = page._child_context(tag, context)
        return page

    def _child_context(self, tag: Tag, context: TagContext) -> TagContext:
        """Return the context of the tag's children."""
        match tag.name:
            case "a":
                return replace(context, link=tag)
            case "figure" | "article":
                return replace(context, scope=ProvenanceScope(context.scope, is_figure=tag.name == "figure"))
            case "picture":
                self.sources[id(tag)] = []
                return replace(context, picture=tag)
            case "noscript":
                return replace(context, noscript=tag)
        return context

    def _collect(self, tag: Tag, context: TagContext) -> None:
        match tag.name:
            case "img":
                self.images.append((tag, context))
            case "source" if context.picture is not None:
                self.sources[id(context.picture)].append(tag)
            case "a" | "area" | "link":
                self._collect_link(tag, context)
            case "meta":
                self._collect_meta(tag)
            case "figcaption" if context.scope.is_figure:
                context.scope.caption = context.scope.caption or tag_text(tag)
            case "base":
                self.base = self.base or attribute(tag, "href")
            case "title":
                self.title = self.title or tag_text(tag)
            case "script":
                self.scripts.append(tag.get_text())
            case "video":
                self.other_references.append((attribute(tag, "poster"), None, context))
            case "object" | "embed" if attribute(tag, "type").startswith("image/"):
                self.other_references.append((attribute(tag, "data") or attribute(tag, "src"), tag, context))
        if "cc:attributionname" in attribute(tag, "property").lower():
            name = single_line(attribute(tag, "content")) or tag_text(tag)
            context.scope.creator = context.scope.creator or name

    def _collect_link(self, tag: Tag, context: TagContext) -> None:
        self.links.append((tag, context))
        rel = rel_tokens(tag)
        if rel & _LICENCE_LINK_RELS:
            context.scope.licence = context.scope.licence or attribute(tag, "href")
        if "image_src" in rel:
            self.other_references.append((attribute(tag, "href"), None, context))

    def _collect_meta(self, tag: Tag) -> None:
        name = (attribute(tag, "property") or attribute(tag, "name")).lower()
        content = attribute(tag, "content")
        if name in _SOCIAL_IMAGE_METAS:
            self.social_images.append(content)
        elif name == "og:image:secure_url" and content:
            self.social_images[-1:] = [content]  # the same image as the one before it
        elif name == "og:title":
            self.social_title = self.social_title or single_line(content)
        elif name == "author":
            self.author = self.author or single_line(content)
        elif name in _LICENCE_METAS:
            self.page_scope.licence = self.page_scope.licence or content
        elif "bot" in name or name == AGENT_TOKEN:  # robots, googlebot and the like, and our own name
            self.robots_metas.append((name, content))

    def _collect_style(self, tag: Tag, context: TagContext) -> None:
        if tag.name == "style":
            styles = _CSS_BACKGROUND.findall(tag.get_text())
        else:
            styles = [attribute(tag, "style")]
            lazy = [value for name in _LAZY_BACKGROUND_ATTRIBUTES if (value := attribute(tag, name))]
            styles += [style if "url(" in style.lower() else f'url("{style}")' for style in lazy]
        for style in styles:
            for found in _CSS_URL.findall(style):
                self.other_references.append(("".join(found), None if tag.name == "style" else tag, context))


def tag_text(tag: Tag) -> str:
    """Return the text in a tag as one line, truncated."""
    return single_line(" ".join(islice(tag.stripped_strings, _MAX_STRINGS)))


def rel_tokens(tag: Tag) -> set[str]:
    """Return the tokens of a link's rel attribute."""
    return set(attribute(tag, "rel").lower().split())


# Fetched text may be anything; the warnings are meant for code that parses its own files.
for _category in (MarkupResemblesLocatorWarning, XMLParsedAsHTMLWarning):
    warnings.filterwarnings("ignore", category=_category)
MAX_CHARS = 4_000_000
MAX_TAGS = 100_000
_MAX_DEPTH = 128
_COMMENT_OR_SCRIPT = re.compile(r"<!--|<(script|style)\b[^>]*>", re.IGNORECASE)
_END_TAGS = {
    "script": re.compile(r"</script\b", re.IGNORECASE),
    "style": re.compile(r"</style\b", re.IGNORECASE),
}
# Numeric character references that are too long or malformed.
_INVALID_CHARACTER_REFERENCE = re.compile(r"&#(?![0-9]{1,7}[^0-9a-f]|x[0-9a-f]{1,6}[^0-9a-f])", re.IGNORECASE)


class _BoundedSoup(BeautifulSoup):
    """A parse tree of limited size and depth, since many traversals climb up from every leaf."""

    _tag_count = 0

    def handle_starttag(self, *args: Any, **kwargs: Any) -> Tag | None:
        self._tag_count += 1
        if self._tag_count > MAX_TAGS:
            return None
        while len(self.tagStack) > _MAX_DEPTH:  # deeper tags become siblings, as in browsers
            self.endData()
            self.popTag()
        return super().handle_starttag(*args, **kwargs)


def parse_soup(text: str) -> BeautifulSoup:
    """Return a page as a tree whose attributes are all strings; never raises.

    Reads the first 4 million characters and 100,000 tags, and of scripts only those with JSON-LD.
    """
    return _BoundedSoup(_sanitise(text[:MAX_CHARS]), "html.parser", multi_valued_attributes=None)


def _sanitise(text: str) -> str:
    """Remove constructs for which html.parser scans to the end of the page each time (quadratic time)."""
    # Cut after the last tag, so that every tag is closed.
    text = text[: text.rfind(">") + 1].replace("\0", "")
    return _INVALID_CHARACTER_REFERENCE.sub("&amp;#", _without_scripts(text).replace("<![", "<! ["))


def _without_scripts(text: str) -> str:
    kept: list[str] = []
    at = 0
    comments_end = text.rfind("-->")
    while found := _COMMENT_OR_SCRIPT.search(text, at):
        kept.append(text[at : found.start()])
        tag = (found[1] or "").lower()
        if not tag:
            # As in browsers, <!--> is a complete comment.
            is_closed = found.start() + 2 <= comments_end
            at = text.index("-->", found.start() + 2) + 3 if is_closed else found.end()
            continue
        end = _END_TAGS[tag].search(text, found.end())
        if end is None:  # unclosed: it contains the rest
            return "".join(kept)
        if tag == "style" or "ld+json" in found[0].lower():
            inside = text[found.end() : end.start()].replace("<!--", "").replace("-->", "")
            kept.append(found[0] + inside + f"</{tag}>")
        at = text.find(">", end.end()) + 1 or len(text)
    kept.append(text[at:])
    return "".join(kept)


_PIXELS = re.compile(r"(\d{1,6})(?:\.\d+)?(?:px)?")
_MAX_SIBLING_TAGS = 20


def parse_html(text: str, url: str) -> ParsedPage:
    """Return the images and links of a page; never raises. url: the page's own, the base of its links."""
    return _HtmlParser(PageTags.from_soup(parse_soup(text)), url).parse()


@dataclass
class _ImageCandidate:
    """An image, merged from all references to it on the page."""

    scope: ProvenanceScope
    alt_text: str
    width_px: int | None
    height_px: int | None
    skip_message: str


class _HtmlParser:
    """Turns the collected tags of a page into a ParsedPage."""

    def __init__(self, tags: PageTags, url: str) -> None:
        self._tags, self._url = tags, url
        self._base = resolve_url(tags.base, url) or url
        self._page_context = TagContext(tags.page_scope)
        self._candidates: dict[str, _ImageCandidate] = {}

    def parse(self) -> ParsedPage:
        """Return the parsed page."""
        self._collect_images()
        for reference, tag, context in self._tags.other_references:
            self._keep_first([reference], tag, context)
        for reference in self._tags.social_images:
            self._keep_first([reference], None, self._page_context)
        links, next_links = self._collect_links()
        descriptions = parse_json_ld(self._tags.scripts, self._resolve)
        for url in descriptions:
            self._keep(url, None, self._page_context)
        return ParsedPage(
            tuple(
                PageImage(
                    url,
                    self._provenance(candidate, descriptions.get(url)),
                    candidate.width_px,
                    candidate.height_px,
                )
                for url, candidate in self._candidates.items()
                if not candidate.skip_message
            ),
            tuple(
                (url, candidate.skip_message)
                for url, candidate in self._candidates.items()
                if candidate.skip_message
            ),
            links,
            next_links,
            tuple(self._tags.robots_metas),
        )

    def _resolve(self, reference: str) -> str | None:
        return resolve_url(reference, self._base)

    def _collect_images(self) -> None:
        images = self._tags.images
        kept_images = {
            id(image)
            for image, context in images
            if not context.noscript and self._keep_image(image, context)
        }
        for image, context in images:
            if context.noscript and not _repeats_sibling(context.noscript, kept_images):
                self._keep_image(image, context)
        with_image = {id(context.picture) for _image, context in images}
        for picture, sources in self._tags.sources.items():
            if picture not in with_image:
                self._keep_first(candidate_references(None, sources), None, self._page_context)

    def _keep_image(self, image: Tag, context: TagContext) -> bool:
        """Keep the best candidate of an img tag, and return whether there was one."""
        linked = self._resolve(attribute(context.link, "href")) if context.link is not None else None
        if linked is not None and is_image_file(linked):
            # A thumbnail that links to the full image, whose size the page does not state.
            self._keep(linked, image, context, has_size=False)
            return True
        sources = self._tags.sources.get(id(context.picture), [])
        return self._keep_first(candidate_references(image, sources), image, context)

    def _keep_first(self, references: list[str], tag: Tag | None, context: TagContext) -> bool:
        """Keep the first of these references that is a valid URL; return whether there was one."""
        for reference in references:
            if not is_inline(reference) and (url := self._resolve(reference)) is not None:
                self._keep(url, tag, context)
                return True
        return False

    def _keep(self, url: str, tag: Tag | None, context: TagContext, *, has_size: bool = True) -> None:
        width = height = None
        alt_text, is_hidden = "", False
        if tag is not None:
            alt_text = single_line(attribute(tag, "alt") or attribute(tag, "title"))
            if tag.name == "a":
                alt_text = alt_text or tag_text(tag)
            if has_size:
                width, height = _pixels(tag, "width"), _pixels(tag, "height")
                is_hidden = _is_hidden(tag)
        skip_message = icon_or_tracker_reason(url, width, height, is_hidden=is_hidden)
        candidate = self._candidates.setdefault(
            url, _ImageCandidate(context.scope, alt_text, width, height, skip_message)
        )
        candidate.alt_text = candidate.alt_text or alt_text
        if candidate.scope is self._tags.page_scope:
            candidate.scope = context.scope
        if candidate.skip_message and not skip_message:  # shown larger here than at an earlier reference
            candidate.skip_message, candidate.width_px, candidate.height_px = "", width, height

    def _provenance(self, candidate: _ImageCandidate, description: JsonLdImage | None) -> Provenance:
        description = description or JsonLdImage()
        page = self._tags
        creator = next((scope.creator for scope in candidate.scope.ancestors() if scope.creator), page.author)
        licence, licence_address = description.licence, description.licence_address
        if not licence and not licence_address:
            stated = next((scope.licence for scope in candidate.scope.ancestors() if scope.licence), "")
            licence_address = self._resolve(stated) or ""
            licence = licence_name(licence_address)
        return Provenance(
            self._url,
            description.title
            or candidate.scope.caption
            or candidate.alt_text
            or page.social_title
            or page.title,
            description.creator or creator,
            licence,
            licence_address,
        )

    def _collect_links(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        links: dict[str, None] = {}
        next_links: dict[str, None] = {}
        for tag, context in self._tags.links:
            rel = rel_tokens(tag)
            target = self._resolve(attribute(tag, "href"))
            if target is None or target == self._url or "nofollow" in rel:
                continue
            if tag.name == "link":
                kind = attribute(tag, "type").lower()
                if not ("next" in rel or ("alternate" in rel and ("rss" in kind or "atom" in kind))):
                    continue
            elif is_image_file(target) or is_vector_or_icon(target):
                self._keep(target, tag, context)
                continue
            links[target] = None
            if "next" in rel:
                next_links[target] = None
        return tuple(links), tuple(next_links)


def _repeats_sibling(noscript: Tag, kept_images: set[int]) -> bool:
    """Return whether the img in a noscript only repeats a lazily loaded one beside it."""
    for beside in (noscript.find_previous_sibling(True), noscript.find_next_sibling(True)):
        if isinstance(beside, Tag):
            tags = [beside, *islice(beside.descendants, _MAX_SIBLING_TAGS)]
            images = [tag for tag in tags if isinstance(tag, Tag) and tag.name == "img"]
            if images:
                return any(id(image) in kept_images for image in images)
    return False


def _is_hidden(tag: Tag) -> bool:
    style = attribute(tag, "style").lower().replace(" ", "")
    return tag.has_attr("hidden") or "display:none" in style or "visibility:hidden" in style


def _pixels(tag: Tag, name: str) -> int | None:
    found = _PIXELS.fullmatch(attribute(tag, name))
    return int(found[1]) if found else None
