"""Whose pictures a model was trained on: the table that goes out with every export of it."""

import csv
import shutil
from collections import Counter
from pathlib import Path

from studio.atomic import atomic_text
from studio.collect.attribution import COLUMNS
from studio.collect.codelab import Credit, parse_credits
from studio.collect.papers import OWN
from studio.collect.spreadsheet import cell
from studio.language import _
from studio.retrain.run_folder import ATTRIBUTION_TABLE, ATTRIBUTION_TEXT
from studio.retrain.snapshot import Example, Snapshot

_CREDITS = "LICENSE.txt"
"""Of the codelab's photographs, beside their class folders."""
_MOST_CREDITS_BYTES = 8_000_000


def write_papers(run_dir: Path, output_dir: Path, snapshot: Snapshot) -> None:
    """Write `ATTRIBUTION.csv`, and `ATTRIBUTION.txt` where the run has one.

    Of a run on a folder it has a line a picture too, with the author where a `LICENSE.txt` as the codelab's
    stands beside the class folders, and otherwise with nothing in it: nobody has written down more.
    """
    if (run_dir / ATTRIBUTION_TEXT).is_file():
        shutil.copyfile(run_dir / ATTRIBUTION_TEXT, output_dir / ATTRIBUTION_TEXT)
    if (run_dir / ATTRIBUTION_TABLE).is_file():
        shutil.copyfile(run_dir / ATTRIBUTION_TABLE, output_dir / ATTRIBUTION_TABLE)
        return
    credits = _credits(snapshot)
    with atomic_text(output_dir / ATTRIBUTION_TABLE) as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        for example in snapshot.examples:
            credit = credits.get(f"{example.path.parent.name}/{example.path.name}", Credit("", ""))
            row = {
                "sha256": example.sha256,
                "name": example.path.name,
                "class": example.label,
                "creator": credit.creator,
                "page_address": credit.page_address,
                "kind": "folder",
            }
            writer.writerow({name: cell(value) for name, value in row.items()})


def _credits(snapshot: Snapshot) -> dict[str, Credit]:
    found: dict[str, Credit] = {}
    for folder in sorted({_root(example) for example in snapshot.examples}):
        path = folder / _CREDITS
        if path.is_file() and path.stat().st_size <= _MOST_CREDITS_BYTES:
            found |= parse_credits(path.read_text(encoding="utf-8", errors="replace"))
    return found


def _root(example: Example) -> Path:
    return example.path.parent.parent


def licences(output_dir: Path) -> Counter[str]:
    """Return how many pictures are under which licence, by the table that `write_papers` wrote.

    A picture that was found in several places counts once, by the first that states a licence.
    """
    found: dict[str, str] = {}
    with (output_dir / ATTRIBUTION_TABLE).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            own = _("Own work") if row["kind"] in OWN else ""
            found[row["sha256"]] = found.get(row["sha256"]) or row["licence"] or own
    return Counter(licence or _("Not written down") for licence in found.values())


def authors(output_dir: Path) -> int:
    """Return how many authors the table names."""
    with (output_dir / ATTRIBUTION_TABLE).open(encoding="utf-8", newline="") as file:
        return len({row["creator"] for row in csv.DictReader(file)} - {""})
