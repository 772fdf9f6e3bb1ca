"""Time of a run with cached bottlenecks: 3,670 images, 1,280 features, 500 steps, evaluation, model file.

python tests/benchmarks/cached_run.py

The bottlenecks are synthetic, five overlapping classes; everything else is an ordinary run, in a process that
has imported TensorFlow, as the worker has.
"""

import hashlib
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from studio.backbones import (
    DEFAULT,
    prepare_backbone,
)
from studio.backbones.bottleneck_cache import BottleneckCache
from studio.progress import Silent
from studio.retrain.options import RunOptions
from studio.retrain.run import RunResult, retrain
from studio.retrain.snapshot import LabelledImage, Snapshot
from studio.retrain.train_head import RunContext
from studio.worker.child import warm

IMAGES, CLASSES, STEPS = 3670, 5, 500


def images(folder: Path) -> list[LabelledImage]:
    """Return images that share one file; only eight of them are read, to check the model file."""
    path = folder / "그림 one.png"
    Image.effect_mandelbrot((160, 120), (-2, -1.5, 1, 1.5), 100).convert("RGB").save(path)
    return [
        LabelledImage(hashlib.sha256(f"{number}".encode()).hexdigest(), path, f"class {number % CLASSES}")
        for number in range(IMAGES)
    ]


def fill(cache: BottleneckCache, listed: list[LabelledImage]) -> None:
    """Add synthetic bottlenecks to a cache, in shards as large as the studio's."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(CLASSES, cache.features))
    for start in range(0, len(listed), 128):
        some = listed[start : start + 128]
        at = np.array([int(image.label[-1]) for image in some])
        vectors = centres[at] + 8 * random.normal(size=(len(some), cache.features))
        cache.add([image.sha256 for image in some], np.maximum(vectors, 0).astype(np.float32))


def run(snapshot: Snapshot, folder: Path, name: str) -> tuple[RunResult, float]:
    """Train once; return the result and the seconds."""
    start = time.perf_counter()
    result = retrain(
        snapshot,
        RunOptions(how_many_training_steps=STEPS),
        RunContext(folder / name, folder / "bottlenecks", folder / "backbones", 2, Silent()),
    )
    return result, time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        warm(folder / "backbones")
        backbone = prepare_backbone(DEFAULT, folder / "backbones", Silent())
        listed = images(folder)
        fill(BottleneckCache.of(folder / "bottlenecks", backbone), listed)
        snapshot = Snapshot.of(listed)
        for name in ("first", "second", "third"):
            result, seconds = run(snapshot, folder, name)
            parts = ", ".join(f"{part} {taken:.2f}" for part, taken in result.facts["seconds"].items())
            print(f"{name}: {seconds:.2f} s ({parts}); accuracy {result.evaluation.accuracy:.3f}", flush=True)


if __name__ == "__main__":
    main()
