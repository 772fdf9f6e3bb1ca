"""Hugging Face imagefolders: folders whose `metadata.csv` or `metadata.jsonl` describes their images.

The format: https://huggingface.co/docs/datasets/image_dataset#imagefolder
"""

import csv
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from pathlib import PurePosixPath
from typing import IO, Any

from studio.csv_cells import csv_cell
from studio.datasets.class_folders import state_folder
from studio.datasets.class_styles import ClassLook
from studio.datasets.layout import ClassOf, Layout, class_folders, is_split
from studio.datasets.names import class_name_of
from studio.datasets.sidecar_tables import Descriptions
from studio.datasets.writing import Exporting, Listed, text_file, write_images
from studio.i18n import _
from studio.images.provenance import Provenance

_NAMES = ("metadata.csv", "metadata.jsonl")
_PARQUET = "metadata.parquet"
# Where such data sets keep images of all classes.
_IMAGES = frozenset(("images", "image", "imgs", "img", "pictures", "photos", "data"))


def is_metadata(name: str) -> bool:
    """Whether a file is one to be read before the others, by its name."""
    return PurePosixPath(name).name.casefold() in _NAMES


def is_file_column(name: str) -> bool:
    """Whether a column names files, by its `column_name`."""
    return name == "file_name" or name.endswith("_file_name")


def image_folder(names: Sequence[str], notes: Mapping[str, bytes]) -> Layout | None:
    """Return the layout that metadata files give to files, or None where there is no metadata.

    names: all files' paths. notes: the content of those of which `is_metadata` is true. An image's class is
    its row's label, else its folder; neither the data set's own folder nor splits nor `images` are classes.
    Rows that cannot be read, lead out, name a file that is not there or that was named before are unusable.
    """
    parquet = [name for name in names if PurePosixPath(name).name.casefold() == _PARQUET]
    if not notes and not parquet:
        return None
    known = frozenset(names)

    def find(folder: PurePosixPath, file: str) -> str | None:
        name = (folder / file).as_posix()
        return name if name in known else None

    read = Descriptions(find)
    used = [name for name, data in sorted(notes.items()) if read.take(name, data, is_file_column)]
    for name in parquet:
        reason = _("{name} is a Parquet table, which is not read. Save it as metadata.csv beside it.")
        read.refuse(name, reason.format(name=name))
    return described_layout(names, read, used, frozenset((*notes, *parquet)))


def described_layout(
    names: Sequence[str],
    read: Descriptions,
    used: Sequence[str],
    descriptions: frozenset[str],
    folder_class: ClassOf | None = None,
) -> Layout:
    """Return the layout of what descriptions say.

    used: those of them that name images. folder_class: gives a class where no row does; None: that of the
    folder, as it stands to the descriptions.
    """
    folder_class = folder_class or class_in_folder(names, [PurePosixPath(name).parent for name in used])

    def class_of(name: str) -> str | None:
        told = read.described.get(name)
        if told is not None and (told.class_name or told.state in ("unlabelled", "rejected")):
            return told.class_name
        return folder_class(name)

    def provenance_of(name: str) -> Provenance:
        told = read.described.get(name)
        return told.provenance if told else Provenance()

    return Layout(
        class_of, provenance_of, descriptions, tuple(read.unusable.values()), told_of=read.described.get
    )


def class_in_folder(names: Sequence[str], metadata_folders: Sequence[PurePosixPath]) -> ClassOf:
    """Return the function that gives a file the class that its place in the data set says, or None."""
    root = _common([folder.parts for folder in metadata_folders])
    if root and is_split(root[-1]):
        root = root[:-1]
    outside = {PurePosixPath(name).parent.parts for name in names if "/" in name}
    if not metadata_folders or not all(_holds(root, folders) or _holds(folders, root) for folders in outside):
        return class_folders(names).class_of  # some folders have metadata, others not: nothing holds them all

    def class_of(name: str) -> str | None:
        below = PurePosixPath(name).parent.parts[len(root) :]
        classes = (folder for folder in below if not is_split(folder) and folder.casefold() not in _IMAGES)
        return class_name_of(next(classes, ""))

    return class_of


def _common(folders: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the deepest folder that holds all of these."""
    levels = takewhile(lambda level: len(set(level)) == 1, zip(*folders, strict=False))
    return tuple(level[0] for level in levels)


def _holds(outer: tuple[str, ...], inner: tuple[str, ...]) -> bool:
    return inner[: len(outer)] == outer


FOLDERS = {"training": "train", "validation": "validation", "testing": "test"}
# The library guesses a column's type from what is in it, split by split, and refuses splits that differ: no
# column may be empty. Provenance, which may be, are in the export's own tables.
_COLUMNS = ("file_name", "label", "state", "split", "sha256", "width", "height")
_TAKEN_FOR_OTHERS = frozenset(
    (
        *("na", "n/a", "nan", "null", "none", "<na>", "#n/a", "#n/a n/a", "#na", "1.#ind", "1.#qnan"),
        *("true", "false", "inf", "infinity"),
    )
)
"""What pandas, with which the library reads tables, takes for nothing, for yes or no, for a number."""


def write_image_folder(exporting: Exporting) -> dict[int, str]:
    """Write labelled images into the folders of their splits, each with its `metadata.csv`.

    Those without a label and those that were rejected are in folders that the library does not take for
    splits. Where the name of a class would not be read as the text that it is, metadata are `metadata.jsonl`.
    """
    placed = write_images(exporting, lambda p: FOLDERS[p.split] if p.labelled else state_folder(p))
    folders: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for image in exporting.listing.images:
        if image.image_id in placed:
            folder, _slash, name = placed[image.image_id].partition("/")
            folders[folder].append(_row(image, name))
    plain = all(_is_plain(look) for look in exporting.listing.classes)
    for folder, rows in sorted(folders.items()):
        name = f"{folder}/metadata.{'csv' if plain else 'jsonl'}"
        with text_file(exporting.packed, name) as file:
            (_write_csv if plain else _write_json)(file, rows)
    return placed


def _row(image: Listed, file_name: str) -> dict[str, Any]:
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


def _is_plain(look: ClassLook) -> bool:
    """Whether the name of a class stays what it is in a CSV."""
    if csv_cell(look.name) != look.name or look.name.casefold().lstrip("+-") in _TAKEN_FOR_OTHERS:
        return False
    try:
        float(look.name)
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
