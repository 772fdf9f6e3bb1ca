"""Sample datasets: the flower photographs of the TensorFlow for Poets codelab, and drawn shapes."""

import math
import re
from collections.abc import Iterator, Mapping
from functools import partial
from io import BytesIO
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image, ImageDraw

from studio.collect.archives import ArchiveLimits, archive_members
from studio.collect.flower_credits import Credit, credit_key, parse_credits
from studio.datasets.sources import ImportSources, Source
from studio.images.provenance import Provenance

FLOWER_PHOTOS_URL = "http://download.tensorflow.org/example_images/flower_photos.tgz"
_FLOWERS_LICENCE = "CC BY 2.0"
_FLOWERS_LICENCE_URL = "https://creativecommons.org/licenses/by/2.0/"
_FLICKR_ID = re.compile(r"^(\d+)_")


def read_flower_credits(archive: Path) -> dict[str, Credit]:
    """Return the credits in the archive's LICENSE.txt, by class and file name; empty if it has none.

    Raises ArchiveRefused when the archive is broken.
    """
    for member in archive_members(archive, ArchiveLimits()):
        if not member.skip_message and PurePosixPath(member.name).name.upper() == "LICENSE.TXT":
            return parse_credits(member.read().decode("utf-8", errors="replace"))
    return {}


def flower_provenance(name: str, credit_by_file: Mapping[str, Credit]) -> Provenance:
    """Return the provenance of a photograph, given its path in the archive."""
    credit = credit_by_file.get(credit_key(name), Credit("", ""))
    photo = _FLICKR_ID.match(PurePosixPath(name).name)
    # The number at the start of a file name is the photo's id on Flickr, which redirects to its page.
    page = credit.page_address or (f"https://www.flickr.com/photo.gne?id={photo[1]}" if photo else "")
    return Provenance(page, "", credit.creator, _FLOWERS_LICENCE, _FLOWERS_LICENCE_URL)


SHAPE_PX = 320
SHAPES_PER_CLASS = 40
_CORNERS = {"circles": 0, "squares": 4, "triangles": 3, "stars": 10}
_OVERSAMPLING = 2  # drawn at twice the size and reduced, for smooth edges
_SHAPE_PROVENANCE = Provenance(
    title="A drawing made by Retrain Studio",
    licence="CC0 1.0",
    licence_address="https://creativecommons.org/publicdomain/zero/1.0/",
)
_Point = tuple[float, float]


def sample_shapes(rng: np.random.Generator, per_class: int = SHAPES_PER_CLASS) -> ImportSources:
    """Return drawn circles, squares, triangles and stars, `per_class` of each: PNG, 320 x 320 px.

    The same state of the generator gives the same images, whichever of them are read.
    """
    seeds = rng.integers(0, 2**63, (len(_CORNERS), per_class))

    def sources() -> Iterator[Source]:
        for class_name, row in zip(_CORNERS, seeds, strict=True):
            for number, seed in enumerate(row, start=1):
                name = f"{class_name}/{number:03}.png"
                yield Source(
                    name, partial(_shape_png, class_name, int(seed)), class_name, "drawing", _SHAPE_PROVENANCE
                )

    return ImportSources(seeds.size, sources())


def _shape_png(class_name: str, seed: int) -> bytes:
    file = BytesIO()
    _draw_shape(class_name, np.random.default_rng(seed)).save(file, "PNG")
    return file.getvalue()


def _draw_shape(class_name: str, rng: np.random.Generator) -> Image.Image:
    side = SHAPE_PX * _OVERSAMPLING
    background_colour, line_colour, fill_colour = _colours(rng)
    image = Image.new("RGB", (side, side), background_colour)
    draw = ImageDraw.Draw(image)
    _draw_background(draw, rng, background_colour, side)
    radius = side * rng.uniform(0.2, 0.38)
    centre = rng.uniform(radius * 1.1, side - radius * 1.1, 2)
    outline = _shape_outline(class_name, rng, radius, centre)
    style = rng.integers(3)
    if style != 0:
        draw.polygon(outline, fill=fill_colour)
    if style != 1:
        # One or two strokes whose ends do not quite meet, as in hand drawings.
        for _stroke in range(rng.integers(1, 3)):
            jittered = [_jitter(point, rng, side * 0.004) for point in outline]
            draw.line(
                [*jittered, *jittered[:2]],
                fill=line_colour,
                width=int(side * rng.uniform(0.008, 0.022)),
                joint="curve",
            )
    return image.reduce(_OVERSAMPLING)


def _colours(rng: np.random.Generator) -> tuple[tuple[int, int, int], ...]:
    """Return distinct colours of the background (light, sometimes dark), the outline and the filling."""
    dark = rng.integers(4) == 0
    background_colour = rng.integers(10, 60, 3) if dark else rng.integers(205, 256, 3)
    line_colour = rng.integers(190, 256, 3) if dark else rng.integers(0, 80, 3)
    fill_colour = rng.permutation([rng.integers(0, 90), rng.integers(60, 200), rng.integers(170, 256)])
    return tuple((int(r), int(g), int(b)) for r, g, b in (background_colour, line_colour, fill_colour))


def _draw_background(
    draw: ImageDraw.ImageDraw, rng: np.random.Generator, background_colour: tuple[int, int, int], side: int
) -> None:
    """Draw ruled lines, a grid, specks or nothing, slightly darker or lighter than the background."""
    pattern_colour = tuple(int(np.clip(value + rng.choice((-28, 28)), 0, 255)) for value in background_colour)
    step = int(side * rng.uniform(0.06, 0.14))
    kind = rng.integers(4)
    if kind in (1, 2):
        for at in range(step, side, step):
            draw.line([(0, at), (side, at)], fill=pattern_colour, width=2)
            if kind == 2:  # noqa: PLR2004 - a grid
                draw.line([(at, 0), (at, side)], fill=pattern_colour, width=2)
    elif kind == 3:  # noqa: PLR2004 - specks
        for x, y in rng.uniform(0, side, (60, 2)):
            draw.ellipse([x, y, x + 6, y + 6], fill=pattern_colour)


def _shape_outline(
    class_name: str,
    rng: np.random.Generator,
    radius: float,
    centre: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> list[_Point]:
    corners = _CORNERS[class_name] or 60
    rotation = rng.uniform(0, 2 * math.pi)
    squeeze, shear = rng.uniform(0.8, 1.0), rng.uniform(-0.15, 0.15)
    inner = rng.uniform(0.38, 0.55) if class_name == "stars" else 1.0
    roughness = 0.015 if class_name == "circles" else 0.05
    points = []
    for corner in range(corners):
        angle = rotation + 2 * math.pi * corner / corners
        length = radius * (inner if corner % 2 else 1.0) * (1 + rng.normal(0, roughness))
        x, y = length * math.cos(angle), length * math.sin(angle) * squeeze
        points.append((float(centre[0] + x + shear * y), float(centre[1] + y)))
    return [
        point
        for start, end in zip(points, [*points[1:], points[0]], strict=True)
        for point in _uneven_line(start, end, rng, radius)
    ]


def _uneven_line(start: _Point, end: _Point, rng: np.random.Generator, radius: float) -> list[_Point]:
    """Return points from `start` towards `end` along a slightly uneven line."""
    steps = max(1, int(math.dist(start, end) / (radius * 0.15)))
    line = [
        (start[0] + (end[0] - start[0]) * i / steps, start[1] + (end[1] - start[1]) * i / steps)
        for i in range(steps)
    ]
    return [line[0], *(_jitter(point, rng, radius * 0.012) for point in line[1:])]


def _jitter(point: _Point, rng: np.random.Generator, deviation: float) -> _Point:
    return point[0] + float(rng.normal(0, deviation)), point[1] + float(rng.normal(0, deviation))
