"""Analyses of a project: accuracy of label issues, gain of active learning, and time.

python tests/benchmarks/curating.py [folder of class folders] [part …]

Parts (all by default):
issues      precision of label issues for labels flipped at random
duplicates  edits of photographs that are grouped with their originals
curve       test accuracy by number of labels, images labelled in the studio's order and in random order
times       at 600 images, and at 100,000 made-up ones
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sqlalchemy import insert

from studio.arrays import Float32Array, Int64Array

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
from studio.curate.active_learning import BATCH_SIZE, fit_suggester, rank_by_diversity, rank_for_labelling
from studio.curate.analyse_images import ImageSet, analyse_images, list_images
from studio.curate.analyse_labels import analyse_labels, margins
from studio.curate.analysis_files import write_array
from studio.curate.analysis_results import AnalysisContext
from studio.curate.embedding_map import fit_basis, reduce_vectors
from studio.curate.image_quality import _MEASURES_DTYPE, _MEASURES_FILE
from studio.curate.kernel_model import fit_kernel_ridge, kernel_width
from studio.curate.label_issues import find_label_issues
from studio.curate.paging import nearest_images
from studio.datasets.projects import create_project
from studio.images.near_duplicates import refine_duplicate_groups
from studio.images.store import ImageStore
from studio.progress import Silent
from studio.retrain.head.dataset import HeadDataset
from studio.retrain.head.head import Head, TrainingContext, fit_head
from studio.retrain.image_folder import read_image_folder
from studio.retrain.options import RunOptions

SEEDS = range(5)
FLIP_SEEDS = range(20)
TESTED = 100
FIRST = 5
STEPS = 18
ACCEPTED = 0.9
MANY = 100_000


def no_groups(count: int) -> Int64Array:
    """Return the duplicate groups of images that are all different: -1 each."""
    return np.full(count, -1, np.int64)


def bottlenecks(image_dir: Path, folder: Path) -> tuple[Float32Array, Int64Array]:
    """Return the bottlenecks of a folder of class folders, and the classes."""
    images = read_image_folder(image_dir, Silent()).images
    backbone = prepare_backbone(DEFAULT, folder / "backbones", Silent())
    cache = BottleneckCache(folder / "bottlenecks", backbone.features)
    embed(images, backbone, cache, threads=2, progress=Silent())
    classes = sorted({image.label for image in images})
    labels = np.array([classes.index(image.label) for image in images], np.int64)
    return cache.vectors([image.sha256 for image in images]), labels


def issues(vectors: Float32Array, labels: Int64Array) -> None:
    """Print the precision of the first k label issues for k flipped labels, and their estimated number."""
    short = reduce_vectors(vectors, fit_basis(vectors))
    classes = int(labels.max()) + 1
    for share in (0.0, 0.05, 0.10):
        found, counted = [], []
        for seed in FLIP_SEEDS:
            rng = np.random.default_rng(seed)
            flipped = rng.choice(len(labels), round(share * len(labels)), replace=False)
            given = labels.copy()
            given[flipped] = (given[flipped] + rng.integers(1, classes, len(flipped))) % classes
            fitted = fit_kernel_ridge(
                short, given, classes, width=kernel_width(short), groups=no_groups(len(given)), rng=_rng()
            )
            sure = fitted.model.probabilities(fitted.held_out)
            judged = find_label_issues(
                fitted.held_out, sure, given, no_groups(len(given)), np.zeros(len(given), bool)
            )
            first = judged.rows[np.argsort(-judged.scores, kind="stable")][: len(flipped)]
            found.append(float(np.isin(first, flipped).mean()) if len(flipped) else np.nan)
            counted.append(judged.wrong_count)
        print(
            f"{share:.0%} flipped ({round(share * len(labels))}): {np.mean(found):.1%} among the first "
            f"so many (from {np.min(found):.1%} to {np.max(found):.1%}), counted {np.mean(counted):.0f}",
            flush=True,
        )


def curve(vectors: Float32Array, labels: Int64Array, folder: Path) -> None:
    """Print the test accuracy by number of labels, of the suggestion model and of a retrained head."""
    short = reduce_vectors(vectors, fit_basis(vectors))
    ways: dict[str, list[list[tuple[float, float, float]]]] = {"random": [], "chosen": []}
    whole = []
    for seed in SEEDS:
        shuffled = np.random.default_rng(seed).permutation(len(labels))
        tested, pool = shuffled[:TESTED], shuffled[TESTED:]
        whole.append(_accuracies(vectors, short, labels, pool, pool[:0], tested, folder))
        for way, rows in ways.items():
            known = pool[:FIRST]
            rows.append([])
            for step in range(STEPS):
                waiting = np.setdiff1d(pool, known)
                rows[-1].append(_accuracies(vectors, short, labels, known, waiting, tested, folder))
                if way == "random":
                    known = pool[: FIRST + (step + 1) * BATCH_SIZE]
                else:
                    known = np.concatenate(
                        [known, waiting[_ordered(short, labels, known, waiting)[:BATCH_SIZE]]]
                    )
    print(f"mean of {len(SEEDS)} seeds, {TESTED} test images, {len(pool)} to label")
    print(f"suggestions, retrained head, the same with suggestions accepted from {ACCEPTED:.0%} on")
    print("labels | random              | chosen")
    for step in range(STEPS):
        cells = (np.mean([row[step] for row in rows], axis=0) for rows in ways.values())
        text = " | ".join(" ".join(f"{share:.1%}" for share in cell) for cell in cells)
        print(f"{FIRST + step * BATCH_SIZE:6} | {text}")
    print(f"all {len(pool)}: " + " ".join(f"{share:.1%}" for share in np.mean(whole, axis=0)), flush=True)


def _ordered(
    short: Float32Array, labels: Int64Array, known: Int64Array, waiting: Int64Array
) -> npt.NDArray[np.integer]:
    """Return the indices of `waiting` in the order of the active learning."""
    classes, given = np.unique(labels[known], return_inverse=True)
    width = kernel_width(short)
    if len(classes) < 2:
        order = rank_by_diversity(short, width, groups=no_groups(len(short)), rng=_rng())
        return np.searchsorted(waiting, order[np.isin(order, waiting)])
    rng = _rng()
    model = fit_kernel_ridge(
        short[known], given, len(classes), width=width, groups=no_groups(len(known)), rng=rng
    ).model
    unsure = 1 - margins(model.probabilities(model.values(short[waiting])))
    return rank_for_labelling(short[waiting], unsure, model, groups=no_groups(len(waiting)), rng=rng)


def _accuracies(
    vectors: Float32Array,
    short: Float32Array,
    labels: Int64Array,
    known: Int64Array,
    waiting: Int64Array,
    tested: Int64Array,
    folder: Path,
) -> tuple[float, float, float]:
    """Return test accuracies: of suggestions, of a head, and of a head with suggestions accepted."""
    classes, given = np.unique(labels[known], return_inverse=True)
    if len(classes) < 2:
        right = float((labels[tested] == classes[0]).mean())
        return right, right, right
    groups, rng = no_groups(len(known)), _rng()
    fitted = fit_kernel_ridge(
        short[known], given, len(classes), width=kernel_width(short), groups=groups, rng=rng
    )
    suggester = fit_suggester(fitted, short[known], given, short[waiting], groups=groups, rng=rng)
    light = classes[suggester.probabilities(short[tested]).argmax(axis=1)] == labels[tested]
    suggested = suggester.probabilities(short[waiting])
    sure = suggested.max(axis=1) >= ACCEPTED
    more = np.concatenate([known, waiting[sure]])
    accepted = np.concatenate([given, suggested[sure].argmax(axis=1)])
    heads = (
        _head(vectors[rows], of, len(classes), folder).probabilities(vectors[tested]).argmax(axis=1)
        for rows, of in ((known, given), (more, accepted))
    )
    return float(light.mean()), *(float((classes[each] == labels[tested]).mean()) for each in heads)  # type: ignore[return-value]


def _head(vectors: Float32Array, labels: Int64Array, classes: int, folder: Path) -> Head:
    """Train a head as a run does, on all given images."""
    dataset = HeadDataset(vectors, labels.astype(np.intp), np.arange(len(labels)), np.arange(0), classes)
    checkpoint = folder / "checkpoint.npz"
    checkpoint.unlink(missing_ok=True)
    return fit_head(
        dataset,
        RunOptions(),
        TrainingContext(checkpoint, "", Silent(), lambda _points: None),
    ).head


def times(vectors: Float32Array, labels: Int64Array, folder: Path) -> None:
    """Print the time of analyses: of 600 photographs, and of 100,000 made-up images."""
    for count in (len(labels), MANY):
        project = _synthetic_project(folder / str(count), vectors, labels, count)
        with timed(f"{count:,} images: image analysis, already measured and embedded"):
            project.analyse_images()
        with timed(f"{count:,} images: near-duplicates, all against all (part of a first analysis)"):
            if count < MANY:
                project.refine(None)
        with timed(f"{count:,} images: near-duplicates of 1,000 new ones"):
            project.refine(1_000)
        with timed(f"{count:,} images, half labelled: label analysis"):
            analyse_labels(project.context())
        nearest_images(project.folder, int(project.ids[0]), 10)
        waits = []
        for image in project.ids[:: max(1, count // 200)].tolist():
            start = time.perf_counter()
            nearest_images(project.folder, image, 8192)
            waits.append(time.perf_counter() - start)
        print(
            f"{count:,} images: nearest images {np.median(waits) * 1000:.1f} ms, "
            f"at most {max(waits) * 1000:.1f} ms"
        )
        project.database.close()


class _SyntheticProject:
    """A project of images that exist as rows and vectors only."""

    def __init__(self, folder: Path, vectors: Float32Array, labels: Int64Array, count: int) -> None:
        self.folder = folder / "studies"
        self.folder.mkdir(parents=True)
        self.database = Database(f"sqlite:///{(folder / 'studio.sqlite3').as_posix()}")
        migrate(self.database)
        rng = np.random.default_rng(0)
        self.vectors = np.lib.format.open_memmap(
            folder / "full.npy", mode="w+", dtype=np.float32, shape=(count, vectors.shape[1])
        )
        classes = int(labels.max()) + 1
        of = np.empty(count, np.int64)
        for start in range(0, count, 4096):
            rows = rng.integers(0, len(vectors), min(4096, count - start))
            # Photographs mixed two by two: as many different ones as wanted, spread as photographs are.
            others = rng.permutation(rows)
            share = rng.uniform(0.55, 0.95, (len(rows), 1)).astype(np.float32)
            self.vectors[start : start + len(rows)] = vectors[rows] * share + vectors[others] * (1 - share)
            of[start : start + len(rows)] = labels[rows]
        with self.database.write() as session:
            self.project = create_project(session, "many", _now()).id
            made = [
                models.ImageClassRow(project_id=self.project, name=str(n), position=n) for n in range(classes)
            ]
            session.add_all(made)
            session.flush()
            ids = [each.id for each in made]
            connection = session.connection()
            connection.execute(insert(models.ImageRow), [_image(n, rng) for n in range(1, count + 1)])
            connection.execute(
                insert(models.LabelRow),
                [
                    {
                        "project_id": self.project,
                        "image_id": n,
                        "state": "labelled" if n % 2 else "unlabelled",
                        "class_id": ids[of[n - 1]] if n % 2 else None,
                        "operation_number": 0,
                        "updated_at": _now(),
                    }
                    for n in range(1, count + 1)
                ],
            )
        with self.database.read() as session:
            self.images = list_images(session, self.project)
        self.ids = np.array([image.id for image in self.images])
        measures = np.zeros(count, _MEASURES_DTYPE)
        measures["id"], measures["values"] = self.ids, (-0.2, -0.5, -0.4, 200, 50)
        write_array(self.folder / _MEASURES_FILE, measures)

    def analyse_images(self) -> None:
        """Analyse the images, whose quality measures exist already."""
        image_set = ImageSet(self.images, self.vectors, fingerprint="", operation_number=0, unreadable=0)
        analyse_images(self.context(), ImageStore(self.folder), image_set, None)

    def context(self) -> AnalysisContext:
        return AnalysisContext(self.database, self.project, self.folder, Silent(), _now(), threads=2)

    def refine(self, new: int | None) -> None:
        """Refine duplicate groups: of the newest images against all, or of all images."""
        some = None if new is None else set(self.ids[-new:].tolist())
        refine_duplicate_groups(
            self.database, self.project, self.ids.tolist(), self.vectors, new=some, progress=Silent()
        )


def _synthetic_project(
    folder: Path, vectors: Float32Array, labels: Int64Array, count: int
) -> _SyntheticProject:
    folder.mkdir()
    return _SyntheticProject(folder, vectors, labels, count)


def _image(number: int, rng: np.random.Generator) -> dict[str, object]:
    return {
        "id": number,
        "sha256": f"{number:064x}",
        "format": "JPEG",
        "width_px": 640,
        "height_px": 480,
        "size_bytes": 1,
        "perceptual_hash": rng.bytes(8).hex(),
        "created_at": _now(),
    }


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print the time of the block."""
    start = time.perf_counter()
    yield
    print(f"{what}: {time.perf_counter() - start:.1f} s", flush=True)


def duplicates(image_dir: Path) -> None:
    """Print the part of `near_duplicates.py` about edits: near-duplicates found with bottlenecks."""
    near_duplicates = import_module("near_duplicates")  # in the same folder
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        near_duplicates.precision(sorted(image_dir.rglob("*.jpg")), Path(folder))


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)


def _now() -> datetime:
    return datetime.now(UTC)


def main(image_dir: Path, parts: list[str]) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        vectors, labels = bottlenecks(image_dir, folder)
        all_parts: dict[str, Callable[[], None]] = {
            "issues": lambda: issues(vectors, labels),
            "duplicates": lambda: duplicates(image_dir),
            "curve": lambda: curve(vectors, labels, folder),
            "times": lambda: times(vectors, labels, folder),
        }
        for part in parts or list(all_parts):
            all_parts[part]()


if __name__ == "__main__":
    arguments = sys.argv[1:]
    image_dir = (
        Path(arguments.pop(0))
        if arguments and Path(arguments[0]).is_dir()
        else ROOT.parent / "shared" / "data" / "flowers"
    )
    main(image_dir, arguments)
