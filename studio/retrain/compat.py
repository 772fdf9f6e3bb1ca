"""A folder of class folders as `retrain.py` reads it: its labels, its choice of files and its split by path.

Measured against TensorFlow for Poets 2, https://github.com/googlecodelabs/tensorflow-for-poets-2.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from studio.arrays import Float32Array
from studio.backbones.embedding import Refusal
from studio.datasets.splits import Split
from studio.errors import OutputRefused, SourceMissing, TooFewImages
from studio.files import atomic_bytes
from studio.i18n import _
from studio.progress import Progress
from studio.retrain.image_folder import sha256_of
from studio.retrain.snapshot import Example, Snapshot

_LARGEST = 2**27 - 1
"""Of what a hash is turned into before it becomes a percentage."""
_SUFFIXES = ("jpg", "jpeg", "JPG", "JPEG")
"""Just these, in this order: `.Jpg` is not looked at."""


@dataclass(frozen=True)
class PeerFolder:
    """What is in a folder. warnings: a line each, of what was passed over; refusals: unreadable files."""

    snapshot: Snapshot
    warnings: tuple[str, ...]
    refusals: tuple[Refusal, ...]


def label_of(folder: str) -> str:
    """Return a class's label from its folder's name: lower case, all but a-z and 0-9 as single spaces."""
    return re.sub("[^a-z0-9]+", " ", folder.lower())


def place_of(path: str) -> float:
    """Return where an image stands between 0 and 100 by its path as it was typed.

    What follows `_nohash_` does not count, so that images of one thing can be kept together.
    """
    named = re.sub("_nohash_.*$", "", path)
    number = int(hashlib.sha1(named.encode(errors="surrogateescape"), usedforsecurity=False).hexdigest(), 16)
    return number % (_LARGEST + 1) * (100.0 / _LARGEST)


def split_of(path: str, validation_percentage: float, testing_percentage: float) -> Split:
    """Return the split of a path: validation below the one percentage, testing below both."""
    place = place_of(path)
    if place < validation_percentage:
        return "validation"
    return "testing" if place < validation_percentage + testing_percentage else "training"


def read_peer_folder(
    image_dir: str,
    *,
    validation_percentage: float,
    testing_percentage: float,
    seed: int,
    progress: Progress,
) -> PeerFolder:
    """Deal a folder out as `retrain.py` does. image_dir: as it was typed, for every letter of it counts.

    Copies stay, and where two folders come to one label the later takes the place of the earlier; of that
    there is a warning. Raises SourceMissing, and TooLittleToLearnFrom without a class or where no image of
    a class is left for training.
    """
    warnings = []
    folders: dict[str, list[str]] = {}
    names: dict[str, str] = {}
    for name in _class_folders(image_dir):
        paths = _images(os.path.join(image_dir, name))  # noqa: PTH118 - as text, just as typed
        label = label_of(name)
        if not paths:
            warnings.append(_("{folder} has no jpg or jpeg file: it is passed over.").format(folder=name))
            continue
        if label in folders:
            warnings.append(
                _("{first} and {second} both come to the label “{label}”: only {second} is used.").format(
                    first=names[label], second=name, label=label
                )
            )
        folders[label], names[label] = paths, name  # the label keeps its place
    if not folders:
        raise TooFewImages(
            _("expected folders of jpg images in {path}; there is none. Name the folder above them.").format(
                path=image_dir
            )
        )
    labelled = [(label, path) for label, paths in folders.items() for path in paths]
    examples, refusals = _examples(labelled, validation_percentage, testing_percentage, progress)
    snapshot = Snapshot(tuple(examples), tuple(folders), seed)
    _check_training(snapshot)
    return PeerFolder(snapshot, tuple(warnings), tuple(refusals))


def _class_folders(image_dir: str) -> list[str]:
    try:
        folders = sorted(path.name for path in Path(image_dir).iterdir() if path.is_dir())
    except OSError as error:
        raise SourceMissing(
            _("expected a folder of class folders; {path}: {error}").format(
                path=image_dir, error=error.strerror
            )
        ) from error
    return [name for name in folders if name != image_dir]  # one that is called as all of it is skipped


def _images(folder: str) -> list[str]:
    names = sorted(path.name for path in Path(folder).iterdir() if path.is_file())
    return [
        os.path.join(folder, name)  # noqa: PTH118 - as text, just as typed
        for suffix in _SUFFIXES
        for name in names
        if name.endswith(f".{suffix}")
    ]


def _examples(
    labelled: list[tuple[str, str]],
    validation_percentage: float,
    testing_percentage: float,
    progress: Progress,
) -> tuple[list[Example], list[Refusal]]:
    examples, refusals = [], []
    phase = _("Reading the folder")
    for done, (label, path) in enumerate(labelled):
        progress.report(phase, done, len(labelled))
        try:
            digest = sha256_of(Path(path))
        except OSError as error:
            reason = _("{name} cannot be read: {error}").format(
                name=Path(path).name, error=error.strerror or error
            )
            refusals.append(Refusal(Path(path), reason))
            continue
        split = split_of(path, validation_percentage, testing_percentage)
        examples.append(Example(digest, Path(path), label, split))
    progress.report(phase, len(labelled), len(labelled))
    return sorted(examples, key=lambda example: (example.sha256, str(example.path))), refusals


def _check_training(snapshot: Snapshot) -> None:
    trained = {example.label for example in snapshot.of_split("training")}
    for label in snapshot.classes:
        if label not in trained:
            raise TooFewImages(
                _(
                    "No image of “{label}” is left for training: their paths put all of them elsewhere. "
                    "Add images, or retrain without --compat."
                ).format(label=label)
            )


_AT_ONCE = 256


def write_bottleneck_files(
    bottleneck_dir: Path,
    examples: Sequence[Example],
    vectors: Callable[[Sequence[str]], Float32Array],
    architecture: str,
    progress: Progress,
) -> None:
    """Write `<folder>/<file>_<architecture>.txt` for each example: its values, with commas between.

    vectors: from SHA-256s to their bottlenecks, float32, (N, features). The files are for others to read; we
    never read one, for it keeps its values when the image under its name is another.
    """
    phase = _("Writing bottleneck files")
    for start in range(0, len(examples), _AT_ONCE):
        progress.report(phase, start, len(examples))
        some = examples[start : start + _AT_ONCE]
        for example, vector in zip(some, vectors([e.sha256 for e in some]), strict=True):
            folder = bottleneck_dir / example.path.parent.name
            # Not flushed: each run writes them anew.
            with atomic_bytes(folder / f"{example.path.name}_{architecture}.txt", flushed=False) as file:
                file.write(",".join(map(str, vector)).encode("ascii"))
    progress.report(phase, len(examples), len(examples))


_EVENTS = "tfevents"


def empty_summaries(summaries_dir: Path) -> None:
    """Remove a folder of summaries with all that is in it, where there is one.

    The peer removes whatever the flag names. Here a folder in which anything but event files lies stays as it
    is: a slip of the pen must not cost anyone their images. Raises OutputRefused.
    """
    if not summaries_dir.exists():
        return
    foreign = next((p for p in summaries_dir.rglob("*") if p.is_file() and _EVENTS not in p.name), None)
    if foreign is not None or not summaries_dir.is_dir():
        raise OutputRefused(
            _(
                "expected nothing but event files in {folder}, to be emptied; {file} is there. Name another."
            ).format(folder=summaries_dir, file=foreign or summaries_dir)
        )
    shutil.rmtree(summaries_dir)
