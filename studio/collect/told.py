"""What a description says of one picture: its class and papers, and whether it is to be learnt from."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from studio.collect.own_table import STATES
from studio.collect.sources import Papers
from studio.collect.tables import class_in, papers_in, text_of

_SPLITS = {
    "train": "training",
    "training": "training",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "testing",
    "testing": "testing",
    "eval": "testing",
}
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Told:
    """What a row says. Empty: it does not say."""

    class_name: str | None = None
    papers: Papers = field(default_factory=Papers)
    state: str = ""
    """unlabelled, labelled or rejected."""
    split: str = ""
    """training, validation or testing."""
    sha256: str = ""
    places: tuple[str, ...] = ()
    """All places where it was found, in the JSON of `studio.collect.own_table`."""
    where: str = ""
    """The table and the line, for messages."""


def told_in(cells: Mapping[str, object]) -> Told:
    """Return what a row of somebody's table says, by its columns' `column_name`s.

    A picture that has a class and is said to be unlabelled is labelled: somebody has filled the class in.
    """
    class_name, state = class_in(cells), text_of(cells.get("state")).casefold()
    return Told(
        class_name,
        papers_in(cells),
        settled(state, class_name),
        split_named(text_of(cells.get("split"))),
    )


def settled(state: str, class_name: str | None) -> str:
    """Return a state as it is meant, where beside it stands this class; empty where it is none."""
    if state == "unlabelled" and class_name is not None:
        return "labelled"
    return state if state in STATES and (state != "labelled" or class_name is not None) else ""


def digest_in(text: str) -> str:
    """Return a SHA-256 as it is kept, in small hexadecimal digits; empty for what is none."""
    text = text.strip().casefold()
    return text if _SHA256.fullmatch(text) else ""


def split_named(name: str) -> str:
    """Return our name of a part of a data set, such as `train`; empty for what names none."""
    return _SPLITS.get(name.casefold(), "")


def is_split(folder: str) -> bool:
    """Whether a folder's name is that of a part of a data set, as `train`."""
    return bool(split_named(folder))
