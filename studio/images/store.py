"""Where images lie on the disk: originals by the SHA-256 of their bytes, and small copies to look at."""

from collections.abc import Callable
from io import SEEK_END
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from studio.errors import ServerError
from studio.files import atomic_bytes
from studio.i18n import _
from studio.images.decode import decode

THUMBNAIL_PX = 256
VIEWING_PX = 1600

ENDINGS = {
    "JPEG": ".jpg",
    "PNG": ".png",
    "WEBP": ".webp",
    "GIF": ".gif",
    "BMP": ".bmp",
    "TIFF": ".tif",
    "HEIF": ".heic",
    "AVIF": ".avif",
}
_BROWSERS_SHOW = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF")
_HUGE_BYTES = 3_000_000
_JPEG_END = b"\xff\xd9"


class ImageStore:
    """The files of all images under one folder: `originals/ab/<sha256>.png`, `thumbnails/ab/<sha256>.jpg`.

    A file appears whole or not at all, under a name that its bytes decide: nothing here is ever changed, any
    number of threads and processes may write at once, and a browser may keep what it got for ever.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def original(self, sha256: str, format_name: str) -> Path:
        """Return where an image's own bytes lie; `format_name` is Pillow's, as in `Image.format`."""
        return self._path("originals", sha256, ENDINGS[format_name])

    def put(self, data: bytes, sha256: str, format_name: str) -> Path:
        """Keep an image's bytes; one that is there already is not written again.

        Raises ServerError when the disk refuses.
        """
        path = self.original(sha256, format_name)
        # By size: what a broken disk or a full one left short is mended when the image comes again.
        if not (path.exists() and path.stat().st_size == len(data)):
            _write(path, lambda file: file.write(data))
        return path

    def put_thumbnail(self, sha256: str, image: Image.Image) -> Path:
        """Make an image's thumbnail (JPEG, fits 256 x 256 px) from `image`, RGB, where there is none."""
        path = self._path("thumbnails", sha256, ".jpg")
        if not _is_whole_jpeg(path):
            # A seventh of the time of a WebP of the same look, and no waiting for the disk, which can be
            # spared because a thumbnail that a power cut has spoilt is seen and made again.
            _write_image(path, fitted(image, THUMBNAIL_PX), "JPEG", flushed=False)
        return path

    def thumbnail(self, sha256: str, format_name: str) -> Path:
        """Return where an image's thumbnail lies, made anew where it is missing.

        Raises ImageRefused when the original cannot be read any more.
        """
        path = self._path("thumbnails", sha256, ".jpg")
        if _is_whole_jpeg(path):
            return path
        original = self.original(sha256, format_name)
        return self.put_thumbnail(sha256, decode(original, original.name, fitting_px=THUMBNAIL_PX))

    def viewing(self, sha256: str, format_name: str) -> Path:
        """Return a file that a browser can show: the original, or a WebP that fits 1600 x 1600 px.

        The copy is made when it is first asked for, of formats that browsers do not know and of files over
        3 MB. Raises ImageRefused when the original cannot be read any more.
        """
        original = self.original(sha256, format_name)
        if format_name in _BROWSERS_SHOW and original.exists() and original.stat().st_size <= _HUGE_BYTES:
            return original
        path = self._path("viewing", sha256, ".webp")
        if not path.exists():
            image = decode(original, original.name, at_least_px=VIEWING_PX)
            _write_image(path, fitted(image, VIEWING_PX), "WEBP", method=2)
        return path

    def _path(self, folder: str, sha256: str, ending: str) -> Path:
        # In one go: a snapshot asks for a hundred thousand of them.
        return self.root / f"{folder}/{sha256[:2]}/{sha256}{ending}"


def fitted(image: Image.Image, side_px: int) -> Image.Image:
    """Return `image`, made smaller where its longer side is over `side_px`."""
    longest = max(image.size)
    if longest <= side_px:
        return image
    width, height = (max(1, round(side * side_px / longest)) for side in image.size)
    # Hamming looks like bicubic when it makes images smaller, at two thirds of the time.
    return image.resize((width, height), Image.Resampling.HAMMING, reducing_gap=2.0)


def _is_whole_jpeg(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            file.seek(-len(_JPEG_END), SEEK_END)
            return file.read() == _JPEG_END
    except OSError:  # none, or an empty one
        return False


def _write_image(
    path: Path, image: Image.Image, format_name: str, *, flushed: bool = True, **options: int
) -> None:
    # Into the file itself: Pillow then lets other threads run while it encodes, as it does not into memory.
    _write(path, lambda file: image.save(file, format_name, quality=80, **options), flushed=flushed)


def _write(path: Path, fill: Callable[[BinaryIO], object], *, flushed: bool = True) -> None:
    try:
        with atomic_bytes(path, flushed=flushed) as file:
            fill(file)
    except OSError as error:
        # Windows lets nobody replace a file that another is reading: then the same bytes are there.
        if isinstance(error, PermissionError) and path.exists():
            return
        raise ServerError(
            _(
                "{path} cannot be written: {why}. Make room on the disk, or let the studio write there."
            ).format(path=path, why=error.strerror or error)
        ) from error
