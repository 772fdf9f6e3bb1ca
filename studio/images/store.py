"""The image store: original files by the SHA-256 of their bytes, and smaller copies to show."""

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

EXTENSIONS = {
    "JPEG": ".jpg",
    "PNG": ".png",
    "WEBP": ".webp",
    "GIF": ".gif",
    "BMP": ".bmp",
    "TIFF": ".tif",
    "HEIF": ".heic",
    "AVIF": ".avif",
}
_BROWSER_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF")
_MAX_DIRECT_BYTES = 3_000_000
_JPEG_END = b"\xff\xd9"


class ImageStore:
    """The files of all images under one folder: `originals/ab/<sha256>.png`, `thumbnails/ab/<sha256>.jpg`.

    A file appears whole or not at all, under a name that follows from its bytes: files never change, any
    number of threads and processes may write at once, and browsers may cache them for ever.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def original(self, sha256: str, format_name: str) -> Path:
        """Return the path of an image's original file; `format_name` is Pillow's, as in `Image.format`."""
        return self._path("originals", sha256, EXTENSIONS[format_name])

    def put(self, data: bytes, sha256: str, format_name: str) -> Path:
        """Store an image's bytes; an existing file is not written again.

        Raises ServerError when it cannot be written.
        """
        path = self.original(sha256, format_name)
        # By size: a file cut short by a full or broken disk is repaired when the image comes again.
        if not (path.exists() and path.stat().st_size == len(data)):
            _write(path, lambda file: file.write(data))
        return path

    def put_thumbnail(self, sha256: str, image: Image.Image) -> Path:
        """Write an image's thumbnail (JPEG, fits 256 x 256 px) from `image`, RGB, where there is none."""
        path = self._path("thumbnails", sha256, ".jpg")
        if not _is_whole_jpeg(path):
            # A seventh of the time of a WebP of the same quality. Not flushed to the disk: a thumbnail that
            # a power cut has damaged is recognised and made again.
            _write_image(path, resize_to_fit(image, THUMBNAIL_PX), "JPEG", flushed=False)
        return path

    def thumbnail(self, sha256: str, format_name: str) -> Path:
        """Return the path of an image's thumbnail, made again where it is missing.

        Raises ImageRefused when the original cannot be read.
        """
        path = self._path("thumbnails", sha256, ".jpg")
        if _is_whole_jpeg(path):
            return path
        original = self.original(sha256, format_name)
        return self.put_thumbnail(sha256, decode(original, original.name, fitting_px=THUMBNAIL_PX))

    def browser_file(self, sha256: str, format_name: str) -> Path:
        """Return a file that a browser can show: the original, or a WebP that fits 1600 x 1600 px.

        The WebP is made on first use, for formats that browsers do not know and for files over 3 MB. Raises
        ImageRefused when the original cannot be read.
        """
        original = self.original(sha256, format_name)
        if (
            format_name in _BROWSER_FORMATS
            and original.exists()
            and original.stat().st_size <= _MAX_DIRECT_BYTES
        ):
            return original
        path = self._path("viewing", sha256, ".webp")
        if not path.exists():
            image = decode(original, original.name, at_least_px=VIEWING_PX)
            _write_image(path, resize_to_fit(image, VIEWING_PX), "WEBP", method=2)
        return path

    def _path(self, folder: str, sha256: str, ending: str) -> Path:
        # One f-string, for speed: a snapshot needs a hundred thousand paths.
        return self.root / f"{folder}/{sha256[:2]}/{sha256}{ending}"


def resize_to_fit(image: Image.Image, side_px: int) -> Image.Image:
    """Return `image`, made smaller where its longer side is over `side_px`."""
    longest = max(image.size)
    if longest <= side_px:
        return image
    width, height = (max(1, round(side * side_px / longest)) for side in image.size)
    # Hamming has the quality of bicubic when it makes images smaller, at two thirds of the time.
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
        # Windows does not let a file be replaced while it is read: then the same bytes are there.
        if isinstance(error, PermissionError) and path.exists():
            return
        raise ServerError(
            _(
                "{path} cannot be written: {reason}. Free some disk space, or let the studio write there."
            ).format(path=path, reason=error.strerror or error)
        ) from error
