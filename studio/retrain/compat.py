"""`retrain.py` compatibility: labels, files and split by path of a folder of class folders, bottleneck text
files, and the emptying of the summaries folder.

Checked against TensorFlow for Poets 2, https://github.com/googlecodelabs/tensorflow-for-poets-2.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from studio.arrays import Float32Array
from studio.backbones.embedding import SkippedFile
from studio.datasets.splits import Split
from studio.errors import OutputRefused, SourceMissing, TooFewImages
from studio.files import atomic_bytes
from studio.i18n import _
from studio.progress import Progress
from studio.retrain.image_folder import file_sha256
from studio.retrain.snapshot import Example, Snapshot

_MAX_IMAGES_PER_CLASS = 2**27 - 1
"""`MAX_NUM_IMAGES_PER_CLASS` of `retrain.py`: the range of a hash before it becomes a percentage."""
_SUFFIXES = ("jpg", "jpeg", "JPG", "JPEG")
"""Exactly these, in this order: a `.Jpg` file is ignored."""


@dataclass(frozen=True)
class CompatFolder:
    """The snapshot of a folder. warnings: one line for each ignored folder; skipped: unreadable files."""

    snapshot: Snapshot
    warnings: tuple[str, ...]
    skipped: tuple[SkippedFile, ...]


def folder_label(folder: str) -> str:
    """Return a class's label from its folder's name: lower case, everything but a-z and 0-9 as one space."""
    return re.sub("[^a-z0-9]+", " ", folder.lower())


def hash_percentage(path: str) -> float:
    """Return the hash of a path as typed, as a percentage, 0-100.

    Everything after `_nohash_` is ignored, so that images of one object can be kept in one split.
    """
    hashed = re.sub("_nohash_.*$", "", path)
    number = int(hashlib.sha1(hashed.encode(errors="surrogateescape"), usedforsecurity=False).hexdigest(), 16)
    return number % (_MAX_IMAGES_PER_CLASS + 1) * (100.0 / _MAX_IMAGES_PER_CLASS)


def path_split(path: str, validation_percentage: float, testing_percentage: float) -> Split:
    """Return the split of a path: validation below the first percentage, testing below the sum of both."""
    percentage = hash_percentage(path)
    if percentage < validation_percentage:
        return "validation"
    return "testing" if percentage < validation_percentage + testing_percentage else "training"


def read_compat_folder(
    image_dir: str,
    *,
    validation_percentage: float,
    testing_percentage: float,
    seed: int,
    progress: Progress,
) -> CompatFolder:
    """Read a folder of class folders and split it as `retrain.py` does.

    image_dir: as typed, since the split depends on every character of it.
    Duplicates stay. If two folders map to one label, the later one replaces the earlier one, with a warning.
    Raises SourceMissing, and TooFewImages without a class or if a class has no training image.
    """
    warnings = []
    folders: dict[str, list[str]] = {}
    names: dict[str, str] = {}
    for name in _class_folders(image_dir):
        paths = _image_paths(os.path.join(image_dir, name))  # noqa: PTH118 - as text, exactly as typed
        label = folder_label(name)
        if not paths:
            warnings.append(_("{folder} has no jpg or jpeg file and is ignored.").format(folder=name))
            continue
        if label in folders:
            warnings.append(
                _("{first} and {second} both map to the label “{label}”: only {second} is used.").format(
                    first=names[label], second=name, label=label
                )
            )
        folders[label], names[label] = paths, name  # the label keeps its position
    if not folders:
        raise TooFewImages(
            _("expected folders of jpg images in {path}; found none. Choose the folder above them.").format(
                path=image_dir
            )
        )
    labelled = [(label, path) for label, paths in folders.items() for path in paths]
    examples, skipped = _examples(labelled, validation_percentage, testing_percentage, progress)
    snapshot = Snapshot(tuple(examples), tuple(folders), seed)
    _check_training(snapshot)
    return CompatFolder(snapshot, tuple(warnings), tuple(skipped))


def _class_folders(image_dir: str) -> list[str]:
    try:
        folders = sorted(path.name for path in Path(image_dir).iterdir() if path.is_dir())
    except OSError as error:
        raise SourceMissing(
            _("expected a folder of class folders; {path}: {error}").format(
                path=image_dir, error=error.strerror
            )
        ) from error
    return [name for name in folders if name != image_dir]  # as in `retrain.py`, which skips that name


def _image_paths(folder: str) -> list[str]:
    names = sorted(path.name for path in Path(folder).iterdir() if path.is_file())
    return [
        os.path.join(folder, name)  # noqa: PTH118 - as text, exactly as typed
        for suffix in _SUFFIXES
        for name in names
        if name.endswith(f".{suffix}")
    ]


def _examples(
    labelled: list[tuple[str, str]],
    validation_percentage: float,
    testing_percentage: float,
    progress: Progress,
) -> tuple[list[Example], list[SkippedFile]]:
    examples, skipped = [], []
    phase = _("Reading the folder")
    for done, (label, path) in enumerate(labelled):
        progress.report(phase, done, len(labelled))
        try:
            digest = file_sha256(Path(path))
        except OSError as error:
            reason = _("{name} cannot be read: {error}").format(
                name=Path(path).name, error=error.strerror or error
            )
            skipped.append(SkippedFile(Path(path), reason))
            continue
        split = path_split(path, validation_percentage, testing_percentage)
        examples.append(Example(digest, Path(path), label, split))
    progress.report(phase, len(labelled), len(labelled))
    return sorted(examples, key=lambda example: (example.sha256, str(example.path))), skipped


def _check_training(snapshot: Snapshot) -> None:
    training_labels = {example.label for example in snapshot.of_split("training")}
    for label in snapshot.classes:
        if label not in training_labels:
            raise TooFewImages(
                _(
                    "“{label}” has no training image: the paths of its images put all of them into other "
                    "splits. Add images, or retrain without --compat."
                ).format(label=label)
            )


_BATCH_SIZE = 256


def write_bottleneck_files(
    bottleneck_dir: Path,
    examples: Sequence[Example],
    vectors: Callable[[Sequence[str]], Float32Array],
    architecture: str,
    progress: Progress,
) -> None:
    """Write `<folder>/<file>_<architecture>.txt` for each example: its bottleneck, separated by commas.

    vectors: from SHA-256s to their bottlenecks, float32, (N, features). The files are for other programs. The
    studio never reads them, because they would keep their values if the image file changed.
    """
    phase = _("Writing bottleneck files")
    for start in range(0, len(examples), _BATCH_SIZE):
        progress.report(phase, start, len(examples))
        batch = examples[start : start + _BATCH_SIZE]
        for example, vector in zip(batch, vectors([e.sha256 for e in batch]), strict=True):
            folder = bottleneck_dir / example.path.parent.name
            # Not flushed: each run writes them again.
            with atomic_bytes(folder / f"{example.path.name}_{architecture}.txt", flushed=False) as file:
                file.write(",".join(map(str, vector)).encode("ascii"))
    progress.report(phase, len(examples), len(examples))


_EVENT_FILE_MARKER = "tfevents"


def clear_summaries(summaries_dir: Path) -> None:
    """Remove a summaries folder with its event files, if it exists.

    `retrain.py` removes whatever folder the flag names. Here a folder with any other file is kept and
    OutputRefused raised, so that a mistyped path does not delete images.
    """
    if not summaries_dir.exists():
        return
    other_file = next(
        (p for p in summaries_dir.rglob("*") if p.is_file() and _EVENT_FILE_MARKER not in p.name), None
    )
    if other_file is not None or not summaries_dir.is_dir():
        raise OutputRefused(
            _(
                "expected only event files in {folder}, which is to be emptied; found {file}. Choose another "
                "folder."
            ).format(folder=summaries_dir, file=other_file or summaries_dir)
        )
    shutil.rmtree(summaries_dir)
