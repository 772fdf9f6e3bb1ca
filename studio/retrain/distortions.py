"""Distortions of training images (augmentation), by the flags of `retrain.py` and two more.

`retrain.py` distorts images at every step and so runs its network on every image of every batch. Here an
image has a fixed number of distorted views, whose bottlenecks are cached like any other; a step draws among
them.
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
from studio.backbones.embedding import EmbeddingRequest, ImageFile, SkippedFile, embed_requests
from studio.backbones.preprocessing import Preprocessing
from studio.i18n import _
from studio.images.decode import decode, read_image_file
from studio.progress import Progress
from studio.retrain.options import RunOptions

_VERSION = 1
"""Part of the fingerprint: raise it when the same settings give other pixels."""
_RANDOM_NUMBERS = 8
"""Random numbers drawn for each view, used or not: adding one distortion does not change the others."""
_MAX_HUE_DEGREES = 60.0
"""Rotation of the hue to either side at 100 percent: the distance from red to yellow."""
_YIQ = np.array([[0.299, 0.587, 0.114], [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])
"""Matrix from RGB to brightness and two colour axes, as in NTSC."""


@dataclass(frozen=True)
class Distortions:
    """Strengths of the distortions, in percent unless noted. The first four are those of `retrain.py`.

    flip_left_right: every second view is mirrored.
    random_crop: the image is enlarged by this much and randomly cropped to the input's size.
    random_scale: it is enlarged further by a random amount up to this much.
    random_brightness: values are multiplied by a random factor within this much of 1, and clipped to 0-255,
        since a view is an image that the finished model may get; `retrain.py` does not clip.
    random_rotation: degrees to either side; corners are filled by reflection.
    random_colour: saturation is multiplied by a random factor within this much of 1, and the hue rotated: at
        20 by up to 12 degrees.
    """

    flip_left_right: bool = False
    random_crop: int = 0
    random_scale: int = 0
    random_brightness: int = 0
    random_rotation: int = 0
    random_colour: int = 0

    @classmethod
    def of(cls, options: RunOptions) -> "Distortions | None":
        """Return the distortions of a run's options; None if there are none."""
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
        """Cache key of these settings: 16 hexadecimal digits."""
        key = {**asdict(self), "version": _VERSION}
        return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def largest_scale(self) -> float:
        """Largest size of the image before the crop, relative to the input's size; 1 or more."""
        return (1 + self.random_crop / 100) * (1 + self.random_scale / 100)

    @property
    def only_flips(self) -> bool:
        """Return whether flipping is the only distortion, so that an image has only two different views."""
        return self == Distortions(flip_left_right=True)

    def view(
        self,
        image: Image.Image,
        preprocessing: Preprocessing,
        generator: np.random.Generator,
        *,
        mirrored: bool | None = None,
    ) -> Uint8Array:
        """Return a distorted view: uint8, (height_px, width_px, 3).

        image: upright, RGB, of any size. mirrored: whether to flip it, if flips are chosen; None is random.
        """
        random = generator.random(_RANDOM_NUMBERS)
        scale = (1 + self.random_crop / 100) * (1 + random[0] * self.random_scale / 100)
        flip = random[3] < 0.5 if mirrored is None else mirrored  # noqa: PLR2004 - even odds
        brightness = 1 + _symmetric(random[4]) * self.random_brightness / 100
        degrees = _symmetric(random[5]) * self.random_rotation
        saturation = 1 + _symmetric(random[6]) * self.random_colour / 100
        hue = _symmetric(random[7]) * self.random_colour / 100 * _MAX_HUE_DEGREES

        view = _crop(image, preprocessing, scale, (random[1], random[2]), degrees)
        if flip and self.flip_left_right:
            view = view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if (brightness, saturation, hue) != (1, 1, 0):
            view = view.convert("RGB", _colour_matrix(brightness, saturation, hue))
        return np.asarray(view, np.uint8)


def view_digest(sha256: str, distortions: Distortions, number: int, seed: int) -> str:
    """Return the cache key of an image's distorted view: 64 hexadecimal digits.

    number: from 1; odd ones are mirrored if flips are chosen. The same arguments always give the same pixels,
    and equal views have equal keys.
    """
    if distortions.only_flips:
        number, seed = 2 - number % 2, 0
    key = f"view {number} of {sha256} by {distortions.fingerprint} with {seed}"
    return hashlib.sha256(key.encode()).hexdigest()


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
) -> tuple[SkippedFile, ...]:
    """Compute the missing bottlenecks of the distorted views 1 to `views` of each image into `cache`.

    Their keys are those of `view_digest`. Each file is read and decoded once for all its views. Returns the
    files that could not be read. Stop behaves as in `embed`.
    """
    by_digest = {image.sha256: image for image in images}
    numbers = {
        sha256: {view_digest(sha256, distortions, number, seed): number for number in range(1, views + 1)}
        for sha256 in by_digest
    }
    phase = _("Computing distorted views")
    total = sum(map(len, numbers.values()))
    progress.report(phase, 0, total)
    missing = set(cache.missing(digest for digests in numbers.values() for digest in digests))
    wanted = {sha256: tuple(d for d in digests if d in missing) for sha256, digests in numbers.items()}
    requests = [EmbeddingRequest(by_digest[sha256], digests) for sha256, digests in wanted.items() if digests]

    def render(request: EmbeddingRequest, content: bytes) -> Iterator[Uint8Array]:
        sha256 = request.image.sha256
        image = _decode_image(content, request.image.path.name, distortions, backbone.preprocessing)
        for digest in request.digests:
            number = numbers[sha256][digest]
            yield _render_view(image, distortions, backbone.preprocessing, (sha256, number, seed))

    return embed_requests(
        cache, requests, backbone, render, phase=phase, total=total, threads=threads, progress=progress
    )


def preview_distortions(
    path: Path, distortions: Distortions, preprocessing: Preprocessing, count: int, seed: int
) -> list[Uint8Array]:
    """Return the distorted views 1 to `count` of a file, with the pixels of training: uint8, (h, w, 3) each.

    Raises ImageRefused.
    """
    content = read_image_file(path, path.name)
    sha256 = hashlib.sha256(content).hexdigest()
    image = _decode_image(content, path.name, distortions, preprocessing)
    return [
        _render_view(image, distortions, preprocessing, (sha256, number, seed))
        for number in range(1, count + 1)
    ]


def _decode_image(
    content: bytes, name: str, distortions: Distortions, preprocessing: Preprocessing
) -> Image.Image:
    # As `Preprocessing.read`, but with enough pixels for the largest scale.
    longest = max(preprocessing.width_px, preprocessing.height_px)
    return decode(content, name, at_least_px=math.ceil(2 * longest * distortions.largest_scale))


def _render_view(
    image: Image.Image, distortions: Distortions, preprocessing: Preprocessing, key: tuple[str, int, int]
) -> Uint8Array:
    """Return a view. key: the image's SHA-256, the view's number and the seed.

    Random numbers depend on this key and not on the distortions: a stronger distortion leaves the others as
    they are.
    """
    sha256, number, seed = key
    random_seed = hashlib.sha256(f"chance of view {number} of {sha256} with {seed}".encode()).hexdigest()
    generator = np.random.default_rng(int(random_seed, 16))
    return distortions.view(image, preprocessing, generator, mirrored=number % 2 == 1)


def _symmetric(random: float) -> float:
    """Map 0-1 to -1-1."""
    return 2 * random - 1


def _crop(
    image: Image.Image,
    preprocessing: Preprocessing,
    scale: float,
    position: tuple[float, float],
    degrees: float,
) -> Image.Image:
    """Resize an image to `scale` times the input's size, and crop the input at a position in x and y, 0-1."""
    width, height = preprocessing.width_px, preprocessing.height_px
    whole = int(scale * width), int(scale * height)  # truncated, like the cast to int in `retrain.py`
    left, top = (
        int(fraction * (long - short + 1))
        for fraction, long, short in zip(position, whole, (width, height), strict=True)
    )
    resample = Image.Resampling[preprocessing.resize.upper()]
    if degrees:
        return _rotated_crop(image.resize(whole, resample), (left, top, width, height), degrees)
    # Computes the crop only; Pillow's filter also uses the pixels around the box.
    scale_x, scale_y = image.width / whole[0], image.height / whole[1]
    box = (left * scale_x, top * scale_y, (left + width) * scale_x, (top + height) * scale_y)
    return image.resize((width, height), resample, box=_clip_box(box, image))


def _clip_box(
    box: tuple[float, float, float, float], image: Image.Image
) -> tuple[float, float, float, float]:
    # Rounding can put an edge slightly outside of the image, which Pillow refuses.
    left, top, right, bottom = box
    return left, top, min(right, image.width), min(bottom, image.height)


def _rotated_crop(image: Image.Image, box: tuple[int, int, int, int], degrees: float) -> Image.Image:
    """Return the crop (left, top, width, height) of an image rotated about the crop's centre."""
    left, top, width, height = box
    # The corners of a rotated rectangle are half its diagonal away from its centre.
    margin = math.ceil((math.hypot(width, height) - min(width, height)) / 2) + 1
    edges = ((margin, margin), (margin, margin), (0, 0))
    padded = Image.fromarray(np.pad(np.asarray(image), edges, mode="symmetric"))
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    centre = margin + left + width / 2, margin + top + height / 2
    across = (cosine, sine, centre[0] - cosine * width / 2 - sine * height / 2)
    down = (-sine, cosine, centre[1] + sine * width / 2 - cosine * height / 2)
    return padded.transform(
        (width, height), Image.Transform.AFFINE, (*across, *down), Image.Resampling.BILINEAR
    )


def _colour_matrix(brightness: float, saturation: float, hue_degrees: float) -> tuple[float, ...]:
    """Return the 3 by 4 matrix, row by row, of all colour distortions, so that values are clipped only once.

    Saturation scales the two colour axes and hue rotates them; brightness scales everything.
    """
    cosine, sine = math.cos(math.radians(hue_degrees)), math.sin(math.radians(hue_degrees))
    colour = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
    colour[1:] *= saturation
    matrix = brightness * np.linalg.inv(_YIQ) @ colour @ _YIQ
    return tuple(float(value) for row in matrix for value in (*row, 0.0))
