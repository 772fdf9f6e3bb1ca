"""The map: every image a point, so that images which resemble each other lie together.

t-SNE (van der Maaten and Hinton, 2008) as openTSNE computes it, or the two main axes where that is not
installed. A map that is there already is gone on from: images stay where people have come to know them.
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
from studio.curate.kernel_model import nearest

_FITTED = 20_000
"""Of more images, so many are laid out and the others put among those that they resemble."""
_FEWEST = 10
_PERPLEXITY = 30.0
_FEW_NEW = 0.1
"""A map that grows by less than this share keeps its places; the new ones are put among them."""
_ROUNDS = 50
_EARLY, _LATE, _AGAIN = 250, 500, 150
_NEIGHBOURS = 3
_ALONE = 2_000
"""Fewer images are laid out by one thread: several would wait for each other longer than they work."""
OnRound = Callable[[int, int], object]


def layout(
    vectors: Float32Array,
    known: Float32Array,
    *,
    threads: int,
    seed: int,
    on_round: OnRound = lambda done, total: None,
) -> Float32Array:
    """Return each image's place: float32, (N, 2), 0 to 1.

    vectors: float32, (N, D), of length 1. known: (N, 2), the places in the map before; NaN for new images.
    on_round: told how far it is; may raise, and then nothing comes of it.
    """
    if not len(vectors):
        return np.empty((0, 2), np.float32)
    placed = np.asarray(~np.isnan(known).any(axis=1))
    new = len(vectors) - int(placed.sum())
    if placed.any() and new <= _FEW_NEW * len(vectors):
        return _among(vectors, known, placed, seed)
    if len(vectors) < _FEWEST:
        return _scaled(_main_axes(vectors))
    rng = np.random.default_rng(seed)
    chosen = np.zeros(len(vectors), bool)
    chosen[rng.permutation(len(vectors))[:_FITTED]] = True
    start = _main_axes(vectors)[chosen]
    enough_known = new < len(vectors) / 2
    if enough_known:
        start = _among(vectors, known, placed, seed)[chosen]
    found = np.full((len(vectors), 2), np.nan, np.float32)
    found[chosen] = _scaled(_tsne(vectors[chosen], start, enough_known, threads, seed, on_round))
    return _among(vectors, found, chosen, seed)


def _tsne(
    vectors: Float32Array, start: Float32Array, again: bool, threads: int, seed: int, on_round: OnRound
) -> npt.NDArray[np.floating[Any]]:
    try:
        import openTSNE as open_tsne  # noqa: N813 - as all other modules are named
    except ImportError:  # there is no wheel for this machine
        return start
    phases = [(_AGAIN, 1, 0.8)] if again else [(_EARLY, 12, 0.5), (_LATE, 1, 0.8)]
    total, done = sum(rounds for rounds, _exaggeration, _momentum in phases), 0
    on_round(0, total)
    if len(vectors) < _ALONE:
        threads = 1
    perplexity = min(_PERPLEXITY, (len(vectors) - 1) / 3)
    index = _index(open_tsne, vectors, int(3 * perplexity))
    affinities = open_tsne.affinity.PerplexityBasedNN(
        perplexity=perplexity, knn_index=index, n_jobs=threads, random_state=seed
    )
    first = np.asarray(start, np.float64)
    # As small as openTSNE's own beginnings, from which the forces can still sort the points.
    first = (first - first.mean(axis=0)) / max(float(first[:, 0].std()), 1e-9) * (10.0 if again else 1e-4)
    embedding = open_tsne.TSNEEmbedding(first, affinities, n_jobs=threads, random_state=seed)
    for rounds, exaggeration, momentum in phases:
        for _round in range(0, rounds, _ROUNDS):
            # A few rounds at a time, so that a stop is heard between them.
            embedding.optimize(_ROUNDS, exaggeration=exaggeration, momentum=momentum, inplace=True)
            done += _ROUNDS
            on_round(done, total)
    return np.asarray(embedding)


def _index(open_tsne: Any, vectors: Float32Array, count: int) -> Any:
    found = nearest(vectors, vectors, count, own=np.arange(len(vectors)))
    # Distances of directions on the unit sphere.
    distances = np.sqrt(np.maximum(2 - 2 * found.cosines.astype(np.float64), 0))
    return open_tsne.nearest_neighbors.PrecomputedNeighbors(found.places, distances)


def _among(
    vectors: Float32Array, known: Float32Array, placed: npt.NDArray[np.bool_], seed: int
) -> Float32Array:
    """Return the known places, and each other image in the middle of those that it resembles most."""
    found = known.copy()
    others = np.flatnonzero(~placed)
    if len(others):
        anchors = np.flatnonzero(placed)
        near = nearest(vectors[others], vectors[anchors], _NEIGHBOURS)
        middle = np.median(known[anchors][near.places], axis=1)
        # A little aside, so that many new ones that are alike do not lie on one point.
        aside = np.random.default_rng(seed).normal(0, 0.004, middle.shape)
        found[others] = np.clip(middle + aside, 0, 1)
    return np.asarray(found, np.float32)


def _main_axes(vectors: Float32Array) -> Float32Array:
    centred = vectors - vectors.mean(axis=0)
    _values, axes = np.linalg.eigh(centred.T @ centred)
    main = axes[:, ::-1][:, :2]
    signs = np.sign(main[np.abs(main).argmax(axis=0), np.arange(main.shape[1])])
    found = np.zeros((len(vectors), 2), np.float32)
    found[:, : main.shape[1]] = centred @ (main * signs)
    return found


def _scaled(places: npt.NDArray[np.floating[Any]]) -> Float32Array:
    """Return the places from 0 to 1, both axes by the same measure, in the middle of the square."""
    low, high = places.min(axis=0), places.max(axis=0)
    side = max(float((high - low).max()), 1e-9)
    return np.asarray(np.clip((places - (low + high) / 2) / side + 0.5, 0, 1), np.float32)


UNLABELLED, REJECTED = 0, -1
"""What stands in a class's place."""
_TRIES = 3


def image_map(session: Session, project_id: int, folder: Path) -> bytes | None:
    """Return the map for a browser; None where no study of the project has left one.

    folder: that of the project's studies. Little-endian: the count as int32, then count ids as int32, count x
    and count y as float32 (0 to 1), and count class ids as int32.
    """
    found = _read(folder)
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


def _read(folder: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """Return ids and places. Each file is written whole, but one after the other: they can differ."""
    for _try in range(_TRIES):
        try:
            ids, places = np.load(folder / "ids.npy"), np.load(folder / "map.npy")
        except FileNotFoundError:
            return None
        if len(ids) == len(places):
            return ids, places
    return None


DIMENSIONS = 128
_BASIS_SAMPLE = 20_000
"""Images from which the dimensions are found."""
_BLOCK = 4096


def basis_of(vectors: Float32Array, *, dimensions: int = DIMENSIONS) -> Float32Array:
    """Return the axes that keep most of the bottlenecks' directions: float32, (features, D), D <= dimensions.

    vectors: float32, (N, features), in memory or mapped; up to 20,000 of them, evenly spread, are looked at,
    in blocks. Not centred, so that cosines stay what they were: a truncated singular value decomposition.
    """
    rows = np.unique(np.linspace(0, len(vectors) - 1, min(len(vectors), _BASIS_SAMPLE)).astype(np.intp))
    features = vectors.shape[1]
    products = np.zeros((features, features))
    for start in range(0, len(rows), _BLOCK):
        block = _directions(vectors[rows[start : start + _BLOCK]]).astype(np.float64)
        products += block.T @ block
    _values, axes = np.linalg.eigh(products)
    kept = axes[:, ::-1][:, : min(dimensions, features, len(vectors))]
    # Which way an axis points is left open by its definition: its largest part is made positive.
    signs = np.sign(kept[np.abs(kept).argmax(axis=0), np.arange(kept.shape[1])])
    return np.asarray(kept * signs, np.float32)


def reduced(
    vectors: Float32Array, basis: Float32Array, on_block: Callable[[int], object] = lambda done: None
) -> Float32Array:
    """Return float32, (N, D), of length 1. on_block: told how many are done; may raise."""
    found = np.empty((len(vectors), basis.shape[1]), np.float32)
    for start in range(0, len(vectors), _BLOCK):
        on_block(start)
        found[start : start + _BLOCK] = _directions(_directions(vectors[start : start + _BLOCK]) @ basis)
    return found


def _directions(vectors: Float32Array) -> Float32Array:
    block = np.asarray(vectors, np.float32)
    lengths = np.linalg.norm(block, axis=1, keepdims=True)
    return np.asarray(block / np.maximum(lengths, 1e-12), np.float32)
