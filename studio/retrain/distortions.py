"""Distorted views of images, each made and embedded once, by the flags of `retrain.py` and two more.

`retrain.py` distorts anew at every step and so runs its network over every image of every batch. Here a
image has a fixed number of views, whose bottlenecks are cached like any other; a step draws among them.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from studio.arrays import Uint8Array
from studio.backbones import BackboneFile
from studio.backbones.bottleneck_cache import BottleneckCache
from studio.backbones.embedding import EmbeddingRequest, ImageFile, Refusal, fill
from studio.backbones.preprocessing import Preprocessing
from studio.i18n import _
from studio.images.decode import decode, read_image_file
from studio.progress import Progress
from studio.retrain.options import RunOptions

_VERSION = 1
"""To be raised when the same numbers make other pixels; it is part of the fingerprint."""
_CHANCES = 8
"""Random numbers to a view, drawn whether used or not, so that adding one distortion leaves the others."""
_HUE_DEGREES = 60.0
"""By how much the hue turns, to either side, at 100 percent: as far as from red to yellow."""
_YIQ = np.array([[0.299, 0.587, 0.114], [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])
"""From RGB to brightness and two axes of colour, as NTSC has them."""


@dataclass(frozen=True)
class Distortions:
    """How far images are distorted; percentages but where said. The first four are the peer's.

    flip_left_right: mirrored, every other time.
    random_crop: the image is made larger by this much and the input cut out of it anywhere.
    random_scale: made larger, on top of that, by anything up to this much.
    random_brightness: values multiplied by anything within this much of 1. What leaves 0-255 is cut off,
        for a view is an image as the finished model may meet it; the peer lets it pass.
    random_rotation: degrees to either side; corners show the image's reflection.
    random_colour: saturation multiplied within this much of 1, and the hue turned, at 20 by up to 12 degrees.
    """

    flip_left_right: bool = False
    random_crop: int = 0
    random_scale: int = 0
    random_brightness: int = 0
    random_rotation: int = 0
    random_colour: int = 0

    @classmethod
    def of(cls, options: RunOptions) -> "Distortions | None":
        """Return what a run's options ask for, or None where they ask for no distortion."""
        if not options.distorts:
            return None
        return cls(
            options.flip_left_right,
            options.random_crop,
            options.random_scale,
            options.random_brightness,
            options.random_rotation,
            options.random_colour,
        )

    @property
    def fingerprint(self) -> str:
        """The name of these settings in caches: 16 hexadecimal digits."""
        named = {**asdict(self), "version": _VERSION}
        return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def largest_scale(self) -> float:
        """How many times the input's size an image is made before the input is cut out of it; 1 or more."""
        return (1 + self.random_crop / 100) * (1 + self.random_scale / 100)

    @property
    def only_flips(self) -> bool:
        """Whether an image has two views and no more: the mirror, and itself."""
        return self == Distortions(flip_left_right=True)

    def view(
        self,
        image: Image.Image,
        preprocessing: Preprocessing,
        generator: np.random.Generator,
        *,
        mirrored: bool | None = None,
    ) -> Uint8Array:
        """Return one distorted view: uint8, (height_px, width_px, 3). image: upright, RGB, of any size.

        mirrored: for whoever sees to it that every other view is; None leaves it to chance.
        """
        chance = generator.random(_CHANCES)
        scale = (1 + self.random_crop / 100) * (1 + chance[0] * self.random_scale / 100)
        flip = chance[3] < 0.5 if mirrored is None else mirrored  # noqa: PLR2004 - even odds
        brightness = 1 + _either(chance[4]) * self.random_brightness / 100
        degrees = _either(chance[5]) * self.random_rotation
        saturation = 1 + _either(chance[6]) * self.random_colour / 100
        hue = _either(chance[7]) * self.random_colour / 100 * _HUE_DEGREES

        cut = _cut(image, preprocessing, scale, (chance[1], chance[2]), degrees)
        if flip and self.flip_left_right:
            cut = cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if (brightness, saturation, hue) != (1, 1, 0):
            cut = cut.convert("RGB", _colours(brightness, saturation, hue))
        return np.asarray(cut, np.uint8)


def view_digest(sha256: str, distortions: Distortions, number: int, seed: int) -> str:
    """Return the name of an image's view in a cache of bottlenecks: 64 hexadecimal digits.

    number: 1 and up; the odd ones are mirrored where a flip is asked for. The same four things always give
    the same pixels, and where two views are the same they have one digest.
    """
    if distortions.only_flips:
        number, seed = 2 - number % 2, 0
    named = f"view {number} of {sha256} by {distortions.fingerprint} with {seed}"
    return hashlib.sha256(named.encode()).hexdigest()


def embed_views(
    images: Iterable[ImageFile],
    backbone: BackboneFile,
    cache: BottleneckCache,
    distortions: Distortions,
    views: int,
    seed: int,
    *,
    threads: int,
    progress: Progress,
) -> tuple[Refusal, ...]:
    """Fill `cache` with what it lacks of the views 1 to `views` of each image, under `view_digest`.

    Each file is read and decoded once for all its views. Returns the files that could not be read; stops and
    is killed as `embed`.
    """
    by_digest = {image.sha256: image for image in images}
    numbers = {
        sha256: {view_digest(sha256, distortions, number, seed): number for number in range(1, views + 1)}
        for sha256 in by_digest
    }
    phase = _("Computing distorted views")
    total = sum(map(len, numbers.values()))
    progress.report(phase, 0, total)
    missing = set(cache.missing(digest for named in numbers.values() for digest in named))
    wanted = {sha256: tuple(d for d in named if d in missing) for sha256, named in numbers.items()}
    errands = [EmbeddingRequest(by_digest[sha256], digests) for sha256, digests in wanted.items() if digests]

    def draw(errand: EmbeddingRequest, content: bytes) -> Iterator[Uint8Array]:
        sha256 = errand.image.sha256
        image = _decoded(content, errand.image.path.name, distortions, backbone.preprocessing)
        for digest in errand.digests:
            number = numbers[sha256][digest]
            yield _numbered(image, distortions, backbone.preprocessing, (sha256, number, seed))

    return fill(cache, errands, backbone, draw, phase=phase, total=total, threads=threads, progress=progress)


def preview(
    path: Path, distortions: Distortions, preprocessing: Preprocessing, count: int, seed: int
) -> list[Uint8Array]:
    """Return the views 1 to `count` of a file, to the pixel as training sees them: uint8, (h, w, 3) each.

    Raises ImageRefused.
    """
    content = read_image_file(path, path.name)
    sha256 = hashlib.sha256(content).hexdigest()
    image = _decoded(content, path.name, distortions, preprocessing)
    return [
        _numbered(image, distortions, preprocessing, (sha256, number, seed)) for number in range(1, count + 1)
    ]


def _decoded(
    content: bytes, name: str, distortions: Distortions, preprocessing: Preprocessing
) -> Image.Image:
    # As `Preprocessing.read`, but with enough pixels for the largest scale.
    longest = max(preprocessing.width_px, preprocessing.height_px)
    return decode(content, name, at_least_px=math.ceil(2 * longest * distortions.largest_scale))


def _numbered(
    image: Image.Image, distortions: Distortions, preprocessing: Preprocessing, which: tuple[str, int, int]
) -> Uint8Array:
    """Return a view by the image's SHA-256, its number and the seed.

    Chance hangs on these three and not on the distortions: where one of them is turned up, the others stay.
    """
    sha256, number, seed = which
    named = hashlib.sha256(f"chance of view {number} of {sha256} with {seed}".encode()).hexdigest()
    generator = np.random.default_rng(int(named, 16))
    return distortions.view(image, preprocessing, generator, mirrored=number % 2 == 1)


def _either(chance: float) -> float:
    """From 0-1 to -1-1."""
    return 2 * chance - 1


def _cut(
    image: Image.Image,
    preprocessing: Preprocessing,
    scale: float,
    place: tuple[float, float],
    degrees: float,
) -> Image.Image:
    """Make an image `scale` times the input's size and cut the input out. place: across and down, 0-1."""
    width, height = preprocessing.width_px, preprocessing.height_px
    whole = int(scale * width), int(scale * height)  # cut short, as the peer's cast to int does
    left, top = (
        int(chance * (long - short + 1))
        for chance, long, short in zip(place, whole, (width, height), strict=True)
    )
    resample = Image.Resampling[preprocessing.resize.upper()]
    if degrees:
        return _turned(image.resize(whole, resample), (left, top, width, height), degrees)
    # Only the part that is cut out is computed; Pillow looks beyond the box where the filter does.
    across, down = image.width / whole[0], image.height / whole[1]
    box = (left * across, top * down, (left + width) * across, (top + height) * down)
    return image.resize((width, height), resample, box=_within(box, image))


def _within(box: tuple[float, float, float, float], image: Image.Image) -> tuple[float, float, float, float]:
    # Rounding may put an edge a hair outside, which Pillow refuses.
    left, top, right, bottom = box
    return left, top, min(right, image.width), min(bottom, image.height)


def _turned(image: Image.Image, box: tuple[int, int, int, int], degrees: float) -> Image.Image:
    """Cut (left, top, width, height) out of an image turned about the middle of that."""
    left, top, width, height = box
    # A turned rectangle reaches no further from its middle than half its diagonal.
    margin = math.ceil((math.hypot(width, height) - min(width, height)) / 2) + 1
    edges = ((margin, margin), (margin, margin), (0, 0))
    wider = Image.fromarray(np.pad(np.asarray(image), edges, mode="symmetric"))
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    middle = margin + left + width / 2, margin + top + height / 2
    across = (cosine, sine, middle[0] - cosine * width / 2 - sine * height / 2)
    down = (-sine, cosine, middle[1] + sine * width / 2 - cosine * height / 2)
    return wider.transform(
        (width, height), Image.Transform.AFFINE, (*across, *down), Image.Resampling.BILINEAR
    )


def _colours(brightness: float, saturation: float, hue_degrees: float) -> tuple[float, ...]:
    """Return the 3 by 4 matrix, row by row, of all that is done to colours, so that values are cut off once.

    Saturation stretches the two axes of colour and hue turns them; brightness multiplies everything.
    """
    cosine, sine = math.cos(math.radians(hue_degrees)), math.sin(math.radians(hue_degrees))
    turn = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
    turn[1:] *= saturation
    matrix = brightness * np.linalg.inv(_YIQ) @ turn @ _YIQ
    return tuple(float(value) for row in matrix for value in (*row, 0.0))
