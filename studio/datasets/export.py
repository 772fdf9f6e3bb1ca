"""Exporting a project in a format of the registry, so that other programs read it and it comes back whole."""

from dataclasses import dataclass
from pathlib import Path

from db.engine import Database
from studio.datasets.archive_writer import check_output, open_archive, output_refused
from studio.datasets.dataset_format import DatasetFormat
from studio.datasets.export_context import ExportContext, LostImage, OriginalReader, write_sidecars
from studio.datasets.formats import EXPORT_FORMATS
from studio.datasets.project_contents import ProjectContents, count_by_state, project_contents
from studio.datasets.projects import Project
from studio.errors import ProjectError
from studio.files import atomic_text
from studio.i18n import _
from studio.images.store import ImageStore
from studio.progress import Progress


@dataclass(frozen=True)
class ExportResult:
    """The number of images in an export, by state, and its size."""

    images: int
    """In the table; those that are lost are in no file."""
    labelled: int
    unlabelled: int
    rejected: int
    classes: int
    size_bytes: int
    lost: tuple[LostImage, ...]


def check(format_name: str, output: Path) -> None:
    """Raise OutputRefused where `export` would at once."""
    if not EXPORT_FORMATS[format_name].is_single_file(output):
        check_output(output)


def export(
    database: Database,
    store: ImageStore,
    project: Project,
    format_name: str,
    output: Path,
    *,
    progress: Progress,
    token: str = "",
) -> ExportResult:
    """Write a project as it is now to `output`, which appears whole or not at all.

    format_name: one of EXPORT_FORMATS. output: a .zip, a .tar or a folder; of the format csv also a .csv,
    which is the table alone. token: names the temporary file. The same state of a project gives the same
    bytes. A few images at a time are in memory. Raises ProjectError for a project without images,
    OutputRefused where it cannot be written, Stopped when a person presses Stop.
    """
    check(format_name, output)
    format_ = EXPORT_FORMATS[format_name]
    progress.report(_("Reading the project"), 0)
    with database.read() as session:
        contents = project_contents(session, project.id, project.name)
    if not contents.images:
        raise ProjectError(
            _("expected a project with images; {name} has none. Collect some first.").format(
                name=project.name
            )
        )
    originals = OriginalReader(store, progress, len(contents.images))
    if format_.is_single_file(output):
        _write_file(database, format_, contents, output)
    else:
        assert format_.write is not None  # noqa: S101 - one of EXPORT_FORMATS
        with open_archive(output, token or "now") as archive:
            paths = format_.write(ExportContext(contents, originals, archive, database.read))
            with database.read() as session:
                write_sidecars(session, archive, format_name, contents, paths)
    return ExportResult(
        images=len(contents.images),
        **count_by_state(contents.images),
        classes=len(contents.classes),
        size_bytes=_size_bytes(output),
        lost=tuple(originals.lost),
    )


def _write_file(database: Database, format_: DatasetFormat, contents: ProjectContents, output: Path) -> None:
    assert format_.write_file is not None  # noqa: S101 - `is_single_file` asks for it
    try:
        with atomic_text(output) as file, database.read() as session:
            format_.write_file(session, file, contents)
    except OSError as error:
        raise output_refused(output, error) from error


def _size_bytes(output: Path) -> int:
    if output.is_dir():
        return sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
    return output.stat().st_size
