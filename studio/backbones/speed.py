"""How many images a backbone takes in a second on this machine, measured once and kept."""

import json
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from studio.backbones.conversion import ready
from studio.backbones.interpreter import Engine
from studio.files import atomic_text
from studio.i18n import _
from studio.progress import Progress

_FILE = "speeds.json"
_MEASURED_S = 1.5
_WARM_UP = 3
"""Images before the clock starts."""


def measure(
    names: Iterable[str], backbones_dir: Path, *, threads: int, progress: Progress
) -> dict[str, float]:
    """Return images a second by backbone, and keep them for `measured`.

    Inference alone, as the studio runs it: an interpreter for each of `threads`. Weights that are not here
    are fetched. Raises BackboneError, Stopped.
    """
    found: dict[str, float] = {}
    names = list(names)
    for at, name in enumerate(names):
        progress.report(_("Measuring"), at, len(names))
        file = ready(name, backbones_dir, progress)
        found[name] = _images_a_second(
            file.path.read_bytes(),
            file.preprocessing.width_px,
            threads,
            lambda: progress.report(_("Measuring"), at, len(names)),  # noqa: B023 - called before it moves on
        )
        _keep(backbones_dir, {name: found[name]})
    progress.report(_("Measuring"), len(names), len(names))
    return found


def measured(backbones_dir: Path) -> dict[str, float]:
    """Return what was measured on this machine so far: images a second, by backbone."""
    try:
        kept = json.loads((backbones_dir / _FILE).read_text(encoding="utf-8"))
        return {str(name): float(speed) for name, speed in kept.items()}
    except (OSError, ValueError, AttributeError, TypeError):  # nothing, or damaged: it can be measured again
        return {}


def _keep(backbones_dir: Path, found: dict[str, float]) -> None:
    together = measured(backbones_dir) | {name: round(speed, 1) for name, speed in found.items()}
    with atomic_text(backbones_dir / _FILE) as file:
        json.dump(together, file, indent=1)


def _images_a_second(content: bytes, size_px: int, threads: int, look: Callable[[], None]) -> float:
    pixels = np.random.default_rng(0).integers(0, 256, (size_px, size_px, 3), dtype=np.uint8)
    engines = [Engine(content) for _number in range(threads)]
    counts = [0] * threads
    ended = threading.Event()

    def work(number: int) -> None:
        while not ended.is_set():
            engines[number](pixels)
            counts[number] += 1

    for engine in engines:
        for _image in range(_WARM_UP):
            engine(pixels)
    workers = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(threads)]
    started = time.perf_counter()
    for worker in workers:
        worker.start()
    try:
        while time.perf_counter() - started < _MEASURED_S:
            time.sleep(0.1)
            look()
    finally:
        ended.set()
        for worker in workers:
            worker.join()
    # The last images ended after the time was up: count the time that they took.
    return sum(counts) / (time.perf_counter() - started)
