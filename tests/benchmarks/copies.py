"""Near copies: how long the search takes among 100,000 images, and how right it is.

python tests/benchmarks/copies.py [folder of class folders]

A batch of 100 new images enters a project of 100,000, in the database; 20,000 bottlenecks are compared.
Then edits of real photographs that are found, and unrelated ones that are taken for copies: by hash, as they
come in, and once their bottlenecks are known. Each edit has a project of its own.
"""

import io
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from db import models
from db.engine import Database
from db.migrate import migrate
from studio.backbones import (
    DEFAULT,
    ready,
)
from studio.backbones.bottleneck_cache import BottleneckCache
from studio.backbones.embedding import embed
from studio.collect.ingest import ingest
from studio.collect.ingest_rows import FileFacts, ReadImage, write_batch
from studio.collect.sample_data import drawings_offer
from studio.datasets.projects import create_project
from studio.datasets.sources import Source
from studio.images.near_duplicates import (
    DuplicateGroup,
    NearDuplicateIndex,
    NearDuplicatePair,
    duplicate_groups,
    refine_duplicate_groups,
)
from studio.images.store import ImageStore
from studio.progress import Silent
from studio.retrain.snapshot import Labelled

_IMAGES = 100_000
_BATCH = 100
_ROUNDS = 5
_EMBEDDED = 20_000
_EDITED = 150
_EDITS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "quality 40": lambda image: image,
    "70% size": lambda image: _scaled(image, 0.7),
    "50% size": lambda image: _scaled(image, 0.5),
    "5% cropped": lambda image: _cropped(image, 0.05),
    "10% cropped": lambda image: _cropped(image, 0.10),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
    "mirrored": ImageOps.mirror,
}


class Place:
    """A project in a new database and a store."""

    def __init__(self, folder: Path) -> None:
        self.database = Database(f"sqlite:///{(folder / 'studio.sqlite3').as_posix()}")
        migrate(self.database)
        self.store = ImageStore(folder / "pictures")
        with self.database.write() as session:
            self.project_id = create_project(session, "benchmark", _now()).id

    def take(self, sources: Iterator[Source]) -> int:
        """Take images in and return how many of them are near copies."""
        report = ingest(self.database, self.store, self.project_id, sources, progress=Silent(), clock=_now)
        return report.near_copies

    def groups(self) -> tuple[DuplicateGroup, ...]:
        """Return the groups there are now."""
        with self.database.read() as session:
            return duplicate_groups(session, self.project_id)


class Timed(NearDuplicateIndex):
    """A search that notes how long it took last."""

    seconds = 0.0

    def of(self, session: Session, added: Sequence[int]) -> list[NearDuplicatePair]:
        """Search."""
        start = time.perf_counter()
        pairs = super().of(session, added)
        self.seconds = time.perf_counter() - start
        return pairs


def _now() -> datetime:
    return datetime.now(UTC)


def _scaled(image: Image.Image, by: float) -> Image.Image:
    return image.resize((int(image.width * by), int(image.height * by)), Image.Resampling.BICUBIC)


def _cropped(image: Image.Image, by: float) -> Image.Image:
    across, down = image.width * by / 2, image.height * by / 2
    return image.crop((int(across), int(down), int(image.width - across), int(image.height - down)))


def fill(place: Place, rng: np.random.Generator) -> None:
    """Put 100,000 images with random hashes into the project's tables."""
    with place.database.write() as session:
        session.execute(
            insert(models.ImageRow),
            [
                {
                    "sha256": f"{number:064x}",
                    "format": "JPEG",
                    "width_px": 640,
                    "height_px": 480,
                    "size_bytes": 1,
                    "perceptual_hash": rng.bytes(8).hex(),
                    "created_at": _now(),
                }
                for number in range(_IMAGES)
            ],
        )
        session.execute(
            insert(models.LabelRow),
            [
                {
                    "project_id": place.project_id,
                    "image_id": image_id,
                    "state": "unlabelled",
                    "updated_at": _now(),
                }
                for image_id in session.scalars(select(models.ImageRow.id))
            ],
        )


def search_time(rng: np.random.Generator, folder: Path) -> None:
    """Print how long a batch takes: all of `enter`, and the search in it."""
    place = Place(folder)
    fill(place, rng)
    search = Timed(place.store, place.project_id)
    for number in range(_ROUNDS):
        batch = []
        for at in range(_BATCH):
            digest = f"{_IMAGES + number * _BATCH + at:064x}"
            facts = FileFacts("JPEG", 640, 480, 1, rng.bytes(8).hex())
            batch.append(ReadImage(Source(digest, lambda: b""), digest, facts))
        start = time.perf_counter()
        write_batch(
            place.database,
            place.project_id,
            batch,
            at=_now(),
            job_id=None,
            operation_id=f"batch {number}",
            near_copies=search,
        )
        whole = time.perf_counter() - start
        note = " (reads all hashes)" if number == 0 else ""
        print(
            f"batch of {_BATCH} among {_IMAGES:,}: search {search.seconds * 1000:.0f} ms, "
            f"with all its rows {whole * 1000:.0f} ms{note}",
            flush=True,
        )
    compare_time(rng, place)
    place.database.close()


def compare_time(rng: np.random.Generator, place: Place) -> None:
    """Print how long bottlenecks take to compare."""
    vectors = rng.random((_EMBEDDED, 1280), np.float32) ** 4  # as sparse as bottlenecks are
    ids = list(range(1, _EMBEDDED + 1))
    for new in (None, ids[-1000:]):
        start = time.perf_counter()
        refine_duplicate_groups(place.database, place.project_id, ids, vectors, new=new, progress=Silent())
        seconds = time.perf_counter() - start
        print(f"{len(new or ids):,} bottlenecks compared with {_EMBEDDED:,}: {seconds:.1f} s", flush=True)


def precision(photographs: list[Path], folder: Path) -> None:
    """Print what is found and what is mistaken, by hashes and then with bottlenecks."""
    place = Place(folder / "untouched")
    mistaken = place.take(_files(photographs))
    pairs = len(photographs) * (len(photographs) - 1) // 2
    print(f"{len(photographs)} photographs, {pairs:,} pairs: {mistaken} taken for near copies by hash")
    refine_all(place, folder)
    mixed = [[member.name for member in group.members] for group in place.groups()]
    print(f"with bottlenecks {len(mixed)}: {'; '.join(map(', '.join, mixed))}", flush=True)
    place.database.close()
    chosen = photographs[:: max(1, len(photographs) // _EDITED)]
    shares = []
    for edit in _EDITS:
        place = Place(folder / edit)
        place.take(_files(chosen))
        place.take(_edits(chosen, edit))
        by_hash = _found(place)
        refine_all(place, folder)
        shares.append((by_hash / len(chosen), _found(place) / len(chosen)))
        print(f"{edit}: by hash {shares[-1][0]:.1%}, with bottlenecks {shares[-1][1]:.1%}", flush=True)
        place.database.close()
    print("all edits: by hash {:.1%}, with bottlenecks {:.1%}".format(*np.mean(shares, axis=0)))
    place = Place(folder / "drawings")
    near = place.take(iter(drawings_offer(np.random.default_rng(0)).sources))
    print(f"160 drawings: {near} taken for near copies by hash")
    place.database.close()


def refine_all(place: Place, folder: Path) -> None:
    """Compute all bottlenecks and look at the groups again."""
    with place.database.read() as session:
        rows = session.execute(
            select(models.ImageRow.id, models.ImageRow.sha256, models.ImageRow.format)
        ).all()
    images = [Labelled(sha256, place.store.original(sha256, kind), "") for _id, sha256, kind in rows]
    backbone = ready(DEFAULT, folder / "backbones", Silent())
    cache = BottleneckCache(folder / "bottlenecks", backbone.features)
    embed(images, backbone, cache, threads=2, progress=Silent())
    vectors = cache.vectors([sha256 for _id, sha256, _kind in rows])
    refine_duplicate_groups(
        place.database, place.project_id, [row[0] for row in rows], vectors, progress=Silent()
    )


def _found(place: Place) -> int:
    """Return how many groups are a photograph and its edit."""
    return sum(len({Path(member.name).name for member in g.members}) == 1 for g in place.groups())


def _files(paths: list[Path]) -> Iterator[Source]:
    for path in paths:
        yield Source(path.name, path.read_bytes, path.parent.name)


def _edits(paths: list[Path], edit: str) -> Iterator[Source]:
    for path in paths:
        file = io.BytesIO()
        quality = 40 if edit == "quality 40" else 85
        _EDITS[edit](Image.open(path).convert("RGB")).save(file, "JPEG", quality=quality)
        yield Source(f"{edit}/{path.name}", file.getvalue)


def main(image_dir: Path) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        search_time(np.random.default_rng(0), Path(temporary) / "search")
        precision(sorted(image_dir.rglob("*.jpg")), Path(temporary) / "precision")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT.parent / "shared" / "data" / "flowers")
