"""Embedding of image files: a pool of threads that reads, decodes, resizes and computes bottlenecks."""

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
from studio.backbones.interpreter import LiteRTInterpreter
from studio.errors import ImageRefused
from studio.i18n import _
from studio.images.decode import read_image_file
from studio.progress import Progress

SHARD_SIZE = 128
"""Images per shard; with `SHARD_INTERVAL_S`, the most that a killed process loses."""
SHARD_INTERVAL_S = 2.0
_POLL_S = 0.2
"""Interval of the check for Stop while no result arrives."""


class ImageFile(Protocol):
    """A file and its expected SHA-256, such as an `Example` of a snapshot."""

    @property
    def sha256(self) -> str:
        """64 hexadecimal digits."""

    @property
    def path(self) -> Path:
        """Path of the file."""


@dataclass(frozen=True)
class SkippedFile:
    """A file that was skipped. reason: one line for people that names the file."""

    path: Path
    reason: str
    sha256: str = ""


@dataclass(frozen=True)
class EmbeddingRequest:
    """An image and the cache keys (SHA-256, hexadecimal) of the vectors to compute from it."""

    image: ImageFile
    digests: tuple[str, ...]


RenderViews = Callable[[EmbeddingRequest, bytes], Iterable[npt.NDArray[np.uint8]]]
"""A function from a request and the file's bytes to pixels, uint8, (h, w, 3), one for each digest in order.

Called in several threads at once; raises ImageRefused.
"""


_Vectors = list[npt.NDArray[np.float32]]
"""One for each digest of a request."""


def embed(
    images: Iterable[ImageFile],
    backbone: BackboneFile,
    cache: BottleneckCache,
    *,
    threads: int,
    progress: Progress,
) -> tuple[SkippedFile, ...]:
    """Compute the missing bottlenecks of `images` into `cache`; return the images that could not be read.

    threads: each has its own interpreter; one per core is best, since inference releases the GIL.
    On Stop, the current batch is written before Stopped is raised; if the process is killed, it is lost.
    """
    by_digest = {image.sha256: image for image in images}
    phase = _("Computing bottlenecks")
    progress.report(phase, 0, len(by_digest))
    requests = [EmbeddingRequest(by_digest[digest], (digest,)) for digest in cache.missing(by_digest)]

    def render(request: EmbeddingRequest, content: bytes) -> list[npt.NDArray[np.uint8]]:
        return [backbone.preprocessing.read(content, request.image.path.name)]

    return embed_requests(
        cache,
        requests,
        backbone,
        render,
        phase=phase,
        total=len(by_digest),
        threads=threads,
        progress=progress,
    )


def embed_requests(
    cache: BottleneckCache,
    requests: Sequence[EmbeddingRequest],
    backbone: BackboneFile,
    render: RenderViews,
    *,
    phase: str,
    total: int,
    threads: int,
    progress: Progress,
) -> tuple[SkippedFile, ...]:
    """Compute the vectors of `requests` into `cache`, reading each file once; return the skipped files.

    total: number of vectors for the progress, including those that are cached already.
    """
    done = total - sum(len(request.digests) for request in requests)
    if not requests:
        progress.report(phase, total, total)
        return ()
    skipped: list[SkippedFile] = []
    batch: dict[str, npt.NDArray[np.float32]] = {}
    written_at = time.monotonic()
    with _run_pool(requests, backbone, render, threads) as results:
        try:
            for finished in results:
                if finished is not None:
                    request, result = finished
                    done += len(request.digests)
                    if isinstance(result, SkippedFile):
                        skipped.append(result)
                    else:
                        batch.update(zip(request.digests, result, strict=True))
                if len(batch) >= SHARD_SIZE or (batch and time.monotonic() - written_at > SHARD_INTERVAL_S):
                    _write(cache, batch)
                    written_at = time.monotonic()
                progress.report(phase, done, total)
        finally:
            _write(cache, batch)
    return tuple(sorted(skipped, key=lambda file: file.path))


def _write(cache: BottleneckCache, batch: dict[str, npt.NDArray[np.float32]]) -> None:
    if batch:
        cache.add(list(batch), np.stack(list(batch.values())))
        batch.clear()


@contextmanager
def _run_pool(
    requests: Sequence[EmbeddingRequest], backbone: BackboneFile, render: RenderViews, threads: int
) -> Iterator[Iterator[tuple[EmbeddingRequest, _Vectors | SkippedFile] | None]]:
    """Yield results in the order they finish, and None each `_POLL_S` without a result."""
    content = backbone.path.read_bytes()
    pending = iter(requests)
    pending_lock = threading.Lock()
    stopped = threading.Event()
    # Bounded, so that vectors do not fill the memory if the disk is slow.
    results: Queue[tuple[EmbeddingRequest, _Vectors | SkippedFile] | Exception] = Queue(maxsize=4 * threads)

    def put(result: tuple[EmbeddingRequest, _Vectors | SkippedFile] | Exception) -> None:
        while not stopped.is_set():
            try:
                return results.put(result, timeout=_POLL_S)
            except Full:
                continue

    def work(interpreter: LiteRTInterpreter) -> None:
        while not stopped.is_set():
            with pending_lock:
                request = next(pending, None)
            if request is None:
                return
            try:
                put((request, _embed_request(request, render, interpreter)))
            except Exception as error:  # raised again where the results are read
                put(error)

    def read() -> Iterator[tuple[EmbeddingRequest, _Vectors | SkippedFile] | None]:
        received = 0
        while received < len(requests):
            try:
                result = results.get(timeout=_POLL_S)
            except Empty:
                yield None
                continue
            if isinstance(result, Exception):
                raise result
            received += 1
            yield result

    workers = [
        threading.Thread(
            target=work, args=(LiteRTInterpreter(content),), name=f"embedding-{number}", daemon=True
        )
        for number in range(min(threads, len(requests)))
    ]
    for worker in workers:
        worker.start()
    try:
        yield read()
    finally:
        stopped.set()
        for worker in workers:
            worker.join()


def _embed_request(
    request: EmbeddingRequest, render: RenderViews, interpreter: LiteRTInterpreter
) -> _Vectors | SkippedFile:
    image = request.image
    name = image.path.name
    try:
        content = read_image_file(image.path, name)
        # A vector cached under the hash of other bytes would stay wrong.
        if hashlib.sha256(content).hexdigest() != image.sha256:
            raise ImageRefused(_("{name} has changed since it was listed.").format(name=name))
        return [interpreter(pixels) for pixels in render(request, content)]
    except ImageRefused as error:
        return SkippedFile(image.path, str(error), image.sha256)
