"""Hugging Face's imagefolder: https://huggingface.co/docs/datasets/image_dataset#imagefolder."""

import csv
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import IO, Any

from studio.collect.class_looks import ClassLook
from studio.collect.spreadsheet import cell
from studio.curate.export.class_folders import state_folder
from studio.curate.export.listing import Listed
from studio.curate.export.picture_files import Exporting, write_pictures
from studio.curate.export.tables import text_file

FOLDERS = {"training": "train", "validation": "validation", "testing": "test"}
# The library guesses a column's type from what is in it, split by split, and refuses splits that differ: no
# column may be empty. Papers, which may be, are in the export's own tables.
_COLUMNS = ("file_name", "label", "state", "split", "sha256", "width", "height")
_TAKEN_FOR_OTHERS = frozenset(
    (
        *("na", "n/a", "nan", "null", "none", "<na>", "#n/a", "#n/a n/a", "#na", "1.#ind", "1.#qnan"),
        *("true", "false", "inf", "infinity"),
    )
)
"""What pandas, with which the library reads tables, takes for nothing, for yes or no, for a number."""


def write_image_folder(exporting: Exporting) -> dict[int, str]:
    """Write labelled pictures into the folders of their splits, each with its `metadata.csv`.

    Those without a label and those that were rejected are in folders that the library does not take for
    splits. Where the name of a class would not be read as the text that it is, metadata are `metadata.jsonl`.
    """
    placed = write_pictures(exporting, lambda p: FOLDERS[p.split] if p.labelled else state_folder(p))
    folders: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for picture in exporting.listing.pictures:
        if picture.image_id in placed:
            folder, _slash, name = placed[picture.image_id].partition("/")
            folders[folder].append(_row(picture, name))
    plain = all(_is_plain(look) for look in exporting.listing.classes)
    for folder, rows in sorted(folders.items()):
        name = f"{folder}/metadata.{'csv' if plain else 'jsonl'}"
        with text_file(exporting.packed, name) as file:
            (_write_csv if plain else _write_json)(file, rows)
    return placed


def _row(picture: Listed, file_name: str) -> dict[str, Any]:
    values = (
        file_name,
        picture.class_name or "",
        picture.state,
        picture.split,
        picture.sha256,
        picture.width_px,
        picture.height_px,
    )
    return dict(zip(_COLUMNS, values, strict=True))


def _is_plain(look: ClassLook) -> bool:
    """Whether the name of a class stays what it is in a CSV."""
    if cell(look.name) != look.name or look.name.casefold().lstrip("+-") in _TAKEN_FOR_OTHERS:
        return False
    try:
        float(look.name)
    except ValueError:
        return True
    return False


def _write_csv(file: IO[str], rows: Iterable[dict[str, Any]]) -> None:
    writer = csv.DictWriter(file, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: cell(str(value)) for name, value in row.items()} for row in rows)


def _write_json(file: IO[str], rows: Sequence[dict[str, Any]]) -> None:
    for row in rows:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")
