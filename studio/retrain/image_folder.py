"""A folder of class folders, as `retrain.py` takes it: each subfolder a class, its files the images."""

import hashlib
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from studio.backbones.embedding import Refusal
from studio.errors import SourceMissing
from studio.i18n import _
from studio.progress import Progress
from studio.retrain.snapshot import Labelled

_NOT_IMAGES = {"thumbs.db", "desktop.ini"}
"""What Windows leaves in folders; names beginning with a dot are left out as well."""


@dataclass(frozen=True)
class ImageFolder:
    """Images in the order of classes and names, each content once, and the files left out."""

    images: tuple[Labelled, ...]
    refusals: tuple[Refusal, ...]


def read_image_folder(image_dir: Path, progress: Progress) -> ImageFolder:
    """List a folder's images by class. A class is a subfolder's name, in Unicode's composed form.

    Files are hashed, not decoded: that they are images shows when they are embedded. Raises
    SourceMissing when the folder cannot be read.
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
    kept: dict[str, Labelled] = {}
    refusals: list[Refusal] = []
    phase = _("Reading the folder")
    for done, (label, path) in enumerate(files):
        progress.report(phase, done, len(files))
        try:
            digest = sha256_of(path)
        except OSError as error:
            reason = _("{name} cannot be read: {error}").format(name=path.name, error=error.strerror or error)
            refusals.append(Refusal(path, reason))
            continue
        first = kept.setdefault(digest, Labelled(digest, path, label))
        if first.path != path:
            reason = _("{name} is a copy of {first}.").format(
                name=path.name, first=first.path.relative_to(image_dir).as_posix()
            )
            refusals.append(Refusal(path, reason, digest))
    progress.report(phase, len(files), len(files))
    return ImageFolder(tuple(kept.values()), tuple(refusals))


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, 64 hexadecimal digits. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
