"""The map: every picture a point, so that pictures which resemble each other lie together.

t-SNE (van der Maaten and Hinton, 2008) as openTSNE computes it, or the two main axes where that is not
installed. A map that is there already is gone on from: pictures stay where people have come to know them.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from studio.arrays import Float32Array
from studio.curate.neighbours import nearest

_FITTED = 20_000
"""Of more pictures, so many are laid out and the others put among those that they resemble."""
_FEWEST = 10
_PERPLEXITY = 30.0
_FEW_NEW = 0.1
"""A map that grows by less than this share keeps its places; the new ones are put among them."""
_ROUNDS = 50
_EARLY, _LATE, _AGAIN = 250, 500, 150
_NEIGHBOURS = 3
_ALONE = 2_000
"""Fewer pictures are laid out by one thread: several would wait for each other longer than they work."""

OnRound = Callable[[int, int], object]


def layout(
    vectors: Float32Array,
    known: Float32Array,
    *,
    threads: int,
    seed: int,
    on_round: OnRound = lambda done, total: None,
) -> Float32Array:
    """Return each picture's place: float32, (N, 2), 0 to 1.

    vectors: float32, (N, D), of length 1. known: (N, 2), the places in the map before; NaN for new pictures.
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
    """Return the known places, and each other picture in the middle of those that it resembles most."""
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
