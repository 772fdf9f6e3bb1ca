"""Reading a folder of class folders: each subfolder is a class, its files the images."""

import hashlib
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from studio.backbones.embedding import SkippedFile
from studio.errors import SourceMissing
from studio.i18n import _
from studio.progress import Progress
from studio.retrain.snapshot import LabelledImage

_NOT_IMAGES = {"thumbs.db", "desktop.ini"}
"""Files that Windows creates in folders; names beginning with a dot are ignored as well."""


@dataclass(frozen=True)
class ImageFolder:
    """Images in the order of classes and names, each content once, and the skipped files."""

    images: tuple[LabelledImage, ...]
    skipped: tuple[SkippedFile, ...]


def read_image_folder(image_dir: Path, progress: Progress) -> ImageFolder:
    """List a folder's images by class. A class is a subfolder's name, in Unicode's composed form.

    Files are hashed, not decoded; those that are not images are skipped when they are embedded. Raises
    SourceMissing if the folder cannot be read.
    """
    try:
        folders = sorted(
            (unicodedata.normalize("NFC", folder.name), folder)
            for folder in image_dir.iterdir()
            if folder.is_dir() and not folder.name.startswith(".")
        )
        files = [(label, path) for label, folder in folders for path in sorted(folder.iterdir())]
    except OSError as error:
        raise SourceMissing(
            _("expected a folder of class folders; {path}: {error}").format(
                path=image_dir, error=error.strerror
            )
        ) from error
    files = [
        (label, path)
        for label, path in files
        if path.is_file() and not path.name.startswith(".") and path.name.lower() not in _NOT_IMAGES
    ]
    kept: dict[str, LabelledImage] = {}
    skipped: list[SkippedFile] = []
    phase = _("Reading the folder")
    for done, (label, path) in enumerate(files):
        progress.report(phase, done, len(files))
        try:
            digest = file_sha256(path)
        except OSError as error:
            reason = _("{name} cannot be read: {error}").format(name=path.name, error=error.strerror or error)
            skipped.append(SkippedFile(path, reason))
            continue
        first = kept.setdefault(digest, LabelledImage(digest, path, label))
        if first.path != path:
            reason = _("{name} is a duplicate of {first}.").format(
                name=path.name, first=first.path.relative_to(image_dir).as_posix()
            )
            skipped.append(SkippedFile(path, reason, digest))
    progress.report(phase, len(files), len(files))
    return ImageFolder(tuple(kept.values()), tuple(skipped))


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, 64 hexadecimal digits. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
