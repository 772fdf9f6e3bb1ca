"""The flower photographs of the TensorFlow for Poets codelab: where they are and whose they are."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image, ImageDraw

from studio.collect.archives import Limits, members
from studio.datasets.sources import Offer, Source
from studio.images.provenance import Provenance

ADDRESS = "http://download.tensorflow.org/example_images/flower_photos.tgz"
_LICENCE = "CC BY 2.0"
_LICENCE_ADDRESS = "https://creativecommons.org/licenses/by/2.0/"
# "daisy/5547758_eea9edfd54_n.jpg CC-BY by Jane Doe - https://www.flickr.com/photos/jane/5547758/"
_CREDIT = re.compile(
    r"^\s*(?P<file>\S+\.jpe?g)\s+(?:CC[- ]BY\S*\s+)?(?:by\s+)?(?P<creator>.*?)"
    r"(?:\s+-\s+|\s+)?(?P<page>https?://\S+)?\s*$",
    re.IGNORECASE,
)
_FLICKR_ID = re.compile(r"^(\d+)_")


@dataclass(frozen=True)
class Credit:
    """Who took a photograph, and the page it stands on."""

    creator: str
    page_address: str


def read_credits(archive: Path) -> dict[str, Credit]:
    """Return the credits in the archive's LICENSE.txt, by class and file name; none where it lacks one.

    Raises ArchiveRefused when the archive is broken.
    """
    for member in members(archive, Limits()):
        if not member.refusal and PurePosixPath(member.name).name.upper() == "LICENSE.TXT":
            return parse_credits(member.read().decode("utf-8", errors="replace"))
    return {}


def parse_credits(text: str) -> dict[str, Credit]:
    """Return the credits in a LICENSE.txt; lines that credit no file are passed over."""
    found = (_CREDIT.match(line) for line in text.splitlines())
    return {_key(m["file"]): Credit(m["creator"].strip(), m["page"] or "") for m in found if m}


def provenance_of(name: str, credit_by_file: Mapping[str, Credit]) -> Provenance:
    """Return the provenance of a photograph by its path in the archive."""
    credit = credit_by_file.get(_key(name), Credit("", ""))
    photo = _FLICKR_ID.match(PurePosixPath(name).name)
    # A file's leading number is its number at Flickr, which leads to its page from there.
    page = credit.page_address or (f"https://www.flickr.com/photo.gne?id={photo[1]}" if photo else "")
    return Provenance(page, "", credit.creator, _LICENCE, _LICENCE_ADDRESS)


def _key(name: str) -> str:
    return "/".join(PurePosixPath(name).parts[-2:])


SIDE_PX = 320
PER_CLASS = 40
_CORNERS = {"circles": 0, "squares": 4, "triangles": 3, "stars": 10}
_FINER = 2  # drawn twice as large and made smaller, for smooth edges
_PAPERS = Provenance(
    title="A drawing made by Retrain Studio",
    licence="CC0 1.0",
    licence_address="https://creativecommons.org/publicdomain/zero/1.0/",
)
_Point = tuple[float, float]


def drawings_offer(rng: np.random.Generator, per_class: int = PER_CLASS) -> Offer:
    """Return drawings of circles, squares, triangles and stars, `per_class` of each: PNG, 320 x 320 px.

    The same generator gives the same drawings, whichever of them are asked for.
    """
    seeds = rng.integers(0, 2**63, (len(_CORNERS), per_class))

    def sources() -> Iterator[Source]:
        for class_name, row in zip(_CORNERS, seeds, strict=True):
            for number, seed in enumerate(row, start=1):
                name = f"{class_name}/{number:03}.png"
                yield Source(name, partial(_png, class_name, int(seed)), class_name, "drawing", _PAPERS)

    return Offer(seeds.size, sources())


def _png(class_name: str, seed: int) -> bytes:
    file = BytesIO()
    _draw(class_name, np.random.default_rng(seed)).save(file, "PNG")
    return file.getvalue()


def _draw(class_name: str, rng: np.random.Generator) -> Image.Image:
    side = SIDE_PX * _FINER
    paper, ink, colour = _colours(rng)
    image = Image.new("RGB", (side, side), paper)
    pen = ImageDraw.Draw(image)
    _background(pen, rng, paper, side)
    radius = side * rng.uniform(0.2, 0.38)
    centre = rng.uniform(radius * 1.1, side - radius * 1.1, 2)
    outline = _outline(class_name, rng, radius, centre)
    style = rng.integers(3)
    if style != 0:
        pen.polygon(outline, fill=colour)
    if style != 1:
        # Two strokes that do not quite meet, as a hand draws them.
        for _stroke in range(rng.integers(1, 3)):
            wobbly = [_near(point, rng, side * 0.004) for point in outline]
            pen.line(
                [*wobbly, *wobbly[:2]], fill=ink, width=int(side * rng.uniform(0.008, 0.022)), joint="curve"
            )
    return image.reduce(_FINER)


def _colours(rng: np.random.Generator) -> tuple[tuple[int, int, int], ...]:
    """Return paper (light, sometimes dark), ink and filling that can be told from each other."""
    dark = rng.integers(4) == 0
    paper = rng.integers(10, 60, 3) if dark else rng.integers(205, 256, 3)
    ink = rng.integers(190, 256, 3) if dark else rng.integers(0, 80, 3)
    colour = rng.permutation([rng.integers(0, 90), rng.integers(60, 200), rng.integers(170, 256)])
    return tuple((int(r), int(g), int(b)) for r, g, b in (paper, ink, colour))


def _background(
    pen: ImageDraw.ImageDraw, rng: np.random.Generator, paper: tuple[int, int, int], side: int
) -> None:
    """Draw nothing, ruled lines, a grid, or specks, a little darker or lighter than the paper."""
    faint = tuple(int(np.clip(value + rng.choice((-28, 28)), 0, 255)) for value in paper)
    step = int(side * rng.uniform(0.06, 0.14))
    kind = rng.integers(4)
    if kind in (1, 2):
        for at in range(step, side, step):
            pen.line([(0, at), (side, at)], fill=faint, width=2)
            if kind == 2:  # noqa: PLR2004 - a grid
                pen.line([(at, 0), (at, side)], fill=faint, width=2)
    elif kind == 3:  # noqa: PLR2004 - specks
        for x, y in rng.uniform(0, side, (60, 2)):
            pen.ellipse([x, y, x + 6, y + 6], fill=faint)


def _outline(
    class_name: str,
    rng: np.random.Generator,
    radius: float,
    centre: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> list[_Point]:
    corners = _CORNERS[class_name] or 60
    turn = rng.uniform(0, 2 * math.pi)
    squeeze, lean = rng.uniform(0.8, 1.0), rng.uniform(-0.15, 0.15)
    inner = rng.uniform(0.38, 0.55) if class_name == "stars" else 1.0
    knocks = 0.015 if class_name == "circles" else 0.05
    points = []
    for corner in range(corners):
        angle = turn + 2 * math.pi * corner / corners
        length = radius * (inner if corner % 2 else 1.0) * (1 + rng.normal(0, knocks))
        x, y = length * math.cos(angle), length * math.sin(angle) * squeeze
        points.append((float(centre[0] + x + lean * y), float(centre[1] + y)))
    return [
        point
        for start, end in zip(points, [*points[1:], points[0]], strict=True)
        for point in _shaky(start, end, rng, radius)
    ]


def _shaky(start: _Point, end: _Point, rng: np.random.Generator, radius: float) -> list[_Point]:
    """Return points from `start` towards `end` along a line that a hand did not draw quite straight."""
    steps = max(1, int(math.dist(start, end) / (radius * 0.15)))
    line = [
        (start[0] + (end[0] - start[0]) * i / steps, start[1] + (end[1] - start[1]) * i / steps)
        for i in range(steps)
    ]
    return [line[0], *(_near(point, rng, radius * 0.012) for point in line[1:])]


def _near(point: _Point, rng: np.random.Generator, by: float) -> _Point:
    return point[0] + float(rng.normal(0, by)), point[1] + float(rng.normal(0, by))
