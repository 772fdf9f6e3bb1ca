"""A frozen list of (image, label, split), named by its hash: what a run trains on and can repeat."""

import csv
import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import cast

from studio.datasets.splits import SPLITS, Split, given_of_groups, place_of, split_of
from studio.errors import TooFewImages
from studio.files import atomic_text
from studio.i18n import _, counted

LEAST_CLASSES = 2
"""Telling apart takes two."""
FEW = 20
"""Below this a class is warned of: the peer's threshold, about where a test share of 10% is two images."""


@dataclass(frozen=True)
class Labelled:
    """An image with its class, before it has a split. sha256: 64 hexadecimal digits of the file's bytes."""

    sha256: str
    path: Path
    label: str
    group: str = ""
    """What it shares with its near copies, which fall on its side; its own SHA-256 where none is given."""
    given: Split | None = None
    """The split that came with it; None where a hash decides."""

    def __post_init__(self) -> None:
        _alone(self)


@dataclass(frozen=True)
class Example:
    """An image with its class and split. group: as in `Labelled`."""

    sha256: str
    path: Path
    label: str
    split: Split
    group: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        _alone(self)


def _alone(image: Labelled | Example) -> None:
    if not image.group:
        object.__setattr__(image, "group", image.sha256)  # as frozen dataclasses set what they derive


@dataclass(frozen=True)
class Snapshot:
    """Examples sorted by SHA-256, and the classes in the order of a model's outputs."""

    examples: tuple[Example, ...]
    classes: tuple[str, ...]
    seed: int = 0

    @classmethod
    def of(
        cls,
        images: Iterable[Labelled],
        *,
        validation_percentage: float = 10,
        testing_percentage: float = 10,
        seed: int = 0,
    ) -> "Snapshot":
        """Deal images out to splits. Classes are the sorted labels; a SHA-256 may stand here once only.

        Images of one group fall on the same side: on that which came with them, or else where the hash of
        the group sends them.
        """
        dealt = sorted(images, key=lambda image: image.sha256)
        given = given_of_groups((image.group, image.given) for image in dealt)
        examples = tuple(
            Example(
                image.sha256,
                image.path,
                image.label,
                given.get(image.group)
                or split_of(image.group, validation_percentage, testing_percentage, seed),
                image.group,
            )
            for image in dealt
        )
        if len({example.sha256 for example in examples}) < len(examples):
            raise ValueError("expected every image once; one SHA-256 came twice")
        return cls(examples, tuple(sorted({example.label for example in examples})), seed)._with_training()

    def _with_training(self) -> "Snapshot":
        """Give every class a training image: in a tiny set the hash may send all of them elsewhere.

        Whatever moves takes its near copies along.
        """
        trained = {example.label for example in self.examples if example.split == "training"}
        moved = {
            # The image nearest to the training range, so that the choice does not hang on order.
            max(
                (example for example in self.examples if example.label == label),
                key=lambda example: place_of(example.group, self.seed),
            ).group
            for label in set(self.classes) - trained
        }
        examples = tuple(
            replace(example, split="training") if example.group in moved else example
            for example in self.examples
        )
        return replace(self, examples=examples)

    @cached_property
    def hash(self) -> str:
        """The snapshot's name: SHA-256 over images, labels, splits and classes, not over paths."""
        digest = hashlib.sha256()
        for row in (self.classes, *((e.sha256, e.label, e.split) for e in self.examples)):
            # Lengths first, so that no label can look like two.
            digest.update("".join(f"{len(text)}:{text}" for text in row).encode() + b"\n")
        return digest.hexdigest()

    def of_split(self, split: Split) -> tuple[Example, ...]:
        """Return the examples of one split."""
        return tuple(example for example in self.examples if example.split == split)

    def without(self, digests: Collection[str]) -> "Snapshot":
        """Return the snapshot without some images, and without the classes that this leaves empty."""
        if not digests:
            return self
        examples = tuple(example for example in self.examples if example.sha256 not in digests)
        left = {example.label for example in examples}
        return Snapshot(
            examples, tuple(label for label in self.classes if label in left), self.seed
        )._with_training()

    def check(self) -> tuple[str, ...]:
        """Return a warning for each thing that makes the figures weak; a line each.

        Raises TooLittleToLearnFrom for fewer than two classes.
        """
        if len(self.classes) < LEAST_CLASSES:
            raise TooFewImages(
                _("expected at least two classes with images; there is {found}. Add a second class.").format(
                    found=_("only “{label}”").format(label=self.classes[0]) if self.classes else _("none")
                )
            )
        counts = Counter(example.label for example in self.examples)
        warnings = [
            _("“{label}” has {images}; {few} or more make it reliable.").format(
                label=label, images=counted("{count} image", "{count} images", counts[label]), few=FEW
            )
            for label in self.classes
            if counts[label] < FEW
        ]
        splits = Counter(example.split for example in self.examples)
        if not splits["validation"]:
            warnings.append(
                _("No image is left for validation: the last head is kept, not the best. Add images.")
            )
        if not splits["testing"]:
            warnings.append(_("No image is left for testing: the accuracy cannot be measured. Add images."))
        return tuple(warnings)

    def write(self, path: Path) -> None:
        """Write `sha256,label,split,path` lines, so that anyone can see what a run was trained on."""
        with atomic_text(path) as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("sha256", "label", "split", "path"))
            writer.writerows((e.sha256, e.label, e.split, e.path.as_posix()) for e in self.examples)

    @classmethod
    def read(cls, path: Path, classes: tuple[str, ...], seed: int) -> "Snapshot":
        """Return what `write` left. Raises OSError or ValueError where the file is not that."""
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        try:
            examples = tuple(
                Example(row["sha256"], Path(row["path"]), row["label"], cast(Split, row["split"]))
                for row in rows
            )
        except KeyError as error:
            raise ValueError(f"expected columns sha256,label,split,path; {error} is missing") from error
        if unknown := {example.split for example in examples} - set(SPLITS):
            raise ValueError(f"expected splits {SPLITS}; got {sorted(unknown)}")
        return cls(examples, classes, seed)


def evenly(examples: Sequence[Example], count: int) -> tuple[Example, ...]:
    """Return at most `count` of some examples, in their order, their classes as even as can be."""
    seen: Counter[str] = Counter()
    ranks = []
    for at, example in enumerate(examples):
        ranks.append((seen[example.label], at))
        seen[example.label] += 1
    return tuple(examples[at] for at in sorted(at for _rank, at in sorted(ranks)[: max(count, 0)]))
