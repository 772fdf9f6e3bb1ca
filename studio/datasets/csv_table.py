"""Plain tables that name images and their classes, as people and other programs save them."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from studio.datasets.imagefolder import described_layout
from studio.datasets.layout import MANIFEST, Layout, is_ours
from studio.datasets.sidecar_tables import Descriptions, Files, csv_columns
from studio.datasets.sources import Source, file_source, inner_file
from studio.datasets.tables import open_text
from studio.datasets.tfrecord import is_named_so
from studio.errors import ImageRefused

ENDINGS = (".csv", ".tsv")
_FILE = frozenset(
    (
        *("file_name", "filename", "file", "file_path", "filepath", "path"),
        *("image", "image_name", "image_path", "img"),
    )
)
_CLASS = frozenset(("label", "class", "class_name", "category"))
_HEAD_BYTES = 65_536


def is_file_column(name: str) -> bool:
    """Whether a column of a table of images names files, by its `column_name`."""
    return name in _FILE


def columns_of(data: bytes) -> list[str]:
    """Return the columns of a table that names images and their classes; none for any other."""
    head = data[:_HEAD_BYTES]
    head = head[: head.rfind(b"\n") + 1] or head  # not half a letter
    found = csv_columns(open_text(io.BytesIO(head)), is_file_column)
    columns = found[1] if found else []
    return columns if is_ours(columns) or _CLASS.intersection(columns) else []


def is_image_table(path: Path) -> bool:
    """Whether a file is a table that names images and their classes: by its ending and its first line."""
    if path.suffix.lower() not in ENDINGS:
        return False
    try:
        with path.open("rb") as file:
            return bool(columns_of(file.read(_HEAD_BYTES)))
    except OSError:
        return False


def image_tables(names: Sequence[str], tables: Mapping[str, bytes]) -> Layout | None:
    """Return the layout that tables give to files, or None where none of them names any of the files.

    names: all files' paths. tables: the content of those that have columns as `columns_of` finds them. A file
    is meant by its path from the table, or by its name where that is the only one. Other columns may give a
    state, a split and provenance.
    """
    files = Files(names)
    read = Descriptions(files.find)
    used = [name for name, data in sorted(tables.items()) if read.take(name, data, is_file_column)]
    if not read.described:
        return None
    return described_layout(names, read, used, frozenset(tables))


def table_files(path: Path) -> list[Source]:
    """Return a table on this machine, what an export has beside it, and the files that it names.

    Files that are not there are left out; links that lead out of the table's folder are refused.
    """
    root = path.parent
    table = file_source(path, path.name, None, "folder")
    read = Descriptions(lambda folder, file: (folder / file).as_posix())
    try:
        read.take(path.name, table.read(), is_file_column)
    except ImageRefused:
        return [table]
    names = dict.fromkeys((MANIFEST, *read.described))
    names |= dict.fromkeys(
        folder for name in names if is_named_so(folder := PurePosixPath(name).parent.as_posix())
    )
    return [table, *(inner_file(root / name, name, root) for name in names if (root / name).is_file())]
