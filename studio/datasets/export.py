"""Exporting a project: all that was curated, in a format that others read and that comes back whole."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from db.engine import Database
from studio.datasets.class_folders import ONE_FOLDER, write_class_folders, write_one_folder
from studio.datasets.coco import write_coco
from studio.datasets.imagefolder import write_image_folder
from studio.datasets.packing import check_output, packing, refused
from studio.datasets.projects import Project
from studio.datasets.tfrecord import write_tf_records
from studio.datasets.writing import (
    Exporting,
    Listing,
    Lost,
    Originals,
    by_state,
    listing,
    named,
    write_beside,
    write_table,
)
from studio.errors import ProjectError
from studio.files import atomic_text
from studio.i18n import _
from studio.images.store import ImageStore
from studio.progress import Progress

_WRITERS: dict[str, Callable[[Exporting], dict[int, str]]] = {
    "folders": write_class_folders,
    "csv": write_one_folder,
    "coco": write_coco,
    "hf": write_image_folder,
    "tfrecord": write_tf_records,
}
KINDS = tuple(_WRITERS)


@dataclass(frozen=True)
class Exported:
    """What an export holds."""

    images: int
    """In the table; those that are lost are in no file."""
    labelled: int
    unlabelled: int
    rejected: int
    classes: int
    size_bytes: int
    lost: tuple[Lost, ...]


def about(kind: str) -> str:
    """Return what a format is, in a line for people."""
    return {
        "folders": _("A folder for each class: for most trainers, and for looking through."),
        "csv": _("All images in one folder, and a table of them: for spreadsheets and scripts."),
        "coco": _("COCO's JSON and its images: for tools that annotate and evaluate."),
        "hf": _("A Hugging Face image folder, in training, validation and test."),
        "tfrecord": _("TensorFlow's records, in training, validation and test."),
    }[kind]


def check(kind: str, output: Path) -> None:
    """Raise OutputRefused where `export` would at once."""
    if not _is_table(kind, output):
        check_output(output)


def export(
    database: Database,
    store: ImageStore,
    project: Project,
    kind: str,
    output: Path,
    *,
    progress: Progress,
    token: str = "",
) -> Exported:
    """Write a project as it is now to `output`, which is there whole or not at all.

    kind: one of KINDS. output: a .zip, a .tar or a folder; of the kind csv also a .csv, which is the table
    alone. token: names what is there meanwhile. The same state of a project gives the same bytes. A few
    images at a time are in memory. Raises ProjectError for a project without images, OutputRefused where
    it cannot be written, Stopped when a person asks for an end.
    """
    check(kind, output)
    progress.report(_("Looking through the project"), 0)
    with database.read() as session:
        found = listing(session, project.id, project.name)
    if not found.images:
        raise ProjectError(
            _("expected a project with images; {name} has none. Collect some first.").format(
                name=project.name
            )
        )
    originals = Originals(store, progress, len(found.images))
    if _is_table(kind, output):
        _write_table(database, found, output)
        size_bytes = output.stat().st_size
    else:
        with packing(output, token or "now") as packed:
            exporting = Exporting(found, originals, packed, database.read)
            placed = _WRITERS[kind](exporting)
            with database.read() as session:
                write_beside(session, packed, kind, found, placed)
        size_bytes = _size_bytes(output)
    return Exported(
        images=len(found.images),
        **by_state(found.images),
        classes=len(found.classes),
        size_bytes=size_bytes,
        lost=tuple(originals.lost),
    )


def _is_table(kind: str, output: Path) -> bool:
    return kind == "csv" and output.suffix.lower() == ".csv"


def _write_table(database: Database, found: Listing, output: Path) -> None:
    """Write the table alone: its images are known by their SHA-256 where it comes back."""
    try:
        with atomic_text(output) as file, database.read() as session:
            write_table(session, file, found, dict(named(found.images, lambda image: ONE_FOLDER)))
    except OSError as error:
        raise refused(output, error) from error


def _size_bytes(output: Path) -> int:
    if output.is_dir():
        return sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
    return output.stat().st_size
