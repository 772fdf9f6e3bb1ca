"""Parity of an exported model with the run's own model, measured on the run's test images.

Also the readers of test and calibration images.
"""

import json
import random
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
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
from studio.retrain.run_folder import library_versions
from studio.retrain.snapshot import Example, Snapshot
from studio.share.exports.export_format import PredictFunction

_READ_AHEAD = 16


def read_images(
    examples: Sequence[Example], preprocessing: Preprocessing, threads: int
) -> Iterator[tuple[Example, Uint8Array | None]]:
    """Yield each image's pixels, reading a few ahead; None for an image that is missing or unreadable."""
    with ThreadPoolExecutor(max_workers=threads) as pool:
        for start in range(0, len(examples), _READ_AHEAD):
            batch = examples[start : start + _READ_AHEAD]
            yield from zip(batch, pool.map(lambda one: _read(one, preprocessing), batch), strict=True)


def _read(example: Example, preprocessing: Preprocessing) -> Uint8Array | None:
    try:
        return preprocessing.read(example.path, example.path.name)
    except ImageRefused:
        return None


def calibration_examples(snapshot: Snapshot, count: int) -> list[Example]:
    """Return training images in a fixed random order that alternates between the classes.

    count: how many are needed; up to twice as many are returned, since some may be missing.
    """
    by_class: defaultdict[str, list[Example]] = defaultdict(list)
    for example in snapshot.of_split("training"):
        by_class[example.label].append(example)
    rng = random.Random(0)  # noqa: S311 - not for secrets
    for examples in by_class.values():
        rng.shuffle(examples)
    largest = max(map(len, by_class.values()), default=0)
    alternating = (
        by_class[label][at] for at in range(largest) for label in by_class if at < len(by_class[label])
    )
    return list(islice(alternating, 2 * count))


PARITY_FILE = "parity.json"
_VERSION = 1
_MAX_ACCURACY_LOSS = 0.01
"""One percentage point of accuracy."""
_MS_PER_S = 1000


@dataclass(frozen=True)
class Parity:
    """Differences between the run's own model and the exported model. The fields are keys of `parity.json`.

    size_bytes: of the exported model with the files it needs. n: test images compared; missing: test images
    that could not be read. agreement: fraction of images with the same class first, 0-1. largest_difference,
    mean_difference: of a probability, 0-1. accuracy_before, accuracy_after: 0-1, of the run's own model and
    of the exported one. ms_before, ms: median milliseconds an image, measured on one machine in turns.
    All but size_bytes, n and missing are None if n is 0 or the exported model cannot run here.
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
    def accuracy_loss(self) -> float | None:
        """Accuracy before minus accuracy after, 0-1; negative if the accuracy has risen."""
        if self.accuracy_before is None or self.accuracy_after is None:
            return None
        return self.accuracy_before - self.accuracy_after

    @property
    def loses_accuracy(self) -> bool:
        """Return whether the export loses more than one percentage point of accuracy."""
        return self.accuracy_loss is not None and self.accuracy_loss > _MAX_ACCURACY_LOSS

    def write(self, path: Path, **about: Any) -> None:
        """Write `parity.json`. about: further keys."""
        with atomic_text(path) as file:
            values = {"version": _VERSION, "split": "testing", **about, **asdict(self)}
            values |= {"loses_much": self.loses_accuracy, "versions": library_versions()}
            json.dump(values, file, ensure_ascii=False, indent=1, allow_nan=False)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Parity":
        """Read the values of `parity.json` or of `asdict`."""
        return cls(**{name: values[name] for name in cls.__dataclass_fields__})


def measure_parity(
    model: Model,
    predict: PredictFunction,
    test_examples: Sequence[Example],
    *,
    size_bytes: int,
    threads: int,
    progress: Progress,
) -> Parity:
    """Compare a run's model and an exported one on every test image.

    predict: of the exported model. threads: for reading images; both models predict one image at a time.
    Raises Stopped.
    """
    before: list[Float32Array] = []
    after: list[Float32Array] = []
    true_classes: list[int] = []
    before_s: list[float] = []
    after_s: list[float] = []
    missing = 0
    phase = _("Measuring parity")
    progress.report(phase, 0, len(test_examples))
    for done, (example, pixels) in enumerate(read_images(test_examples, model.preprocessing, threads), 1):
        if pixels is None:
            missing += 1
            continue
        if not true_classes:  # warm up: the first prediction of every engine takes longer
            model.probabilities(pixels), predict(pixels)
        times_s = [time.perf_counter()]
        for function, probabilities in ((model.probabilities, before), (predict, after)):
            probabilities.append(function(pixels))
            times_s.append(time.perf_counter())
        before_s.append(times_s[1] - times_s[0])
        after_s.append(times_s[2] - times_s[1])
        true_classes.append(model.labels.index(example.label))
        progress.report(phase, done, len(test_examples))
    if not true_classes:
        return Parity(size_bytes, missing=missing)
    own, exported, true = np.stack(before), np.stack(after), np.array(true_classes)
    # NaN, from a broken file, counts as the largest possible difference.
    differences = np.nan_to_num(np.abs(own - exported), nan=1.0)
    return Parity(
        size_bytes,
        len(true_classes),
        missing,
        agreement=float(np.mean(own.argmax(axis=1) == exported.argmax(axis=1))),
        largest_difference=float(differences.max()),
        mean_difference=float(differences.mean()),
        accuracy_before=float(np.mean(own.argmax(axis=1) == true)),
        accuracy_after=float(np.mean(exported.argmax(axis=1) == true)),
        ms_before=median(before_s) * _MS_PER_S,
        ms=median(after_s) * _MS_PER_S,
    )
