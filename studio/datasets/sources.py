"""Files offered to a project. Every way in is an iterator of these, fed to the one ingest."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NoReturn

from studio.datasets.class_styles import ClassLook
from studio.datasets.names import ClassFolders, readable
from studio.errors import ImageRefused, SourceMissing
from studio.i18n import _
from studio.images.decode import read_image_file
from studio.images.file_names import is_system_file
from studio.images.provenance import Provenance
from studio.images.reasons import SkipReason

if TYPE_CHECKING:
    from studio.images.provenance import ProvenanceRecord


@dataclass(frozen=True)
class Source:
    """One file on offer."""

    name: str
    """Its path inside what was given, or its address; no two of one job are the same."""
    read: Callable[[], bytes]
    """Gives its bytes, or raises ImageRefused. Called at most once, before the next source is asked for."""
    class_name: str | None = None
    kind: str = "folder"
    """folder, archive, upload, camera, drawing, download, crawl, list, openverse, commons, …"""
    provenance: Provenance = field(default_factory=Provenance)
    path: Path | None = None
    """Where it lies on this machine, if it does."""
    site: str = ""
    """Whom it was asked of: a host, a service; empty for files."""
    min_side_px: int = 0
    """An image with a shorter side than this is refused."""
    state: str = ""
    """unlabelled, labelled or rejected where it came with the image; empty: as its class says."""
    split: str = ""
    """training, validation or testing where it came with the image."""
    places: "tuple[ProvenanceRecord, ...]" = ()
    """Where it was found before, which is then told instead of where it is found now."""
    stored: str = ""
    """Its SHA-256, where it need not be read: it may be in the store already."""


@dataclass(frozen=True)
class Offer:
    """Sources, and how many they are."""

    total: int
    sources: Iterable[Source]
    classes: tuple[ClassLook, ...] = ()
    """How the classes look that came with them."""
    copies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Images that are nearly the same, by the first of them; all by their SHA-256."""


def refused_source(name: str, reason: str, kind: str, why: str = SkipReason.OTHER) -> Source:
    """Return a source that has a place in the list of what was offered, and only a reason to give."""
    return Source(name, partial(refuse, reason, why), kind=kind)


def refuse(reason: str, why: str) -> NoReturn:
    """Raise ImageRefused: what reading comes to of a source that is known to be none."""
    raise ImageRefused(reason, why)


def file_source(path: Path, name: str, class_name: str | None, kind: str) -> Source:
    """Return a file on this machine as a source."""
    return Source(name, partial(read_image_file, path, name), class_name, kind, path=path)


def folder_offer(root: Path, *, kind: str = "folder", class_name: str | None = None) -> Offer:
    """Return all files under a folder of class folders, in the order of their names.

    A file outside every class folder has the class `class_name`. Links that lead out of the folder are
    refused. Raises SourceMissing when there is no such folder or it cannot be read.
    """
    if not root.is_dir():
        raise SourceMissing(_("expected a folder of images; there is none at {path}.").format(path=root))
    try:
        home = root.resolve(strict=True)
        next(os.scandir(root), None)
    except OSError as error:
        raise SourceMissing(
            _("The folder {path} cannot be read: {why}.").format(path=root, why=error.strerror or error)
        ) from error
    found = [(path, _name(path, root)) for path in _files(root)]
    found = [(path, name) for path, name in found if not is_system_file(PurePosixPath(name))]
    classes = ClassFolders([PurePosixPath(name) for _path, name in found])
    return Offer(
        len(found),
        [
            _inside(path, name, classes.class_of(PurePosixPath(name)) or class_name, kind, home)
            for path, name in found
        ],
    )


def inner_file(path: Path, name: str, root: Path) -> Source:
    """Return a file under a folder as a source; one that a link puts outside of the folder is refused."""
    home = root.resolve()
    if not path.resolve().is_relative_to(home):
        reason = _("{name} lies behind a link that leads out of what was given: it is not followed.")
        return refused_source(name, reason.format(name=name), "folder")
    return _inside(path, name, None, "folder", home)


def _files(folder: Path) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        yield folder  # offered as if it were a file, so that it is refused with a reason
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path))
        else:
            yield Path(entry.path)


def _name(path: Path, root: Path) -> str:
    return readable(os.fsencode(path.relative_to(root).as_posix()))


def _inside(path: Path, name: str, class_name: str | None, kind: str, home: Path) -> Source:
    if path.is_symlink():
        try:
            leads_out = not path.resolve(strict=True).is_relative_to(home)
        except (OSError, RuntimeError):  # to nothing, or round in a circle
            leads_out = True
        if leads_out or path.is_dir():
            reason = _(
                "{name} is a link to a folder, to nothing or out of what was given: it is not followed."
            )
            return refused_source(name, reason.format(name=name), kind)
    elif path.is_dir():
        return refused_source(name, _("The folder {name} cannot be read.").format(name=name), kind)
    return file_source(path, name, class_name, kind)
