"""Setting a run's sureness: once, when it has ended or when it is first asked, and kept in its folder."""

import hashlib
from pathlib import Path

import numpy as np

from studio.arrays import Float32Array
from studio.language import _
from studio.predict.run_features import RunFeatures
from studio.predict.sureness import Sureness
from studio.progress import Progress
from studio.retrain.snapshot import evenly

ANCHORS = 500
"""Training pictures, classes alike, that strangeness is measured from: 1-5 MB of a file that carries them."""
_BLOCK = 512


def measured(run_dir: Path, bottleneck_dir: Path, *, threads: int, progress: Progress) -> Sureness:
    """Return a run's sureness, measured on its validation pictures where that has not been done.

    It is kept, but for a run whose pictures are all gone, of which nothing can be known. Raises
    ModelUnreadable, Stopped.
    """
    known = Sureness.read(run_dir)
    run = RunFeatures.of(run_dir)
    model_sha256 = hashlib.sha256(run.model).hexdigest()
    if known is not None and known.model_sha256 == model_sha256:
        return known
    working = {"threads": threads, "progress": progress}
    pictures, features = run.vectors(run.validation(), bottleneck_dir, **working)  # type: ignore[arg-type]
    trained, vectors = run.vectors(run.training(), bottleneck_dir, **working)  # type: ignore[arg-type]
    progress.report(_("Measuring how sure it may be"), 0, 1)
    chosen = {example.sha256 for example in evenly(trained, ANCHORS)}
    anchors = vectors[[example.sha256 in chosen for example in trained]] if trained else None
    classes = run.snapshot.classes
    labels = np.array([classes.index(example.label) for example in pictures], np.intp)
    strangeness = None if anchors is None else _strangeness(features, anchors)
    found = Sureness.of(run.head.probabilities(features), labels, strangeness, model_sha256)
    if trained or pictures:
        found.write(run_dir, anchors)
    progress.report(_("Measuring how sure it may be"), 1, 1)
    return found


def _strangeness(features: Float32Array, anchors: Float32Array) -> Float32Array:
    """Return what the output of `with_strangeness` would be: float32, (N,)."""
    # As they are kept: in half the digits.
    targets = _directions(anchors.astype(np.float16).astype(np.float32))
    found = [
        1 - (_directions(features[at : at + _BLOCK]) @ targets.T).max(axis=1)
        for at in range(0, len(features), _BLOCK)
    ]
    return np.concatenate([np.zeros(0, np.float32), *found])


def _directions(vectors: Float32Array) -> Float32Array:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.float32(1e-12)), np.float32)
