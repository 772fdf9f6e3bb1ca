"""Near-duplicate search: its time among 100,000 images, and its recall and precision.

python tests/benchmarks/near_duplicates.py [folder of class folders]

A batch of 100 new images is added to a project of 100,000 in the database; 20,000 bottlenecks are compared.
Then the share of edited photographs that is found, and the number of unrelated ones that are taken for
near-duplicates: by hash, at ingest, and with bottlenecks. Each edit has its own project.
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
    prepare_backbone,
)
from studio.backbones.bottleneck_cache import BottleneckCache
from studio.backbones.embedding import embed
from studio.collect.ingest import ImportContext, ingest
from studio.collect.ingest_rows import FileFacts, ReadImage, write_batch
from studio.collect.sample_data import sample_shapes
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
from studio.retrain.snapshot import LabelledImage

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


class BenchmarkProject:
    """A project in a new database and a store."""

    def __init__(self, folder: Path) -> None:
        self.database = Database(f"sqlite:///{(folder / 'studio.sqlite3').as_posix()}")
        migrate(self.database)
        self.store = ImageStore(folder / "pictures")
        with self.database.write() as session:
            self.project_id = create_project(session, "benchmark", _now()).id

    def import_images(self, sources: Iterator[Source]) -> int:
        """Import images and return how many of them are near-duplicates."""
        report = ingest(
            ImportContext(database=self.database, store=self.store, project_id=self.project_id, clock=_now),
            sources,
        )
        return report.near_duplicates

    def groups(self) -> tuple[DuplicateGroup, ...]:
        """Return the current duplicate groups."""
        with self.database.read() as session:
            return duplicate_groups(session, self.project_id)


class TimedIndex(NearDuplicateIndex):
    """An index that records the seconds of its last search."""

    seconds = 0.0

    def find_pairs(self, session: Session, added: Sequence[int]) -> list[NearDuplicatePair]:
        """Return the near-duplicate pairs of the added images."""
        start = time.perf_counter()
        pairs = super().find_pairs(session, added)
        self.seconds = time.perf_counter() - start
        return pairs


def _now() -> datetime:
    return datetime.now(UTC)


def _scaled(image: Image.Image, by: float) -> Image.Image:
    return image.resize((int(image.width * by), int(image.height * by)), Image.Resampling.BICUBIC)


def _cropped(image: Image.Image, by: float) -> Image.Image:
    across, down = image.width * by / 2, image.height * by / 2
    return image.crop((int(across), int(down), int(image.width - across), int(image.height - down)))


def fill(project: BenchmarkProject, rng: np.random.Generator) -> None:
    """Insert 100,000 images with random hashes into the project's tables."""
    with project.database.write() as session:
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
                    "project_id": project.project_id,
                    "image_id": image_id,
                    "state": "unlabelled",
                    "updated_at": _now(),
                }
                for image_id in session.scalars(select(models.ImageRow.id))
            ],
        )


def search_time(rng: np.random.Generator, folder: Path) -> None:
    """Print the time of a batch: of the search alone, and of writing all its rows."""
    project = BenchmarkProject(folder)
    fill(project, rng)
    search = TimedIndex(project.store, project.project_id)
    for number in range(_ROUNDS):
        batch = []
        for at in range(_BATCH):
            digest = f"{_IMAGES + number * _BATCH + at:064x}"
            facts = FileFacts("JPEG", 640, 480, 1, rng.bytes(8).hex())
            batch.append(ReadImage(Source(digest, lambda: b""), digest, facts))
        start = time.perf_counter()
        write_batch(
            project.database,
            project.project_id,
            batch,
            at=_now(),
            job_id=None,
            operation_id=f"batch {number}",
            near_duplicates=search,
        )
        whole = time.perf_counter() - start
        note = " (reads all hashes)" if number == 0 else ""
        print(
            f"batch of {_BATCH} among {_IMAGES:,}: search {search.seconds * 1000:.0f} ms, "
            f"with all its rows {whole * 1000:.0f} ms{note}",
            flush=True,
        )
    compare_time(rng, project)
    project.database.close()


def compare_time(rng: np.random.Generator, project: BenchmarkProject) -> None:
    """Print the time of comparing bottlenecks."""
    vectors = rng.random((_EMBEDDED, 1280), np.float32) ** 4  # as sparse as bottlenecks are
    ids = list(range(1, _EMBEDDED + 1))
    for new in (None, ids[-1000:]):
        start = time.perf_counter()
        refine_duplicate_groups(
            project.database, project.project_id, ids, vectors, new=new, progress=Silent()
        )
        seconds = time.perf_counter() - start
        print(f"{len(new or ids):,} bottlenecks compared with {_EMBEDDED:,}: {seconds:.1f} s", flush=True)


def precision(photographs: list[Path], folder: Path) -> None:
    """Print the share of edits found and the wrong pairs, by hashes alone and with bottlenecks."""
    project = BenchmarkProject(folder / "untouched")
    wrong = project.import_images(_files(photographs))
    pairs = len(photographs) * (len(photographs) - 1) // 2
    print(f"{len(photographs)} photographs, {pairs:,} pairs: {wrong} taken for near-duplicates by hash")
    refine_all(project, folder)
    mixed = [[member.name for member in group.members] for group in project.groups()]
    print(f"with bottlenecks {len(mixed)}: {'; '.join(map(', '.join, mixed))}", flush=True)
    project.database.close()
    chosen = photographs[:: max(1, len(photographs) // _EDITED)]
    shares = []
    for edit in _EDITS:
        project = BenchmarkProject(folder / edit)
        project.import_images(_files(chosen))
        project.import_images(_edits(chosen, edit))
        by_hash = _count_found(project)
        refine_all(project, folder)
        shares.append((by_hash / len(chosen), _count_found(project) / len(chosen)))
        print(f"{edit}: by hash {shares[-1][0]:.1%}, with bottlenecks {shares[-1][1]:.1%}", flush=True)
        project.database.close()
    print("all edits: by hash {:.1%}, with bottlenecks {:.1%}".format(*np.mean(shares, axis=0)))
    project = BenchmarkProject(folder / "drawings")
    near = project.import_images(iter(sample_shapes(np.random.default_rng(0)).sources))
    print(f"160 drawings: {near} taken for near-duplicates by hash")
    project.database.close()


def refine_all(project: BenchmarkProject, folder: Path) -> None:
    """Compute all bottlenecks and refine the duplicate groups with them."""
    with project.database.read() as session:
        rows = session.execute(
            select(models.ImageRow.id, models.ImageRow.sha256, models.ImageRow.format)
        ).all()
    images = [LabelledImage(sha256, project.store.original(sha256, kind), "") for _id, sha256, kind in rows]
    backbone = prepare_backbone(DEFAULT, folder / "backbones", Silent())
    cache = BottleneckCache(folder / "bottlenecks", backbone.features)
    embed(images, backbone, cache, threads=2, progress=Silent())
    vectors = cache.vectors([sha256 for _id, sha256, _kind in rows])
    refine_duplicate_groups(
        project.database, project.project_id, [row[0] for row in rows], vectors, progress=Silent()
    )


def _count_found(project: BenchmarkProject) -> int:
    """Return the number of groups of a photograph and its edit."""
    return sum(len({Path(member.name).name for member in g.members}) == 1 for g in project.groups())


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
