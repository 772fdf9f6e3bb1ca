"""Inference speed of backbones on this machine: measurement and the file that stores it."""

import json
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from studio.backbones.conversion import prepare_backbone
from studio.backbones.interpreter import LiteRTInterpreter
from studio.files import atomic_text
from studio.i18n import _
from studio.progress import Progress

_FILE = "speeds.json"
_DURATION_S = 1.5
_WARM_UP_IMAGES = 3
"""Images per interpreter before the measurement."""


def measure_speeds(
    names: Iterable[str], backbones_dir: Path, *, threads: int, progress: Progress
) -> dict[str, float]:
    """Measure images per second by backbone, and store them for `read_speeds`.

    Measures inference alone, with one interpreter per thread as the studio runs it. Downloads missing
    weights. Raises BackboneError, Stopped.
    """
    speeds: dict[str, float] = {}
    names = list(names)
    for at, name in enumerate(names):
        progress.report(_("Measuring"), at, len(names))
        file = prepare_backbone(name, backbones_dir, progress)
        speeds[name] = _images_per_second(
            file.path.read_bytes(),
            file.preprocessing.width_px,
            threads,
            lambda: progress.report(_("Measuring"), at, len(names)),  # noqa: B023 - called within this iteration
        )
        _save_speeds(backbones_dir, {name: speeds[name]})
    progress.report(_("Measuring"), len(names), len(names))
    return speeds


def read_speeds(backbones_dir: Path) -> dict[str, float]:
    """Return the stored measurements of this machine: images per second, by backbone."""
    try:
        stored = json.loads((backbones_dir / _FILE).read_text(encoding="utf-8"))
        return {str(name): float(speed) for name, speed in stored.items()}
    except (OSError, ValueError, AttributeError, TypeError):  # missing or damaged: it can be measured again
        return {}


def _save_speeds(backbones_dir: Path, speeds: dict[str, float]) -> None:
    stored = read_speeds(backbones_dir) | {name: round(speed, 1) for name, speed in speeds.items()}
    with atomic_text(backbones_dir / _FILE) as file:
        json.dump(stored, file, indent=1)


def _images_per_second(
    content: bytes, size_px: int, threads: int, check_stopped: Callable[[], None]
) -> float:
    pixels = np.random.default_rng(0).integers(0, 256, (size_px, size_px, 3), dtype=np.uint8)
    interpreters = [LiteRTInterpreter(content) for _number in range(threads)]
    counts = [0] * threads
    stopped = threading.Event()

    def work(number: int) -> None:
        while not stopped.is_set():
            interpreters[number](pixels)
            counts[number] += 1

    for interpreter in interpreters:
        for _image in range(_WARM_UP_IMAGES):
            interpreter(pixels)
    workers = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(threads)]
    started = time.perf_counter()
    for worker in workers:
        worker.start()
    try:
        while time.perf_counter() - started < _DURATION_S:
            time.sleep(0.1)
            check_stopped()
    finally:
        stopped.set()
        for worker in workers:
            worker.join()
    # The last images end after the measured duration: divide by the time they really took.
    return sum(counts) / (time.perf_counter() - started)
