"""Snapshots: frozen lists of (image, label, split), named by hash, that runs train on and can repeat."""

import csv
import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import cast

from studio.datasets.splits import SPLITS, Split, group_splits, hash_percentile, split_of
from studio.errors import TooFewImages
from studio.files import atomic_text
from studio.i18n import _, counted

MIN_CLASSES = 2
"""Classification takes at least two."""
RECOMMENDED_CLASS_SIZE = 20
"""Images per class below which there is a warning: the threshold of `retrain.py`, and about where a test
share of 10% is two images."""


@dataclass(frozen=True)
class LabelledImage:
    """An image with its class, before it has a split. sha256: 64 hexadecimal digits, of the file's bytes.

    group: the key of its duplicate group, whose images all get the same split; its own SHA-256 by default.
    fixed_split: the split that the image was imported with; None where the hash of the group decides.
    """

    sha256: str
    path: Path
    label: str
    group: str = ""
    fixed_split: Split | None = None

    def __post_init__(self) -> None:
        _default_group(self)


@dataclass(frozen=True)
class Example:
    """An image with its class and split. group: as in `Labelled`."""

    sha256: str
    path: Path
    label: str
    split: Split
    group: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        _default_group(self)


def _default_group(image: LabelledImage | Example) -> None:
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
        images: Iterable[LabelledImage],
        *,
        validation_percentage: float = 10,
        testing_percentage: float = 10,
        seed: int = 0,
    ) -> "Snapshot":
        """Assign images to splits. Classes are the sorted labels.

        Images of one group get the same split: their fixed split, or else the one that the hash of the group
        decides. Raises ValueError for two images with one SHA-256.
        """
        images = sorted(images, key=lambda image: image.sha256)
        fixed_splits = group_splits((image.group, image.fixed_split) for image in images)
        examples = tuple(
            Example(
                image.sha256,
                image.path,
                image.label,
                fixed_splits.get(image.group)
                or split_of(image.group, validation_percentage, testing_percentage, seed),
                image.group,
            )
            for image in images
        )
        if len({example.sha256 for example in examples}) < len(examples):
            raise ValueError("expected every image once; got one SHA-256 twice")
        return cls(examples, tuple(sorted({example.label for example in examples})), seed)._with_training()

    def _with_training(self) -> "Snapshot":
        """Return the snapshot with a training image in every class.

        In a tiny set the hash may put all images of a class into other splits. A moved image takes its
        duplicate group along.
        """
        trained = {example.label for example in self.examples if example.split == "training"}
        moved_groups = {
            # The image nearest to the training range, so that the choice does not depend on the order.
            max(
                (example for example in self.examples if example.label == label),
                key=lambda example: hash_percentile(example.group, self.seed),
            ).group
            for label in set(self.classes) - trained
        }
        examples = tuple(
            replace(example, split="training") if example.group in moved_groups else example
            for example in self.examples
        )
        return replace(self, examples=examples)

    @cached_property
    def hash(self) -> str:
        """SHA-256 over images, labels, splits and classes, not over paths: the snapshot's name."""
        digest = hashlib.sha256()
        for row in (self.classes, *((e.sha256, e.label, e.split) for e in self.examples)):
            # Lengths first, so that one label cannot equal two joined ones.
            digest.update("".join(f"{len(text)}:{text}" for text in row).encode() + b"\n")
        return digest.hexdigest()

    def of_split(self, split: Split) -> tuple[Example, ...]:
        """Return the examples of one split."""
        return tuple(example for example in self.examples if example.split == split)

    def without(self, digests: Collection[str]) -> "Snapshot":
        """Return the snapshot without some images (SHA-256), and without the classes that this empties."""
        if not digests:
            return self
        examples = tuple(example for example in self.examples if example.sha256 not in digests)
        labels = {example.label for example in examples}
        return Snapshot(
            examples, tuple(label for label in self.classes if label in labels), self.seed
        )._with_training()

    def check(self) -> tuple[str, ...]:
        """Return a warning, one line, for each reason why results may be unreliable.

        Raises TooFewImages for fewer than two classes.
        """
        if len(self.classes) < MIN_CLASSES:
            raise TooFewImages(
                _("expected at least two classes with images; there is {found}. Add a second class.").format(
                    found=_("only “{label}”").format(label=self.classes[0]) if self.classes else _("none")
                )
            )
        counts = Counter(example.label for example in self.examples)
        warnings = [
            _("“{label}” has {images}; results are reliable from {few} images on.").format(
                label=label,
                images=counted("{count} image", "{count} images", counts[label]),
                few=RECOMMENDED_CLASS_SIZE,
            )
            for label in self.classes
            if counts[label] < RECOMMENDED_CLASS_SIZE
        ]
        splits = Counter(example.split for example in self.examples)
        if not splits["validation"]:
            warnings.append(
                _("There are no validation images: the last head is kept, not the best one. Add images.")
            )
        if not splits["testing"]:
            warnings.append(_("There are no test images: accuracy cannot be measured. Add images."))
        return tuple(warnings)

    def write(self, path: Path) -> None:
        """Write `snapshot.csv`: the columns sha256, label, split, path."""
        with atomic_text(path) as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("sha256", "label", "split", "path"))
            writer.writerows((e.sha256, e.label, e.split, e.path.as_posix()) for e in self.examples)

    @classmethod
    def read(cls, path: Path, classes: tuple[str, ...], seed: int) -> "Snapshot":
        """Read `snapshot.csv`. Raises OSError, and ValueError if columns are missing or splits unknown."""
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


def sample_evenly(examples: Sequence[Example], count: int) -> tuple[Example, ...]:
    """Return at most `count` of the examples, in their order, spread over classes as evenly as possible."""
    class_counts: Counter[str] = Counter()
    ranks = []
    for index, example in enumerate(examples):
        ranks.append((class_counts[example.label], index))
        class_counts[example.label] += 1
    chosen = sorted(index for _rank, index in sorted(ranks)[: max(count, 0)])
    return tuple(examples[index] for index in chosen)
