"""Sources: files to be imported into a project. Every import is an iterator of these for `ingest`."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NoReturn

from studio.datasets.class_styles import ClassStyle
from studio.datasets.names import ClassFolders, decode_file_name
from studio.errors import ImageRefused, SourceMissing
from studio.i18n import _
from studio.images.decode import read_image_file
from studio.images.file_names import is_system_file
from studio.images.provenance import Provenance, ProvenanceRecord
from studio.images.skip_reasons import SkipReason


@dataclass(frozen=True)
class Source:
    """One file to be imported."""

    name: str
    """Its path in the folder or archive, or its URL; no two of one job are the same."""
    read: Callable[[], bytes]
    """Returns its bytes, or raises ImageRefused. Called at most once, before the next source is asked for."""
    class_name: str | None = None
    kind: str = "folder"
    """One of `studio.images.provenance.PROVENANCE_KINDS`."""
    provenance: Provenance = field(default_factory=Provenance)
    path: Path | None = None
    """Its place on this machine, if it has one."""
    site: str = ""
    """The host or service that it came from; empty for files."""
    min_side_px: int = 0
    """An image with a shorter side than this is skipped."""
    state: str = ""
    """unlabelled, labelled or rejected where it came with the image; empty: labelled if it has a class."""
    split: str = ""
    """training, validation or testing where the image came with a split."""
    places: tuple[ProvenanceRecord, ...] = ()
    """Its provenance from an export, which is recorded instead of this import."""
    stored: str = ""
    """Its SHA-256, where its file is missing: it may be in the store already."""


@dataclass(frozen=True)
class ImportSources:
    """The sources of one import and what comes with them."""

    total: int
    sources: Iterable[Source]
    classes: tuple[ClassStyle, ...] = ()
    """Classes with their colours and hotkeys."""
    duplicate_groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Groups of near-duplicates: their members by the first of them, all by their SHA-256."""


def refused_source(name: str, reason: str, kind: str, skip_reason: str = SkipReason.OTHER) -> Source:
    """Return a source that is skipped with a reason when it is read."""
    return Source(name, partial(raise_refused, reason, skip_reason), kind=kind)


def raise_refused(reason: str, skip_reason: str) -> NoReturn:
    """Raise ImageRefused: the `read` of a source that gives no image."""
    raise ImageRefused(reason, skip_reason)


def file_source(path: Path, name: str, class_name: str | None, kind: str) -> Source:
    """Return a file on this machine as a source."""
    return Source(name, partial(read_image_file, path, name), class_name, kind, path=path)


def folder_sources(root: Path, *, kind: str = "folder", class_name: str | None = None) -> ImportSources:
    """Return all files under a folder of class folders, in the order of their names.

    A file outside every class folder has the class `class_name`. Links that lead out of the folder are
    skipped. Raises SourceMissing when there is no such folder or it cannot be read.
    """
    if not root.is_dir():
        raise SourceMissing(_("expected a folder of images; there is none at {path}.").format(path=root))
    try:
        home = root.resolve(strict=True)
        next(os.scandir(root), None)
    except OSError as error:
        raise SourceMissing(
            _("The folder {path} cannot be read: {reason}.").format(path=root, reason=error.strerror or error)
        ) from error
    files = [(path, _relative_name(path, root)) for path in _files(root)]
    files = [(path, name) for path, name in files if not is_system_file(PurePosixPath(name))]
    classes = ClassFolders([PurePosixPath(name) for _path, name in files])
    return ImportSources(
        len(files),
        [
            _checked_file_source(path, name, classes.class_of(PurePosixPath(name)) or class_name, kind, home)
            for path, name in files
        ],
    )


def contained_file_source(path: Path, name: str, root: Path) -> Source:
    """Return a file under a folder as a source; one behind a link out of the folder is skipped."""
    home = root.resolve()
    if not path.resolve().is_relative_to(home):
        reason = _("{name} lies behind a link that leads out of what was given: it is not followed.")
        return refused_source(name, reason.format(name=name), "folder")
    return _checked_file_source(path, name, None, "folder", home)


def _files(folder: Path) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        yield folder  # as if it were a file, so that it is skipped with a reason
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path))
        else:
            yield Path(entry.path)


def _relative_name(path: Path, root: Path) -> str:
    return decode_file_name(os.fsencode(path.relative_to(root).as_posix()))


def _checked_file_source(path: Path, name: str, class_name: str | None, kind: str, home: Path) -> Source:
    if path.is_symlink():
        try:
            leads_out = not path.resolve(strict=True).is_relative_to(home)
        except (OSError, RuntimeError):  # to nothing, or in a circle
            leads_out = True
        if leads_out or path.is_dir():
            reason = _(
                "{name} is a link to a folder, to nothing or out of what was given: it is not followed."
            )
            return refused_source(name, reason.format(name=name), kind)
    elif path.is_dir():
        return refused_source(name, _("The folder {name} cannot be read.").format(name=name), kind)
    return file_source(path, name, class_name, kind)
