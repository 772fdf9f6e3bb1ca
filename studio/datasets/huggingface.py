"""Hugging Face imagefolders: folders whose `metadata.csv` or `metadata.jsonl` describes their images.

The format: https://huggingface.co/docs/datasets/image_dataset#imagefolder
"""

import csv
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import IO, Any

from studio.csv_cells import csv_cell
from studio.datasets.class_folders import state_folder
from studio.datasets.class_styles import ClassStyle
from studio.datasets.dataset_format import DatasetFiles, DatasetFormat, base_name
from studio.datasets.export_context import ExportContext, text_file, write_images
from studio.datasets.layout import Layout
from studio.datasets.project_contents import ProjectImage
from studio.datasets.sidecar_tables import SidecarReader, class_below
from studio.datasets.splits import SPLIT_FOLDERS
from studio.i18n import _

_METADATA = ("metadata.csv", "metadata.jsonl")
_PARQUET = "metadata.parquet"
# The library guesses a column's type from its content, split by split, and refuses splits that differ: no
# column may be empty. Provenance, which may be, is in the export's own table.
_COLUMNS = ("file_name", "label", "state", "split", "sha256", "width", "height")
_NOT_TEXT_TO_PANDAS = frozenset(
    (
        *("na", "n/a", "nan", "null", "none", "<na>", "#n/a", "#n/a n/a", "#na", "1.#ind", "1.#qnan"),
        *("true", "false", "inf", "infinity"),
    )
)
"""Texts that pandas, with which the library reads tables, takes for a missing value, a bool or a number."""


def is_metadata(name: str) -> bool:
    """Return whether a file describes the images of its folder, by its path."""
    return base_name(name).casefold() in _METADATA


def is_file_column(name: str) -> bool:
    """Return whether a column names files, by its `column_name`."""
    return name == "file_name" or name.endswith("_file_name")


def read_image_folder(files: DatasetFiles) -> Layout | None:
    """Return the layout that metadata files give to files, or None where there is no metadata.

    An image's class is its row's label, else its folder; neither the data set's own folder nor splits nor
    `images` are classes. Rows that cannot be read, lead out, or name a file that is missing or that was named
    before are skipped.
    """
    metadata = {name: data for name, data in files.sidecars.items() if is_metadata(name)}
    parquet = [name for name in files.names if base_name(name).casefold() == _PARQUET]
    if not metadata and not parquet:
        return None
    known = frozenset(files.names)

    def find(folder: PurePosixPath, file: str) -> str | None:
        name = (folder / file).as_posix()
        return name if name in known else None

    reader = SidecarReader(find)
    used = [name for name, data in sorted(metadata.items()) if reader.read(name, data, is_file_column)]
    for name in parquet:
        reason = _("{name} is a Parquet table, which is not read. Save it as metadata.csv beside it.")
        reader.skip(name, reason.format(name=name))
    return reader.layout(files.names, (*metadata, *parquet), class_below(files.names, used))


def write_image_folder(export: ExportContext) -> dict[int, str]:
    """Write labelled images into the folders of their splits, each with its `metadata.csv`.

    Unlabelled and rejected images are in folders that the library does not take for splits. Where the name
    of a class would not be read as the text that it is, metadata are `metadata.jsonl`.
    """
    paths = write_images(
        export, lambda image: SPLIT_FOLDERS[image.split] if image.is_labelled else state_folder(image)
    )
    folders: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for image in export.contents.images:
        if image.image_id in paths:
            folder, _slash, name = paths[image.image_id].partition("/")
            folders[folder].append(_row(image, name))
    as_csv = all(_is_text_in_csv(style) for style in export.contents.classes)
    for folder, rows in sorted(folders.items()):
        name = f"{folder}/metadata.{'csv' if as_csv else 'jsonl'}"
        with text_file(export.archive, name) as file:
            (_write_csv if as_csv else _write_json)(file, rows)
    return paths


def _row(image: ProjectImage, file_name: str) -> dict[str, Any]:
    values = (
        file_name,
        image.class_name or "",
        image.state,
        image.split,
        image.sha256,
        image.width_px,
        image.height_px,
    )
    return dict(zip(_COLUMNS, values, strict=True))


def _is_text_in_csv(style: ClassStyle) -> bool:
    """Return whether the library reads the name of a class in a CSV as that text."""
    if csv_cell(style.name) != style.name or style.name.casefold().lstrip("+-") in _NOT_TEXT_TO_PANDAS:
        return False
    try:
        float(style.name)
    except ValueError:
        return True
    return False


def _write_csv(file: IO[str], rows: Iterable[dict[str, Any]]) -> None:
    writer = csv.DictWriter(file, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: csv_cell(str(value)) for name, value in row.items()} for row in rows)


def _write_json(file: IO[str], rows: Sequence[dict[str, Any]]) -> None:
    for row in rows:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")


FORMAT = DatasetFormat(
    name="hf",
    title=_("Hugging Face image folder"),
    description=_("A Hugging Face image folder, in training, validation and test."),
    may_be_sidecar=is_metadata,
    is_sidecar=lambda name, data: is_metadata(name),
    read=read_image_folder,
    write=write_image_folder,
)
