"""The embedding map: reduced bottlenecks and their layout in two dimensions, similar images close together.

t-SNE (van der Maaten and Hinton, 2008) by openTSNE, or the first two principal axes where that is not
installed. An existing map is continued, so that images keep their places.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import select
from sqlalchemy.orm import Session

from db.models import LabelRow
from studio.arrays import Float32Array
from studio.curate.kernel_model import nearest_neighbours

_MAX_LAID_OUT = 20_000
"""Of more images, so many are laid out; the others are placed by their nearest neighbours."""
_MIN_IMAGES = 10
_PERPLEXITY = 30.0
_MAX_NEW_SHARE = 0.1
"""A map that grows by at most this share keeps its coordinates; new images are placed by their neighbours."""
_ROUNDS_PER_STEP = 50
_EARLY_ROUNDS, _LATE_ROUNDS, _UPDATE_ROUNDS = 250, 500, 150
_NEIGHBOURS = 3
_SINGLE_THREAD_BELOW = 2_000
"""Fewer images are laid out by one thread: several are slower."""
ProgressCallback = Callable[[int, int], object]


def compute_layout(
    vectors: Float32Array,
    known: Float32Array,
    *,
    threads: int,
    seed: int,
    on_round: ProgressCallback = lambda done, total: None,
) -> Float32Array:
    """Return the coordinates of images on the map: float32, (N, 2), 0 to 1.

    vectors: float32, (N, D), of length 1. known: (N, 2), the coordinates before; NaN for new images.
    on_round: called with rounds done and in all; may raise to stop.
    """
    if not len(vectors):
        return np.empty((0, 2), np.float32)
    placed = np.asarray(~np.isnan(known).any(axis=1))
    new = len(vectors) - int(placed.sum())
    if placed.any() and new <= _MAX_NEW_SHARE * len(vectors):
        return _place_by_neighbours(vectors, known, placed, seed)
    if len(vectors) < _MIN_IMAGES:
        return _scale_to_unit_square(_principal_axes(vectors))
    rng = np.random.default_rng(seed)
    chosen = np.zeros(len(vectors), bool)
    chosen[rng.permutation(len(vectors))[:_MAX_LAID_OUT]] = True
    start = _principal_axes(vectors)[chosen]
    enough_known = new < len(vectors) / 2
    if enough_known:
        start = _place_by_neighbours(vectors, known, placed, seed)[chosen]
    found = np.full((len(vectors), 2), np.nan, np.float32)
    found[chosen] = _scale_to_unit_square(
        _tsne(vectors[chosen], start, enough_known, threads, seed, on_round)
    )
    return _place_by_neighbours(vectors, found, chosen, seed)


def _tsne(
    vectors: Float32Array,
    start: Float32Array,
    again: bool,
    threads: int,
    seed: int,
    on_round: ProgressCallback,
) -> npt.NDArray[np.floating[Any]]:
    try:
        import openTSNE as open_tsne  # noqa: N813 - as all other modules are named
    except ImportError:  # there is no wheel for this machine
        return start
    phases = [(_UPDATE_ROUNDS, 1, 0.8)] if again else [(_EARLY_ROUNDS, 12, 0.5), (_LATE_ROUNDS, 1, 0.8)]
    total, done = sum(rounds for rounds, _exaggeration, _momentum in phases), 0
    on_round(0, total)
    if len(vectors) < _SINGLE_THREAD_BELOW:
        threads = 1
    perplexity = min(_PERPLEXITY, (len(vectors) - 1) / 3)
    index = _neighbour_index(open_tsne, vectors, int(3 * perplexity))
    affinities = open_tsne.affinity.PerplexityBasedNN(
        perplexity=perplexity, knn_index=index, n_jobs=threads, random_state=seed
    )
    first = np.asarray(start, np.float64)
    # As small as openTSNE's own initialisation, from which the forces can still move the points.
    first = (first - first.mean(axis=0)) / max(float(first[:, 0].std()), 1e-9) * (10.0 if again else 1e-4)
    embedding = open_tsne.TSNEEmbedding(first, affinities, n_jobs=threads, random_state=seed)
    for rounds, exaggeration, momentum in phases:
        for _round in range(0, rounds, _ROUNDS_PER_STEP):
            # A few rounds at a time, so that the job can be stopped between them.
            embedding.optimize(_ROUNDS_PER_STEP, exaggeration=exaggeration, momentum=momentum, inplace=True)
            done += _ROUNDS_PER_STEP
            on_round(done, total)
    return np.asarray(embedding)


def _neighbour_index(open_tsne: Any, vectors: Float32Array, count: int) -> Any:
    found = nearest_neighbours(vectors, vectors, count, own=np.arange(len(vectors)))
    # Euclidean distances of vectors of length 1.
    distances = np.sqrt(np.maximum(2 - 2 * found.cosines.astype(np.float64), 0))
    return open_tsne.nearest_neighbors.PrecomputedNeighbors(found.places, distances)


def _place_by_neighbours(
    vectors: Float32Array, known: Float32Array, placed: npt.NDArray[np.bool_], seed: int
) -> Float32Array:
    """Return the known coordinates, and for each other image the median of its nearest neighbours'."""
    found = known.copy()
    others = np.flatnonzero(~placed)
    if len(others):
        references = np.flatnonzero(placed)
        neighbours = nearest_neighbours(vectors[others], vectors[references], _NEIGHBOURS)
        median = np.median(known[references][neighbours.places], axis=1)
        # Jitter, so that several similar new images do not lie on one point.
        jitter = np.random.default_rng(seed).normal(0, 0.004, median.shape)
        found[others] = np.clip(median + jitter, 0, 1)
    return np.asarray(found, np.float32)


def _principal_axes(vectors: Float32Array) -> Float32Array:
    centred = vectors - vectors.mean(axis=0)
    _values, axes = np.linalg.eigh(centred.T @ centred)
    main = axes[:, ::-1][:, :2]
    signs = np.sign(main[np.abs(main).argmax(axis=0), np.arange(main.shape[1])])
    found = np.zeros((len(vectors), 2), np.float32)
    found[:, : main.shape[1]] = centred @ (main * signs)
    return found


def _scale_to_unit_square(places: npt.NDArray[np.floating[Any]]) -> Float32Array:
    """Return coordinates scaled to 0 to 1, both axes by the same factor, centred in the square."""
    low, high = places.min(axis=0), places.max(axis=0)
    side = max(float((high - low).max()), 1e-9)
    return np.asarray(np.clip((places - (low + high) / 2) / side + 0.5, 0, 1), np.float32)


UNLABELLED, REJECTED = 0, -1
"""Stand for a class id."""
_ATTEMPTS = 3


def encode_map(session: Session, project_id: int, folder: Path) -> bytes | None:
    """Return the map for a browser; None where there is none yet.

    folder: the project's analysis files. Little-endian: the count as int32, then count ids as int32, count x
    and count y as float32 (0 to 1), and count class ids as int32.
    """
    found = _read_map(folder)
    if found is None:
        return None
    ids, places = found
    rows = session.connection().execute(
        select(LabelRow.image_id, LabelRow.state, LabelRow.class_id).where(LabelRow.project_id == project_id)
    )
    classes = {
        image: class_id or UNLABELLED if state != "rejected" else REJECTED for image, state, class_id in rows
    }
    now = np.array([classes.get(image, UNLABELLED) for image in ids.tolist()], "<i4")
    parts = [
        np.array([len(ids)], "<i4"),
        ids.astype("<i4"),
        places[:, 0].astype("<f4"),
        places[:, 1].astype("<f4"),
        now,
    ]
    return b"".join(part.tobytes() for part in parts)


def _read_map(folder: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """Return ids and coordinates, or None. Files are replaced one after the other, so lengths can differ."""
    for _try in range(_ATTEMPTS):
        try:
            ids, places = np.load(folder / "ids.npy"), np.load(folder / "map.npy")
        except FileNotFoundError:
            return None
        if len(ids) == len(places):
            return ids, places
    return None


DIMENSIONS = 128
_BASIS_SAMPLE = 20_000
"""The largest number of images that a basis is fitted to."""
_BLOCK_ROWS = 4096


def fit_basis(vectors: Float32Array, *, dimensions: int = DIMENSIONS) -> Float32Array:
    """Return the axes of a truncated singular value decomposition: float32, (features, D), D <= dimensions.

    vectors: float32, (N, features), in memory or mapped; up to 20,000 of them, evenly spread, are read in
    blocks. Not centred, so that cosines are kept.
    """
    rows = np.unique(np.linspace(0, len(vectors) - 1, min(len(vectors), _BASIS_SAMPLE)).astype(np.intp))
    features = vectors.shape[1]
    products = np.zeros((features, features))
    for start in range(0, len(rows), _BLOCK_ROWS):
        block = _normalize(vectors[rows[start : start + _BLOCK_ROWS]]).astype(np.float64)
        products += block.T @ block
    _values, axes = np.linalg.eigh(products)
    kept = axes[:, ::-1][:, : min(dimensions, features, len(vectors))]
    # The sign of an axis is arbitrary: its largest component is made positive.
    signs = np.sign(kept[np.abs(kept).argmax(axis=0), np.arange(kept.shape[1])])
    return np.asarray(kept * signs, np.float32)


def reduce_vectors(
    vectors: Float32Array, basis: Float32Array, on_block: Callable[[int], object] = lambda done: None
) -> Float32Array:
    """Return vectors on a basis: float32, (N, D), of length 1.

    on_block: called with the number done; may raise.
    """
    found = np.empty((len(vectors), basis.shape[1]), np.float32)
    for start in range(0, len(vectors), _BLOCK_ROWS):
        on_block(start)
        found[start : start + _BLOCK_ROWS] = _normalize(
            _normalize(vectors[start : start + _BLOCK_ROWS]) @ basis
        )
    return found


def _normalize(vectors: Float32Array) -> Float32Array:
    block = np.asarray(vectors, np.float32)
    lengths = np.linalg.norm(block, axis=1, keepdims=True)
    return np.asarray(block / np.maximum(lengths, 1e-12), np.float32)
