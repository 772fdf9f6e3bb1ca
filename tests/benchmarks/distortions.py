"""Time and accuracy of cached distorted views, compared with distorting at every step.

python tests/benchmarks/distortions.py [folder of class folders]

`retrain.py` distorts at every step: it reads, distorts and embeds a batch of images. A few such steps are
measured and extrapolated to all. Accuracy: mean of five seeds and splits.
"""

import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import mean

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from studio.backbones import (
    DEFAULT,
    BackboneFile,
    prepare_backbone,
)
from studio.backbones.bottleneck_cache import BottleneckCache
from studio.progress import Silent
from studio.retrain.distortions import (
    Distortions,
    embed_views,
)
from studio.retrain.image_folder import read_image_folder
from studio.retrain.options import RunOptions
from studio.retrain.run import retrain
from studio.retrain.snapshot import LabelledImage, Snapshot
from studio.retrain.train_head import RunContext

_SEEDS = range(5)
_STEPS_MEASURED = 3
_THREADS = os.cpu_count() or 1
_MILD = RunOptions(flip_left_right=True, random_crop=10, random_scale=10, random_brightness=10)
_SETTINGS = {
    "none": RunOptions(),
    "flip": RunOptions(flip_left_right=True),
    "flip, crop, scale and brightness 10": _MILD,
    "the same, rotation 10, colour 10": replace(_MILD, random_rotation=10, random_colour=10),
}


def uncached_s(
    images: tuple[LabelledImage, ...], backbone: BackboneFile, options: RunOptions, folder: Path
) -> float:
    """Return the seconds of all steps if every batch is distorted and embedded."""
    distortions = Distortions.of(options)
    assert distortions is not None
    cache = BottleneckCache(folder, backbone.features)
    started = time.perf_counter()
    for step in range(_STEPS_MEASURED):
        sample = np.random.default_rng(step).integers(0, len(images), options.train_batch_size)
        batch = [images[index] for index in np.unique(sample)]
        embed_views(batch, backbone, cache, distortions, 1, step, threads=_THREADS, progress=Silent())
    return (time.perf_counter() - started) / _STEPS_MEASURED * options.how_many_training_steps


def run(images: tuple[LabelledImage, ...], options: RunOptions, folder: Path) -> tuple[float, float]:
    """Return test accuracy, 0-1, and the seconds of a run; undistorted bottlenecks are cached."""
    snapshot = Snapshot.of(images, seed=options.seed)
    started = time.perf_counter()
    context = RunContext(
        folder / f"run-{time.time_ns()}", folder / "bottlenecks", folder / "backbones", _THREADS, Silent()
    )
    result = retrain(snapshot, options, context)
    return result.evaluation.accuracy or 0.0, time.perf_counter() - started


def main(image_dir: Path) -> None:
    """Measure and print."""
    images = read_image_folder(image_dir, Silent()).images
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        backbone = prepare_backbone(DEFAULT, folder / "backbones", Silent())
        run(images, RunOptions(), folder)  # caches undistorted bottlenecks and loads TensorFlow
        for name, options in _SETTINGS.items():
            accuracies, ratios = [], []
            for seed in _SEEDS:
                accuracy, cached_s = run(images, replace(options, seed=seed), folder)
                accuracies.append(accuracy)
                if options.distorts:
                    ratios.append(
                        uncached_s(images, backbone, options, folder / f"uncached-{seed}") / cached_s
                    )
            times = (
                f", distorting at every step takes {np.median(ratios):.1f} times as long" if ratios else ""
            )
            print(f"{name}: {mean(accuracies):.1%} of {len(_SEEDS)} seeds{times}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT.parent / "shared" / "data" / "flowers")
