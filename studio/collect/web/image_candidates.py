"""Which of the addresses that an img offers is the whole image."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from bs4 import Tag

from studio.i18n import _

ICON_PX = 32
_IMAGE = re.compile(r"\.(jpe?g|jpe|jfif|pjpeg|png|webp|gif|bmp|tiff?|heic|heif|avif)$", re.IGNORECASE)
_DRAWING = re.compile(r"\.(svgz?|ico|cur)$", re.IGNORECASE)
_SPRITE = re.compile(r"(?<![a-z])sprites?(?![a-z])", re.IGNORECASE)
# The whole name: pixel-art.png is an image. And no JPEG: it has no clear pixel, but there are beacons.
_TRACKER = re.compile(
    r"((tracker|tracking|track|pixel|beacon|spacer|blank|clear|transparent|1x1)[._-]?)+\d*"
    r"(\.(?!jpe?g$)[a-z]{2,4})?",
    re.IGNORECASE,
)


def file_of(address: str) -> str:
    """Return the last part of an address's path."""
    return unquote(address.partition("?")[0].rpartition("/")[2])


def is_image_file(address: str) -> bool:
    """Whether an address names an image by its ending. `File:Rose.jpg` of a wiki is the page about one."""
    name = file_of(address)
    return ":" not in name and _IMAGE.search(name) is not None


def is_drawing(address: str) -> bool:
    """Whether an address names a drawing or an icon by its ending: SVG, ICO."""
    return _DRAWING.search(file_of(address)) is not None


def why_ornament(
    address: str, width_px: int | None = None, height_px: int | None = None, *, hidden: bool = False
) -> str:
    """Return why an image is not asked for, in a sentence; empty for most.

    width_px, height_px: as its page shows it, where it says so. hidden: its page does not show it at all.
    """
    name = file_of(address)
    sides = [side for side in (width_px, height_px) if side is not None]
    if is_drawing(address):
        said = _("{address} is not asked: by its name it is a drawing or an icon.")
    elif _SPRITE.search(name):
        said = _("{address} is not asked: by its name it holds many icons, a sprite.")
    elif _TRACKER.fullmatch(name):
        said = _("{address} is not asked: by its name it counts visitors or fills a gap.")
    elif sides and min(sides) < ICON_PX:
        said = _("{address} is not asked: its page shows it {side} px large, as an icon or a tracker.")
    elif hidden and not is_image_file(address):
        said = _("{address} is not asked: its page hides it, as it would a tracker.")
    else:
        return ""
    return said.format(address=address, side=min(sides, default=0))


# From what galleries and shops call the image that opens on a click.
_WHOLE = (
    "data-orig-file", "data-full-src", "data-full", "data-hi-res-src", "data-hi-res", "data-highres",
    "data-zoom-image", "data-large_image", "data-large-file",
)  # fmt: skip
_LAZY = (
    "data-src", "data-original", "data-lazy-src", "data-lazy", "data-url", "data-image", "data-actualsrc",
    "data-echo", "data-defer-src", "data-img-src",
)  # fmt: skip
_SETS = ("srcset", "data-srcset", "data-lazy-srcset", "data-original-set")
_READABLE = re.compile(r"image/(jpe?g|pjpeg|png|apng|webp|gif|bmp|tiff|avif|hei[cf])\b", re.IGNORECASE)
_WIDTH = re.compile(r"(\d{1,6})w")
_DENSITY = re.compile(r"(\d{0,4}(?:\.\d{1,6})?)x")
_SPACE = re.compile(r"[\s,]*")
_WORD = re.compile(r"\S+")
_DESCRIPTORS = re.compile(r"(?:\([^()]*\)|[^,(])*")


@dataclass(frozen=True)
class _Candidate:
    reference: str
    width: int = 0
    density: float = 1.0


def attribute(tag: Tag, name: str) -> str:
    """Return an attribute's text, trimmed; empty where there is none."""
    value = tag.get(name)
    return value.strip() if isinstance(value, str) else ""


def is_inline(reference: str) -> bool:
    """Whether a reference holds an image itself, or is none at all."""
    return reference.lower().startswith(("data:", "blob:", "javascript:", "about:", "#"))


def references(image: Tag | None, sources: Iterable[Tag]) -> list[str]:
    """Return what an img and the sources of its image offer, the best first.

    That is: the whole image where an attribute says so, the largest of all srcsets, what is loaded late,
    and `src`. Of equals the img's own, which every browser can show.
    """
    candidates: list[_Candidate] = []
    late: list[str] = []
    others: list[str] = []
    whole: list[str] = []
    if image is not None:
        whole = [value for name in _WHOLE if _names_a_file(value := attribute(image, name))]
        candidates += _of_sets(image)
        late = [value for name in _LAZY if _names_a_file(value := attribute(image, name))]
        if not late and not candidates:
            late = [value for name in image.attrs if _is_late(name, value := attribute(image, name))]
        others = [each for each in (*late, attribute(image, "src")) if each and not is_inline(each)]
    for source in sources:
        kind = attribute(source, "type")
        if not kind or _READABLE.match(kind):
            candidates += _of_sets(source)
    if candidates and others and not any(candidate.width for candidate in candidates):
        candidates.insert(0, _Candidate(others[0]))  # as src, it is the one for 1x
    candidates.sort(key=lambda each: (each.width, each.density), reverse=True)
    return [*whole, *(each.reference for each in candidates[:1]), *others]


def _of_sets(tag: Tag) -> Iterator[_Candidate]:
    for name in _SETS:
        yield from in_set(attribute(tag, name))


def in_set(srcset: str) -> Iterator[_Candidate]:
    """Yield the candidates of a srcset, as HTML describes it; those with a size that is none are left out."""
    at = 0
    while True:
        at = _end(_SPACE, srcset, at)
        word = _WORD.match(srcset, at)
        if word is None:
            return
        reference, at = word[0].rstrip(","), word.end()
        said = ""
        if reference == word[0]:
            end = _end(_DESCRIPTORS, srcset, at)
            said, at = srcset[at:end].strip(), end + 1
        candidate = _sized(reference, said)
        if candidate is not None and not is_inline(reference):
            yield candidate


def _end(rule: re.Pattern[str], text: str, at: int) -> int:
    found = rule.match(text, at)
    return found.end() if found else at


def _sized(reference: str, said: str) -> _Candidate | None:
    descriptors = said.split()
    if not descriptors:
        return _Candidate(reference)
    if found := _WIDTH.fullmatch(descriptors[0]):
        return _Candidate(reference, width=int(found[1]))
    found = _DENSITY.fullmatch(descriptors[0])
    return _Candidate(reference, density=float(found[1])) if found and found[1] else None


def _names_a_file(value: str) -> bool:
    """Whether an attribute that pages use as they like holds an address, not a number or a word."""
    return ("/" in value or "." in value) and not is_inline(value) and _is_one_word(value)


def _is_one_word(value: str) -> bool:
    return value[0] not in "{[<" and not any(letter.isspace() for letter in value)


def _is_late(name: str, value: str) -> bool:
    return name.startswith("data-") and _names_a_file(value) and is_image_file(value.partition("#")[0])
