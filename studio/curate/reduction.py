"""Bottlenecks made short: directions in the 128 dimensions in which a project's pictures differ most."""

from collections.abc import Callable

import numpy as np

from studio.arrays import Float32Array

DIMENSIONS = 128
_FITTED = 20_000
"""Pictures from which the dimensions are found."""
_BLOCK = 4096


def basis_of(vectors: Float32Array, *, dimensions: int = DIMENSIONS) -> Float32Array:
    """Return the axes that keep most of the bottlenecks' directions: float32, (features, D), D <= dimensions.

    vectors: float32, (N, features), in memory or mapped; up to 20,000 of them, evenly spread, are looked at,
    in blocks. Not centred, so that cosines stay what they were: a truncated singular value decomposition.
    """
    rows = np.unique(np.linspace(0, len(vectors) - 1, min(len(vectors), _FITTED)).astype(np.intp))
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
