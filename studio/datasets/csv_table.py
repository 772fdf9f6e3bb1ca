"""CSV tables that name images and their classes, as people and other programs save them."""

import io
from pathlib import Path, PurePosixPath
from typing import IO

from sqlalchemy.orm import Session

from studio.datasets.dataset_format import DatasetFiles, DatasetFormat
from studio.datasets.export_context import ExportContext, image_paths, write_images
from studio.datasets.export_table import MANIFEST, is_export_table, write_table
from studio.datasets.huggingface import is_metadata
from studio.datasets.layout import Layout
from studio.datasets.project_contents import ProjectContents
from studio.datasets.sidecar_tables import FileFinder, SidecarReader, class_below, csv_columns
from studio.datasets.sources import Source, contained_file_source, file_source
from studio.datasets.tables import open_text
from studio.datasets.tfrecord import is_tfrecord_name
from studio.errors import ImageRefused
from studio.i18n import _

EXTENSIONS = (".csv", ".tsv")
_FILE_COLUMNS = frozenset(
    (
        *("file_name", "filename", "file", "file_path", "filepath", "path"),
        *("image", "image_name", "image_path", "img"),
    )
)
_CLASS_COLUMNS = frozenset(("label", "class", "class_name", "category"))
_HEAD_BYTES = 65_536
_IMAGES_FOLDER = "pictures"


def is_file_column(name: str) -> bool:
    """Return whether a column of a table of images names files, by its `column_name`."""
    return name in _FILE_COLUMNS


def is_table_name(name: str) -> bool:
    """Return whether a file may be a table of images by its path; Hugging Face's metadata are none."""
    return name.casefold().endswith(EXTENSIONS) and not is_metadata(name)


def table_columns(data: bytes) -> list[str]:
    """Return the columns of a table that names images and their classes; none for any other."""
    head = data[:_HEAD_BYTES]
    head = head[: head.rfind(b"\n") + 1] or head  # not half a character
    header = csv_columns(open_text(io.BytesIO(head)), is_file_column)
    columns = header[1] if header else []
    return columns if is_export_table(columns) or _CLASS_COLUMNS.intersection(columns) else []


def is_image_table(path: Path) -> bool:
    """Return whether a file is a table that names images and their classes, by its ending and first line."""
    if path.suffix.lower() not in EXTENSIONS:
        return False
    try:
        with path.open("rb") as file:
            return bool(table_columns(file.read(_HEAD_BYTES)))
    except OSError:
        return False


def read_tables(files: DatasetFiles) -> Layout | None:
    """Return the layout that tables give to files, or None where none of them names any of the files.

    A file is found by its path from the table, or by its name where that is the only one. Other columns may
    give a state, a split and provenance.
    """
    tables = {name: data for name, data in files.sidecars.items() if is_table_name(name)}
    if not tables:
        return None
    reader = SidecarReader(FileFinder(files.names).find)
    used = [name for name, data in sorted(tables.items()) if reader.read(name, data, is_file_column)]
    if not reader.images:
        return None
    return reader.layout(files.names, tables, class_below(files.names, used))


def table_sources(path: Path) -> list[Source]:
    """Return a table on this machine, what an export has beside it, and the files that it names.

    Files that are not there are left out; links that lead out of the table's folder are skipped.
    """
    root = path.parent
    table = file_source(path, path.name, None, "folder")
    reader = SidecarReader(lambda folder, file: (folder / file).as_posix())
    try:
        reader.read(path.name, table.read(), is_file_column)
    except ImageRefused:
        return [table]
    names = dict.fromkeys((MANIFEST, *reader.images))
    names |= dict.fromkeys(
        parent for name in names if is_tfrecord_name(parent := PurePosixPath(name).parent.as_posix())
    )
    return [
        table,
        *(contained_file_source(root / name, name, root) for name in names if (root / name).is_file()),
    ]


def write_images_in_one_folder(export: ExportContext) -> dict[int, str]:
    """Write all images into one folder; the table beside it, which every export has, gives their classes."""
    return write_images(export, lambda image: _IMAGES_FOLDER)


def write_table_alone(session: Session, file: IO[str], contents: ProjectContents) -> None:
    """Write the table without images, which are found again by their SHA-256 where it is imported."""
    write_table(session, file, contents, image_paths(contents.images, lambda image: _IMAGES_FOLDER))


FORMAT = DatasetFormat(
    name="csv",
    title=_("Table (CSV)"),
    description=_("All images in one folder, and a table of them: for spreadsheets and scripts."),
    may_be_sidecar=is_table_name,
    is_sidecar=lambda name, data: is_table_name(name) and bool(table_columns(data)),
    read=read_tables,
    write=write_images_in_one_folder,
    file_extension=".csv",
    write_file=write_table_alone,
)
