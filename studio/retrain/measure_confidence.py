"""Setting a run's sureness: once, when it has ended or when it is first asked, and kept in its folder."""

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from studio.arrays import Float32Array
from studio.backbones import BackboneFile
from studio.backbones.bottleneck_cache import BottleneckCache
from studio.backbones.embedding import embed
from studio.backbones.preprocessing import Preprocessing
from studio.i18n import _
from studio.progress import Progress
from studio.retrain.confidence import Confidence
from studio.retrain.head.head import Head
from studio.retrain.model_file import head_of
from studio.retrain.model_outputs import only_features
from studio.retrain.run_folder import read_model, read_model_json, read_snapshot
from studio.retrain.snapshot import Example, Snapshot, evenly

_SHARED = 20_000
_OF_ITS_OWN = 500
"""Training images that are looked at: those of a plain run were embedded anyhow, those of a fine-tuned one
see a network that nobody has asked yet."""
_VALIDATION = 2_000


@dataclass(frozen=True)
class RunFeatures:
    """A finished run's head, and where the features of its images are.

    A plain run's are its backbone's bottlenecks, which training has left in the cache; a fine-tuned run's are
    cached under the model's own name. Computing what is missing reads the images where they lay.
    """

    run_dir: Path
    model: bytes
    head: Head
    snapshot: Snapshot
    preprocessing: Preprocessing
    fingerprint: str
    own: bool

    @classmethod
    def of(cls, run_dir: Path) -> "RunFeatures":
        """Open a run. Raises ModelUnreadable, and ValueError for a model without a head of ours."""
        card = read_model_json(run_dir)
        model = read_model(run_dir, card)
        own = bool(card.get("facts", {}).get("fine_tuning"))
        return cls(
            run_dir,
            model,
            head_of(model),
            read_snapshot(run_dir, card),
            Preprocessing.from_json(card["preprocessing"]),
            card["model_sha256"][:16] if own else card["backbone"]["fingerprint"],
            own,
        )

    def training(self) -> tuple[Example, ...]:
        """Return the training images that are looked at."""
        return evenly(self.snapshot.of_split("training"), _OF_ITS_OWN if self.own else _SHARED)

    def validation(self) -> tuple[Example, ...]:
        """Return the validation images that are looked at."""
        return evenly(self.snapshot.of_split("validation"), _VALIDATION)

    def vectors(
        self, examples: Sequence[Example], bottleneck_dir: Path, *, threads: int, progress: Progress
    ) -> tuple[tuple[Example, ...], Float32Array]:
        """Return the examples whose images can be had, and their features: float32, (N, features).

        Raises Stopped; what was computed until then is kept.
        """
        features = len(self.head.weights)
        cache = self._cache(bottleneck_dir)
        missing = set(cache.missing(example.sha256 for example in examples))
        if missing:
            with tempfile.TemporaryDirectory(dir=self.run_dir) as room:
                path = Path(room) / "features.tflite"
                path.write_bytes(only_features(self.model))
                file = BackboneFile(path, self.run_dir.name, self.fingerprint, self.preprocessing, features)
                wanted = [example for example in examples if example.sha256 in missing]
                refused = embed(wanted, file, cache, threads=threads, progress=progress)
            lost = {refusal.sha256 for refusal in refused}
            examples = [example for example in examples if example.sha256 not in lost]
        vectors: Float32Array = cache.vectors([example.sha256 for example in examples])
        return tuple(examples), vectors

    def cached(
        self, examples: Sequence[Example], bottleneck_dir: Path
    ) -> tuple[tuple[Example, ...], Float32Array]:
        """Return those of the examples whose features are cached, and these: float32, (N, features)."""
        cache = self._cache(bottleneck_dir)
        missing = set(cache.missing(example.sha256 for example in examples))
        here = tuple(example for example in examples if example.sha256 not in missing)
        return here, np.asarray(cache.vectors([example.sha256 for example in here]), np.float32)

    def _cache(self, bottleneck_dir: Path) -> BottleneckCache:
        folder = bottleneck_dir / f"{self.fingerprint}-{self.preprocessing.fingerprint}"
        return BottleneckCache(folder, len(self.head.weights))


ANCHORS = 500
"""Training images, classes alike, that strangeness is measured from: 1-5 MB of a file that carries them."""
_BLOCK = 512


def measured(run_dir: Path, bottleneck_dir: Path, *, threads: int, progress: Progress) -> Confidence:
    """Return a run's sureness, measured on its validation images where that has not been done.

    It is kept, but for a run whose images are all gone, of which nothing can be known. Raises
    ModelUnreadable, Stopped.
    """
    known = Confidence.read(run_dir)
    run = RunFeatures.of(run_dir)
    model_sha256 = hashlib.sha256(run.model).hexdigest()
    if known is not None and known.model_sha256 == model_sha256:
        return known
    working = {"threads": threads, "progress": progress}
    images, features = run.vectors(run.validation(), bottleneck_dir, **working)  # type: ignore[arg-type]
    trained, vectors = run.vectors(run.training(), bottleneck_dir, **working)  # type: ignore[arg-type]
    progress.report(_("Measuring how sure it may be"), 0, 1)
    chosen = {example.sha256 for example in evenly(trained, ANCHORS)}
    anchors = vectors[[example.sha256 in chosen for example in trained]] if trained else None
    classes = run.snapshot.classes
    labels = np.array([classes.index(example.label) for example in images], np.intp)
    strangeness = None if anchors is None else _strangeness(features, anchors)
    found = Confidence.of(run.head.probabilities(features), labels, strangeness, model_sha256)
    if trained or images:
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
