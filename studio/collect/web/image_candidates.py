"""Image candidates: the full-size image among the references of an img tag, and images to skip."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from bs4 import Tag

from studio.i18n import _

ICON_PX = 32
_IMAGE_ENDING = re.compile(r"\.(jpe?g|jpe|jfif|pjpeg|png|webp|gif|bmp|tiff?|heic|heif|avif)$", re.IGNORECASE)
_VECTOR_OR_ICON_ENDING = re.compile(r"\.(svgz?|ico|cur)$", re.IGNORECASE)
_SPRITE = re.compile(r"(?<![a-z])sprites?(?![a-z])", re.IGNORECASE)
# The whole name: pixel-art.png is an image. And no JPEG: it has no clear pixel, but there are beacons.
_TRACKER = re.compile(
    r"((tracker|tracking|track|pixel|beacon|spacer|blank|clear|transparent|1x1)[._-]?)+\d*"
    r"(\.(?!jpe?g$)[a-z]{2,4})?",
    re.IGNORECASE,
)


def url_file_name(url: str) -> str:
    """Return the last part of a URL's path."""
    return unquote(url.partition("?")[0].rpartition("/")[2])


def is_image_file(url: str) -> bool:
    """Return whether a URL names an image by its ending; a wiki's `File:Rose.jpg` is a page, not an image."""
    name = url_file_name(url)
    return ":" not in name and _IMAGE_ENDING.search(name) is not None


def is_vector_or_icon(url: str) -> bool:
    """Return whether a URL names a vector image or an icon by its ending: SVG, ICO."""
    return _VECTOR_OR_ICON_ENDING.search(url_file_name(url)) is not None


def icon_or_tracker_reason(
    url: str, width_px: int | None = None, height_px: int | None = None, *, is_hidden: bool = False
) -> str:
    """Return a message why an image is skipped as an icon, sprite or tracker; empty for most images.

    width_px, height_px: displayed size, if the page states it. is_hidden: the page does not display it.
    """
    name = url_file_name(url)
    sides = [side for side in (width_px, height_px) if side is not None]
    if is_vector_or_icon(url):
        message = _("{url} is not fetched: by its name it is a drawing or an icon.")
    elif _SPRITE.search(name):
        message = _("{url} is not fetched: by its name it holds many icons, a sprite.")
    elif _TRACKER.fullmatch(name):
        message = _("{url} is not fetched: by its name it counts visitors or fills a gap.")
    elif sides and min(sides) < ICON_PX:
        message = _("{url} is not fetched: its page shows it {side} px large, as an icon or a tracker.")
    elif is_hidden and not is_image_file(url):
        message = _("{url} is not fetched: its page hides it, as it would a tracker.")
    else:
        return ""
    return message.format(url=url, side=min(sides, default=0))


# Attributes in which galleries and shops give the image that opens on a click.
_FULL_SIZE_ATTRIBUTES = (
    "data-orig-file", "data-full-src", "data-full", "data-hi-res-src", "data-hi-res", "data-highres",
    "data-zoom-image", "data-large_image", "data-large-file",
)  # fmt: skip
_LAZY_ATTRIBUTES = (
    "data-src", "data-original", "data-lazy-src", "data-lazy", "data-url", "data-image", "data-actualsrc",
    "data-echo", "data-defer-src", "data-img-src",
)  # fmt: skip
_SRCSET_ATTRIBUTES = ("srcset", "data-srcset", "data-lazy-srcset", "data-original-set")
_SUPPORTED_TYPE = re.compile(r"image/(jpe?g|pjpeg|png|apng|webp|gif|bmp|tiff|avif|hei[cf])\b", re.IGNORECASE)
_WIDTH = re.compile(r"(\d{1,6})w")
_DENSITY = re.compile(r"(\d{0,4}(?:\.\d{1,6})?)x")
_SRCSET_SEPARATOR = re.compile(r"[\s,]*")
_SRCSET_REFERENCE = re.compile(r"\S+")
_DESCRIPTORS = re.compile(r"(?:\([^()]*\)|[^,(])*")


@dataclass(frozen=True)
class _Candidate:
    reference: str
    width: int = 0
    density: float = 1.0


def attribute(tag: Tag, name: str) -> str:
    """Return an attribute's text, trimmed; empty if it is missing."""
    value = tag.get(name)
    return value.strip() if isinstance(value, str) else ""


def is_inline(reference: str) -> bool:
    """Return whether a reference contains the image itself, or is not a URL to fetch."""
    return reference.lower().startswith(("data:", "blob:", "javascript:", "about:", "#"))


def candidate_references(image: Tag | None, sources: Iterable[Tag]) -> list[str]:
    """Return the candidate references of an img tag and its picture's source tags, the best first.

    The order is: full-size attributes, the largest srcset candidate, lazy-loading attributes, `src`. Among
    equals the img tag's own comes first, since every browser can show it.
    """
    candidates: list[_Candidate] = []
    lazy: list[str] = []
    plain_references: list[str] = []
    full_size: list[str] = []
    if image is not None:
        full_size = [
            value for name in _FULL_SIZE_ATTRIBUTES if _is_file_reference(value := attribute(image, name))
        ]
        candidates += _srcset_candidates(image)
        lazy = [value for name in _LAZY_ATTRIBUTES if _is_file_reference(value := attribute(image, name))]
        if not lazy and not candidates:
            lazy = [
                value for name in image.attrs if _is_lazy_reference(name, value := attribute(image, name))
            ]
        plain_references = [each for each in (*lazy, attribute(image, "src")) if each and not is_inline(each)]
    for source in sources:
        kind = attribute(source, "type")
        if not kind or _SUPPORTED_TYPE.match(kind):
            candidates += _srcset_candidates(source)
    if candidates and plain_references and not any(candidate.width for candidate in candidates):
        candidates.insert(0, _Candidate(plain_references[0]))  # src is the 1x candidate
    candidates.sort(key=lambda each: (each.width, each.density), reverse=True)
    return [*full_size, *(each.reference for each in candidates[:1]), *plain_references]


def _srcset_candidates(tag: Tag) -> Iterator[_Candidate]:
    for name in _SRCSET_ATTRIBUTES:
        yield from parse_srcset(attribute(tag, name))


def parse_srcset(srcset: str) -> Iterator[_Candidate]:
    """Yield the candidates of a srcset, parsed as the HTML standard says; invalid sizes are left out."""
    at = 0
    while True:
        at = _match_end(_SRCSET_SEPARATOR, srcset, at)
        word = _SRCSET_REFERENCE.match(srcset, at)
        if word is None:
            return
        reference, at = word[0].rstrip(","), word.end()
        message = ""
        if reference == word[0]:
            end = _match_end(_DESCRIPTORS, srcset, at)
            message, at = srcset[at:end].strip(), end + 1
        candidate = _candidate_of(reference, message)
        if candidate is not None and not is_inline(reference):
            yield candidate


def _match_end(rule: re.Pattern[str], text: str, at: int) -> int:
    found = rule.match(text, at)
    return found.end() if found else at


def _candidate_of(reference: str, message: str) -> _Candidate | None:
    descriptors = message.split()
    if not descriptors:
        return _Candidate(reference)
    if found := _WIDTH.fullmatch(descriptors[0]):
        return _Candidate(reference, width=int(found[1]))
    found = _DENSITY.fullmatch(descriptors[0])
    return _Candidate(reference, density=float(found[1])) if found and found[1] else None


def _is_file_reference(value: str) -> bool:
    """Return whether an attribute without a fixed meaning holds a URL, not a number or a word."""
    return ("/" in value or "." in value) and not is_inline(value) and _is_single_token(value)


def _is_single_token(value: str) -> bool:
    return value[0] not in "{[<" and not any(letter.isspace() for letter in value)


def _is_lazy_reference(name: str, value: str) -> bool:
    return name.startswith("data-") and _is_file_reference(value) and is_image_file(value.partition("#")[0])
