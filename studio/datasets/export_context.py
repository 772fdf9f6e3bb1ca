"""Writing an export: images into unique paths, and the table, manifest and credits beside them."""

import io
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import IO

from sqlalchemy.orm import Session

from studio.datasets.archive_writer import ArchiveWriter
from studio.datasets.export_table import MANIFEST, TABLE, Manifest, write_table
from studio.datasets.project_contents import ProjectContents, ProjectImage
from studio.i18n import _
from studio.images import attribution
from studio.images.file_names import UniqueNames, image_name
from studio.images.store import ImageStore
from studio.progress import Progress

ATTRIBUTION_TABLE, ATTRIBUTION_TEXT = "ATTRIBUTION.csv", "ATTRIBUTION.txt"
_COMPRESSIBLE = ("BMP", "TIFF")
"""Formats of images whose files are mostly larger than they need be."""


@dataclass(frozen=True)
class LostImage:
    """An image whose original file is missing or was altered."""

    name: str
    sha256: str
    reason: str


@dataclass
class OriginalReader:
    """Reads the original files of images one after the other, reports progress, and lists lost ones."""

    store: ImageStore
    progress: Progress
    total: int
    done: int = 0
    lost: list[LostImage] = field(default_factory=list)

    def read(self, images: Sequence[ProjectImage]) -> Iterator[tuple[ProjectImage, bytes]]:
        """Yield images with their bytes, but for those that are lost."""
        for image in images:
            data = self._read(image)
            if data is not None:
                yield image, data
            self.done += 1
            self.progress.report(_("Writing images"), self.done, self.total)

    def _read(self, image: ProjectImage) -> bytes | None:
        reason = _("its file is not what it was when it came")
        try:
            data = self.store.original(image.sha256, image.format).read_bytes()
            if sha256(data).hexdigest() == image.sha256:
                return data
        except FileNotFoundError:
            reason = _("its file is not there")
        except OSError as error:
            reason = _("its file cannot be read ({reason})").format(reason=error.strerror or error)
        self.lost.append(LostImage(image.name, image.sha256, reason))
        return None


@dataclass(frozen=True)
class ExportContext:
    """The input of a format's writer: the project, its image files, and the archive to write to."""

    contents: ProjectContents
    originals: OriginalReader
    archive: ArchiveWriter
    read_session: Callable[[], AbstractContextManager[Session]]
    """Opens a session for reading."""


def write_images(export: ExportContext, folder_of: Callable[[ProjectImage], str]) -> dict[int, str]:
    """Write every image into its folder; return the path of each by the image's id.

    Images that are lost are left out.
    """
    paths = image_paths(export.contents.images, folder_of)
    written: dict[int, str] = {}
    for image, data in export.originals.read(export.contents.images):
        path = paths[image.image_id]
        export.archive.add(path, data, compress=image.format in _COMPRESSIBLE)
        written[image.image_id] = path
    return written


def image_paths(images: Sequence[ProjectImage], folder_of: Callable[[ProjectImage], str]) -> dict[int, str]:
    """Return a path for each image by its id; no two are the same on any system."""
    names: Mapping[str, UniqueNames] = defaultdict(UniqueNames)
    paths: dict[int, str] = {}
    for image in images:
        folder = folder_of(image)
        name = image_name(image.name, image.format, image.sha256[:12])
        paths[image.image_id] = f"{folder}/{names[folder].take(name)}"
    return paths


@contextmanager
def text_file(archive: ArchiveWriter, name: str) -> Iterator[IO[str]]:
    r"""Open a file of an export for UTF-8 text with \n lines."""
    with archive.open(name) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        try:
            yield text
        finally:
            text.detach()  # which writes what is left; the file is not the text's to close


def write_sidecars(
    session: Session,
    archive: ArchiveWriter,
    format_name: str,
    contents: ProjectContents,
    paths: Mapping[int, str],
) -> None:
    """Write what every export has beside its images: the table, the credits, and the manifest.

    paths: the path in the export of each image that is in it, by the image's id.
    """
    with text_file(archive, TABLE) as file:
        write_table(session, file, contents, paths)
    classes = {image.sha256: image.class_name or "" for image in contents.images if image.image_id in paths}
    credits = attribution.image_credits(session, contents.project_id, classes)
    archive.add(ATTRIBUTION_TABLE, attribution.as_csv(credits).encode(), compress=True)
    archive.add(ATTRIBUTION_TEXT, attribution.as_text(credits).encode(), compress=True)
    manifest = Manifest(format_name, contents.project_name, len(contents.images), contents.classes)
    archive.add(MANIFEST, manifest.to_json().encode(), compress=True)
