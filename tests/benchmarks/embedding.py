"""Embedding speed, end to end: the studio's thread pool beside Keras `predict` with the same backbone.

python tests/benchmarks/embedding.py [folder of class folders]

Both read, decode and resize the same files in the same way; Keras takes batches of 32. They alternate, so
that changes of the machine's load affect both.
"""

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from studio.backbones import (
    DEFAULT,
    BackboneFile,
    get_backbone,
    prepare_backbone,
)
from studio.backbones.bottleneck_cache import BottleneckCache
from studio.backbones.embedding import embed
from studio.progress import Silent
from studio.retrain.image_folder import read_image_folder
from studio.retrain.snapshot import LabelledImage

_BATCH = 32
_ROUNDS = 3


def by_pool(images: tuple[LabelledImage, ...], backbone: BackboneFile, folder: Path) -> float:
    """Return images per second of `embed` into an empty cache."""
    cache = BottleneckCache(folder, backbone.features)
    start = time.perf_counter()
    embed(images, backbone, cache, threads=os.cpu_count() or 1, progress=Silent())
    return len(images) / (time.perf_counter() - start)


def by_keras(images: tuple[LabelledImage, ...], backbone: BackboneFile, network: Any) -> float:
    """Return images per second of `predict`, one batch at a time."""
    preprocessing = backbone.preprocessing
    start = time.perf_counter()
    for at in range(0, len(images), _BATCH):
        batch = images[at : at + _BATCH]
        pixels = np.stack([preprocessing.read(image.path, image.path.name) for image in batch])
        scaled = (pixels.astype(np.float32) - preprocessing.mean) / preprocessing.scale
        network.predict(scaled, batch_size=_BATCH, verbose=0)
    return len(images) / (time.perf_counter() - start)


def main(image_dir: Path) -> None:
    """Measure and print."""
    images = read_image_folder(image_dir, Silent()).images
    with tempfile.TemporaryDirectory() as temporary:
        backbone = prepare_backbone(DEFAULT, Path(temporary) / "backbones", Silent())
        network = get_backbone(DEFAULT).network()
        by_keras(images[: 2 * _BATCH], backbone, network)  # compiles
        ratios = []
        for number in range(_ROUNDS):
            pool = by_pool(images, backbone, Path(temporary) / f"cache-{number}")
            keras = by_keras(images, backbone, network)
            ratios.append(pool / keras)
            print(f"pool {pool:.0f} images/s, Keras predict {keras:.0f}, {ratios[-1]:.2f} times", flush=True)
    print(f"median of {_ROUNDS}: {np.median(ratios):.2f} times, {len(images)} images")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT.parent / "shared" / "data" / "flowers")
