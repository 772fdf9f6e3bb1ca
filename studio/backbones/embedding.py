"""From image files to bottlenecks: a pool of threads that read, decode, resize and infer."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Full, Queue
from typing import Protocol

import numpy as np
import numpy.typing as npt

from studio.backbones import BackboneFile
from studio.backbones.bottleneck_cache import BottleneckCache
from studio.backbones.interpreter import Engine
from studio.errors import ImageRefused
from studio.i18n import _
from studio.images.decode import read_image_file
from studio.progress import Progress

BATCH = 128
"""Images to a shard: with BATCH_S, the most that a killed pass loses."""
BATCH_S = 2.0
_TICK_S = 0.2
"""How often a stop is looked for while nothing comes."""


class ImageFile(Protocol):
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
class EmbeddingRequest:
    """An image, and under which names (SHA-256, hexadecimal) vectors made of it are wanted."""

    image: ImageFile
    digests: tuple[str, ...]


Drawn = Callable[[EmbeddingRequest, bytes], Iterable[npt.NDArray[np.uint8]]]
"""From an errand and the file's bytes to the pixels, uint8 (h, w, 3), for each of its digests in turn.

Called in several threads at once; raises ImageRefused.
"""


_Vectors = list[npt.NDArray[np.float32]]
"""One of each of an errand's digests."""


def embed(
    images: Iterable[ImageFile],
    backbone: BackboneFile,
    cache: BottleneckCache,
    *,
    threads: int,
    progress: Progress,
) -> tuple[Refusal, ...]:
    """Fill `cache` with what it lacks of `images`; return those that could not be read.

    threads: each with an interpreter of its own; one per core is best, since inference leaves the GIL.
    When stopped, the batch in hand is written before Stopped goes on; when killed, it is lost.
    """
    by_digest = {image.sha256: image for image in images}
    phase = _("Computing bottlenecks")
    progress.report(phase, 0, len(by_digest))
    errands = [EmbeddingRequest(by_digest[digest], (digest,)) for digest in cache.missing(by_digest)]

    def draw(errand: EmbeddingRequest, content: bytes) -> list[npt.NDArray[np.uint8]]:
        return [backbone.preprocessing.read(content, errand.image.path.name)]

    return fill(
        cache,
        errands,
        backbone,
        draw,
        phase=phase,
        total=len(by_digest),
        threads=threads,
        progress=progress,
    )


def fill(
    cache: BottleneckCache,
    errands: Sequence[EmbeddingRequest],
    backbone: BackboneFile,
    draw: Drawn,
    *,
    phase: str,
    total: int,
    threads: int,
    progress: Progress,
) -> tuple[Refusal, ...]:
    """Do `errands`, reading each file once; return those whose file could not be read.

    total: vectors in all, those that are in the cache already included, as progress is told.
    """
    done = total - sum(len(errand.digests) for errand in errands)
    if not errands:
        progress.report(phase, total, total)
        return ()
    refusals: list[Refusal] = []
    batch: dict[str, npt.NDArray[np.float32]] = {}
    written_at = time.monotonic()
    with _embedded(errands, backbone, draw, threads) as results:
        try:
            for ended in results:
                if ended is not None:
                    errand, result = ended
                    done += len(errand.digests)
                    if isinstance(result, Refusal):
                        refusals.append(result)
                    else:
                        batch.update(zip(errand.digests, result, strict=True))
                if len(batch) >= BATCH or (batch and time.monotonic() - written_at > BATCH_S):
                    _write(cache, batch)
                    written_at = time.monotonic()
                progress.report(phase, done, total)
        finally:
            _write(cache, batch)
    return tuple(sorted(refusals, key=lambda refusal: refusal.path))


def _write(cache: BottleneckCache, batch: dict[str, npt.NDArray[np.float32]]) -> None:
    if batch:
        cache.add(list(batch), np.stack(list(batch.values())))
        batch.clear()


@contextmanager
def _embedded(
    errands: Sequence[EmbeddingRequest], backbone: BackboneFile, draw: Drawn, threads: int
) -> Iterator[Iterator[tuple[EmbeddingRequest, _Vectors | Refusal] | None]]:
    """Yield results as they come, in any order, and None each time that none came for a while."""
    content = backbone.path.read_bytes()
    waiting = iter(errands)
    turn = threading.Lock()
    stopped = threading.Event()
    # Bounded: a slow disk below must not let vectors pile up.
    results: Queue[tuple[EmbeddingRequest, _Vectors | Refusal] | Exception] = Queue(maxsize=4 * threads)

    def put(result: tuple[EmbeddingRequest, _Vectors | Refusal] | Exception) -> None:
        while not stopped.is_set():
            try:
                return results.put(result, timeout=_TICK_S)
            except Full:
                continue

    def work(engine: Engine) -> None:
        while not stopped.is_set():
            with turn:
                errand = next(waiting, None)
            if errand is None:
                return
            try:
                put((errand, _embed_one(errand, draw, engine)))
            except Exception as error:  # to be raised where the results are read
                put(error)

    def read() -> Iterator[tuple[EmbeddingRequest, _Vectors | Refusal] | None]:
        came = 0
        while came < len(errands):
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
        for number in range(min(threads, len(errands)))
    ]
    for worker in workers:
        worker.start()
    try:
        yield read()
    finally:
        stopped.set()
        for worker in workers:
            worker.join()


def _embed_one(errand: EmbeddingRequest, draw: Drawn, engine: Engine) -> _Vectors | Refusal:
    image = errand.image
    name = image.path.name
    try:
        content = read_image_file(image.path, name)
        # A vector under the hash of other bytes would be wrong for ever.
        if hashlib.sha256(content).hexdigest() != image.sha256:
            raise ImageRefused(_("{name} has changed since it was listed.").format(name=name))
        return [engine(pixels) for pixels in draw(errand, content)]
    except ImageRefused as error:
        return Refusal(image.path, str(error), image.sha256)
