"""Parity: whether what was exported answers as the run's own model does, measured on its test images."""

import json
import random
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from studio.arrays import Float32Array, Uint8Array
from studio.backbones.preprocessing import Preprocessing
from studio.errors import ImageRefused
from studio.files import atomic_text
from studio.i18n import _
from studio.predict.model import Model
from studio.progress import Progress
from studio.retrain.run_folder import versions
from studio.retrain.snapshot import Example, Snapshot
from studio.share.exports.format import Answer

_AHEAD = 16


def read_images(
    examples: Sequence[Example], preprocessing: Preprocessing, threads: int
) -> Iterator[tuple[Example, Uint8Array | None]]:
    """Yield each image's pixels, a few read ahead; None for one that is not there any more."""
    with ThreadPoolExecutor(max_workers=threads) as pool:
        for start in range(0, len(examples), _AHEAD):
            some = examples[start : start + _AHEAD]
            yield from zip(some, pool.map(lambda one: _read(one, preprocessing), some), strict=True)


def _read(example: Example, preprocessing: Preprocessing) -> Uint8Array | None:
    try:
        return preprocessing.read(example.path, example.path.name)
    except ImageRefused:
        return None


def for_calibration(snapshot: Snapshot, count: int) -> list[Example]:
    """Return training images in an order of chance that is always the same, the classes taking turns.

    count: how many are wanted; twice as many come where there are, since some may be gone.
    """
    of_class: defaultdict[str, list[Example]] = defaultdict(list)
    for example in snapshot.of_split("training"):
        of_class[example.label].append(example)
    chance = random.Random(0)  # noqa: S311 - nothing is kept secret by it
    for examples in of_class.values():
        chance.shuffle(examples)
    deepest = max(map(len, of_class.values()), default=0)
    turns = (of_class[label][at] for at in range(deepest) for label in of_class if at < len(of_class[label]))
    return [example for example, _number in zip(turns, range(2 * count), strict=False)]


PARITY = "parity.json"
_VERSION = 1
_MOST_LOST = 0.01
"""One point of accuracy."""
_MS = 1000


@dataclass(frozen=True)
class Parity:
    """What was measured on `n` test images of the run, of which `missing` more were not there any more.

    agreement: 0-1, of the images for which both name the same class first. largest_difference,
    mean_difference: 0-1, of a probability. accuracy_before, accuracy_after: 0-1, of the run's own model and
    of what was exported. ms_before, ms: milliseconds an image, medians of the same machine at the same time.
    All are None where n is 0, or where what was exported cannot be asked here. size_bytes: of the exported
    model with what it needs.
    """

    size_bytes: int
    n: int = 0
    missing: int = 0
    agreement: float | None = None
    largest_difference: float | None = None
    mean_difference: float | None = None
    accuracy_before: float | None = None
    accuracy_after: float | None = None
    ms_before: float | None = None
    ms: float | None = None

    @property
    def lost(self) -> float | None:
        """How much of the accuracy is gone, 0-1; below 0 where it has risen."""
        if self.accuracy_before is None or self.accuracy_after is None:
            return None
        return self.accuracy_before - self.accuracy_after

    @property
    def loses_much(self) -> bool:
        """Whether more than one point of accuracy is gone."""
        return self.lost is not None and self.lost > _MOST_LOST

    def write(self, path: Path, **about: Any) -> None:
        """Write `parity.json`. about: what else is to stand in it."""
        with atomic_text(path) as file:
            values = {"version": _VERSION, "split": "testing", **about, **asdict(self)}
            values |= {"loses_much": self.loses_much, "versions": versions()}
            json.dump(values, file, ensure_ascii=False, indent=1, allow_nan=False)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Parity":
        """Return what `write` wrote, by way of a JSON file, or `asdict`."""
        return cls(**{name: values[name] for name in cls.__dataclass_fields__})


def measured(
    model: Model,
    answer: Answer,
    tested: Sequence[Example],
    *,
    size_bytes: int,
    threads: int,
    progress: Progress,
) -> Parity:
    """Ask both of every test image. threads: for reading images; both are asked one at a time.

    Raises Stopped.
    """
    before: list[Float32Array] = []
    after: list[Float32Array] = []
    truth: list[int] = []
    before_s: list[float] = []
    after_s: list[float] = []
    missing = 0
    phase = _("Comparing with the run's own answers")
    progress.report(phase, 0, len(tested))
    for done, (example, pixels) in enumerate(read_images(tested, model.preprocessing, threads), 1):
        if pixels is None:
            missing += 1
            continue
        if not truth:  # the first answer of every engine takes longer
            model.probabilities(pixels), answer(pixels)
        moments = [time.perf_counter()]
        for ask, answers in ((model.probabilities, before), (answer, after)):
            answers.append(ask(pixels))
            moments.append(time.perf_counter())
        before_s.append(moments[1] - moments[0])
        after_s.append(moments[2] - moments[1])
        truth.append(model.labels.index(example.label))
        progress.report(phase, done, len(tested))
    if not truth:
        return Parity(size_bytes, missing=missing)
    ours, theirs, true = np.stack(before), np.stack(after), np.array(truth)
    # A broken file's NaN is as far away as can be.
    apart = np.nan_to_num(np.abs(ours - theirs), nan=1.0)
    return Parity(
        size_bytes,
        len(truth),
        missing,
        agreement=float(np.mean(ours.argmax(axis=1) == theirs.argmax(axis=1))),
        largest_difference=float(apart.max()),
        mean_difference=float(apart.mean()),
        accuracy_before=float(np.mean(ours.argmax(axis=1) == true)),
        accuracy_after=float(np.mean(theirs.argmax(axis=1) == true)),
        ms_before=median(before_s) * _MS,
        ms=median(after_s) * _MS,
    )
