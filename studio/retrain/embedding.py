"""From picture files to bottlenecks: a pool of threads that read, decode, resize and infer."""

import hashlib
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Full, Queue
from typing import Protocol

import numpy as np
import numpy.typing as npt

from studio.collect.decode import read_picture_file
from studio.errors import PictureRefused
from studio.language import _
from studio.progress import Progress
from studio.retrain.backbones import BackboneFile
from studio.retrain.bottlenecks import BottleneckCache
from studio.retrain.engine import Engine

BATCH = 128
"""Pictures to a shard: with BATCH_S, the most that a killed pass loses."""
BATCH_S = 2.0
_TICK_S = 0.2
"""How often a stop is looked for while nothing comes."""


class Picture(Protocol):
    """A file and the SHA-256 it is expected to have, hexadecimal; such as `Labelled` and `Example`."""

    @property
    def sha256(self) -> str:
        """64 hexadecimal digits."""

    @property
    def path(self) -> Path:
        """Where the file is."""


@dataclass(frozen=True)
class Refusal:
    """A file that was left out, and why: one line for people that names the file."""

    path: Path
    reason: str
    sha256: str = ""


@dataclass(frozen=True)
class _Embedded:
    sha256: str
    vector: npt.NDArray[np.float32]


def embed(
    pictures: Iterable[Picture],
    backbone: BackboneFile,
    cache: BottleneckCache,
    *,
    threads: int,
    progress: Progress,
) -> tuple[Refusal, ...]:
    """Fill `cache` with what it lacks of `pictures`; return those that could not be read.

    threads: each with an interpreter of its own; one per core is best, since inference leaves the GIL.
    When stopped, the batch in hand is written before Stopped goes on; when killed, it is lost.
    """
    by_digest = {picture.sha256: picture for picture in pictures}
    phase = _("Computing bottlenecks")
    progress.report(phase, 0, len(by_digest))
    missing = cache.missing(by_digest)
    if not missing:
        progress.report(phase, len(by_digest), len(by_digest))
        return ()
    done = len(by_digest) - len(missing)
    refusals: list[Refusal] = []
    batch: list[_Embedded] = []
    written_at = time.monotonic()
    with _embedded([by_digest[digest] for digest in missing], backbone, threads) as results:
        try:
            for result in results:
                if isinstance(result, Refusal):
                    refusals.append(result)
                elif result is not None:
                    batch.append(result)
                done += result is not None
                if len(batch) >= BATCH or (batch and time.monotonic() - written_at > BATCH_S):
                    _write(cache, batch)
                    written_at = time.monotonic()
                progress.report(phase, done, len(by_digest))
        finally:
            _write(cache, batch)
    return tuple(sorted(refusals, key=lambda refusal: refusal.path))


def _write(cache: BottleneckCache, batch: list[_Embedded]) -> None:
    if batch:
        cache.add([item.sha256 for item in batch], np.stack([item.vector for item in batch]))
        batch.clear()


@contextmanager
def _embedded(
    pictures: Sequence[Picture], backbone: BackboneFile, threads: int
) -> Iterator[Iterator[_Embedded | Refusal | None]]:
    """Yield results as they come, in any order, and None each time that none came for a while."""
    content = backbone.path.read_bytes()
    waiting = iter(pictures)
    turn = threading.Lock()
    stopped = threading.Event()
    # Bounded: a slow disk below must not let vectors pile up.
    results: Queue[_Embedded | Refusal | Exception] = Queue(maxsize=4 * threads)

    def put(result: _Embedded | Refusal | Exception) -> None:
        while not stopped.is_set():
            try:
                return results.put(result, timeout=_TICK_S)
            except Full:
                continue

    def work(engine: Engine) -> None:
        while not stopped.is_set():
            with turn:
                picture = next(waiting, None)
            if picture is None:
                return
            try:
                put(_embed_one(picture, backbone, engine))
            except Exception as error:  # to be raised where the results are read
                put(error)

    def read() -> Iterator[_Embedded | Refusal | None]:
        came = 0
        while came < len(pictures):
            try:
                result = results.get(timeout=_TICK_S)
            except Empty:
                yield None
                continue
            if isinstance(result, Exception):
                raise result
            came += 1
            yield result

    workers = [
        threading.Thread(target=work, args=(Engine(content),), name=f"embedding-{number}", daemon=True)
        for number in range(min(threads, len(pictures)))
    ]
    for worker in workers:
        worker.start()
    try:
        yield read()
    finally:
        stopped.set()
        for worker in workers:
            worker.join()


def _embed_one(picture: Picture, backbone: BackboneFile, engine: Engine) -> _Embedded | Refusal:
    name = picture.path.name
    try:
        content = read_picture_file(picture.path, name)
        # A vector under the hash of other bytes would be wrong for ever.
        if hashlib.sha256(content).hexdigest() != picture.sha256:
            raise PictureRefused(_("{name} has changed since it was listed.").format(name=name))
        return _Embedded(picture.sha256, engine(backbone.preprocessing.read(content, name)))
    except PictureRefused as error:
        return Refusal(picture.path, str(error), picture.sha256)
