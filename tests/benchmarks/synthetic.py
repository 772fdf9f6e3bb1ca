"""The time of a run whose bottlenecks are all there: 3,670 of 1,280 features, 500 steps, evaluation, model.

python tests/benchmarks/synthetic.py

The bottlenecks are made up, five classes that overlap; everything else is a run as the studio does it, in a
process that has done one before, as its worker has.
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
    ready,
)
from studio.backbones.bottleneck_cache import BottleneckCache
from studio.progress import Silent
from studio.retrain.options import RunOptions
from studio.retrain.run import RunResult, retrain
from studio.retrain.snapshot import Labelled, Snapshot
from studio.worker.child import warm

IMAGES, CLASSES, STEPS = 3670, 5, 500


def images(room: Path) -> list[Labelled]:
    """Return images that share one file; only eight are ever looked at, when the model is checked."""
    path = room / "그림 one.png"
    Image.effect_mandelbrot((160, 120), (-2, -1.5, 1, 1.5), 100).convert("RGB").save(path)
    return [
        Labelled(hashlib.sha256(f"{number}".encode()).hexdigest(), path, f"class {number % CLASSES}")
        for number in range(IMAGES)
    ]


def fill(cache: BottleneckCache, listed: list[Labelled]) -> None:
    """Put made-up bottlenecks into a cache, in shards as large as the studio's."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(CLASSES, cache.features))
    for start in range(0, len(listed), 128):
        some = listed[start : start + 128]
        at = np.array([int(image.label[-1]) for image in some])
        vectors = centres[at] + 8 * random.normal(size=(len(some), cache.features))
        cache.add([image.sha256 for image in some], np.maximum(vectors, 0).astype(np.float32))


def run(snapshot: Snapshot, room: Path, name: str) -> tuple[RunResult, float]:
    """Return a run and its seconds."""
    start = time.perf_counter()
    result = retrain(
        snapshot,
        RunOptions(how_many_training_steps=STEPS),
        run_dir=room / name,
        bottleneck_dir=room / "bottlenecks",
        backbones_dir=room / "backbones",
        threads=2,
        progress=Silent(),
        on_points=lambda _points: None,
    )
    return result, time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as temporary:
        room = Path(temporary)
        warm(room / "backbones")
        backbone = ready(DEFAULT, room / "backbones", Silent())
        listed = images(room)
        fill(BottleneckCache.of(room / "bottlenecks", backbone), listed)
        snapshot = Snapshot.of(listed)
        for name in ("first", "second", "third"):
            result, seconds = run(snapshot, room, name)
            parts = ", ".join(f"{part} {taken:.2f}" for part, taken in result.facts["seconds"].items())
            print(f"{name}: {seconds:.2f} s ({parts}); accuracy {result.evaluation.accuracy:.3f}", flush=True)


if __name__ == "__main__":
    main()
