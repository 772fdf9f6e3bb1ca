"""What is asked of the labels, what comes of it, and the parts that both are made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from studio.curate.grid import State

Change = tuple[int, State, int | None]
"""A picture's id, its state and its class's id, as they are now."""


@dataclass(frozen=True)
class Group:
    """Pictures and what they become; a class, for labelled, by its id or by the name of one to be made."""

    images: Sequence[int]
    state: State
    class_id: int | None = None
    class_name: str | None = None


@dataclass(frozen=True)
class SetLabels:
    """Give pictures labels. seen: how much of the history the author knew; None: all of it."""

    id: str
    groups: Sequence[Group]
    seen: int | None = None


@dataclass(frozen=True)
class TakeBack:
    """Undo or redo: the operation of this id, or the author's newest that can be."""

    id: str
    kind: Literal["undo", "redo"]
    operation: str | None = None


Operation = SetLabels | TakeBack


@dataclass(frozen=True)
class Result:
    """What came of one operation."""

    id: str
    number: int = 0
    """Its place in the history; 0 where nothing was done."""
    changes: tuple[Change, ...] | None = ()
    """The pictures that it decided about, as they are now; None where they are too many to list."""
    clashes: tuple[Change, ...] = ()
    """Those left alone, since another author had changed them: what stands there instead."""
    error: str | None = None
    """Why nothing was done, for people."""
    about: str | None = None
    """The operation that was undone or redone: the first of its chain."""
