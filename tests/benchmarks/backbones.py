"""Test accuracy and speed of the installed backbones on a folder of class folders.

python tests/benchmarks/backbones.py [--seeds N] [--names NAME ...] [folder of class folders]

For each: test accuracy without fine-tuning, mean over seeds and splits, and images per second of inference.
Then pooled features beside ImageNet's class outputs as features (as in `retrain.py`), on the same splits and
steps, with the studio's head and with that of `retrain.py`; only for backbones whose classifier is installed.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from studio.backbones import (
    BACKBONES,
    Backbone,
    get_backbone,
)
from studio.backbones.backbone import WeightSource
from studio.backbones.interpreter import tensorflow
from studio.backbones.keras_weights import KerasWeights
from studio.backbones.speed import measure_speeds
from studio.errors import BackboneError
from studio.progress import Progress, Silent
from studio.retrain.image_folder import read_image_folder
from studio.retrain.options import RunOptions
from studio.retrain.run import retrain
from studio.retrain.snapshot import Snapshot
from studio.retrain.train_head import RunContext

_STEPS = 500
_LITES = [f"efficientnet_lite{number}" for number in range(3)]
_TOGETHER = ("efficientnet_lite0+mobilenet_1.0_224", "+".join(_LITES[:2]), "+".join(_LITES))
_CLASSES = 1000


@dataclass(frozen=True)
class ClassOutputs:
    """Weights whose features are the ImageNet logits of a network with its classifier."""

    source: WeightSource

    @property
    def cache_key(self) -> str:
        return f"{self.source.cache_key} with top"

    @property
    def sha256(self) -> str:
        return self.source.sha256

    @property
    def installed(self) -> bool:
        return self.source.installed

    @property
    def can_download(self) -> bool:
        return self.source.can_download

    @property
    def description(self) -> str:
        return self.source.description

    def download(self, progress: Progress) -> None:
        self.source.download(progress)

    def network(self, size_px: int, *, classifier: bool = False) -> Any:
        if not isinstance(self.source, KerasWeights):
            return self.source.network(size_px, classifier=True)
        tensorflow()
        import keras

        return getattr(keras.applications, self.source.constructor)(
            input_shape=(size_px, size_px, 3),
            weights=self.source.path.with_name(self.source.file.replace("_no_top", "")),
            classifier_activation=None,
            **dict(self.source.arguments),
        )


class Bench:
    """Runs on the images of one folder, with a shared bottleneck cache."""

    def __init__(self, image_dir: Path, home: Path, seeds: int, threads: int) -> None:
        self.images = read_image_folder(image_dir, Silent()).images
        self.home, self.seeds, self.threads = home, range(seeds), threads

    def accuracies(self, name: str, **options: Any) -> list[float]:
        """Return test accuracies in percent, one per seed."""
        accuracies = []
        for seed in self.seeds:
            snapshot = Snapshot.of(self.images, seed=seed)
            with tempfile.TemporaryDirectory(dir=self.home, ignore_cleanup_errors=True) as run_dir:
                result = retrain(
                    snapshot,
                    RunOptions(backbone=name, how_many_training_steps=_STEPS, seed=seed, **options),
                    RunContext(
                        Path(run_dir) / "run",
                        self.home / "bottlenecks",
                        self.home / "backbones",
                        self.threads,
                        Silent(),
                    ),
                )
            assert result.evaluation.accuracy is not None
            accuracies.append(100 * result.evaluation.accuracy)
        return accuracies

    def speed(self, name: str) -> float:
        """Return images per second."""
        return measure_speeds([name], self.home / "backbones", threads=self.threads, progress=Silent())[name]


def _installed(names: list[str]) -> Iterator[Backbone]:
    for name in names or [*BACKBONES, *_TOGETHER]:
        try:
            found = get_backbone(name)
        except BackboneError as error:
            print(error)
            continue
        if found.installed:
            yield found


def _with_classifier() -> Iterator[tuple[str, str]]:
    """Yield pairs of backbone names, with pooled features and with class outputs; registers the second."""
    for name in ("efficientnet_lite0", "mobilenet_1.0_224"):
        found = get_backbone(name)
        source = found.source
        if isinstance(source, KerasWeights):
            top = source.path.with_name(source.file.replace("_no_top", ""))
            if not top.exists():
                print(f"{name}: left out, its classifier is in {top.name}, which is not at {top.parent}")
                continue
        if not found.installed:
            print(f"{name}: left out, its weights are not here")
            continue
        outputs = f"{name} class outputs"
        BACKBONES[outputs] = replace(
            found, name=outputs, features=_CLASSES, source=ClassOutputs(found.source)
        )
        yield name, outputs


def _mean_and_error(accuracies: list[float]) -> str:
    spread = stdev(accuracies) if len(accuracies) > 1 else 0
    return f"{mean(accuracies):5.1f}% ± {spread / len(accuracies) ** 0.5:.1f}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("image_dir", nargs="?", type=Path, default=ROOT.parent / "shared/data/flowers")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--names", nargs="+", default=[])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        bench = Bench(arguments.image_dir, Path(temporary), arguments.seeds, os.cpu_count() or 1)
        print(f"{len(bench.images)} images, {_STEPS} steps, mean of {arguments.seeds} seeds and splits")
        for found in _installed(arguments.names):
            accuracies = bench.accuracies(found.name)
            print(
                f"{found.name:60} {_mean_and_error(accuracies)}  {bench.speed(found.name):6.0f} images/s",
                flush=True,
            )
        for pooled, outputs in _with_classifier():
            print(f"{pooled}: pooled features, studio head    {_mean_and_error(bench.accuracies(pooled))}")
            print(f"{pooled}: class outputs, studio head      {_mean_and_error(bench.accuracies(outputs))}")
            compat = bench.accuracies(outputs, compat="retrain.py")
            print(f"{pooled}: class outputs, retrain.py head  {_mean_and_error(compat)}", flush=True)


if __name__ == "__main__":
    main()
