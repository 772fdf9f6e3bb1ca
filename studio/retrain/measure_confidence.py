"""Measuring a run's confidence on its validation images: once, after training or at first use, and stored.

Also the features of a finished run's images, which its nearest training images are found by.
"""

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
from studio.images.similarity import unit_vectors
from studio.progress import Progress
from studio.retrain.confidence import Confidence
from studio.retrain.head.head import Head
from studio.retrain.model_file import read_head
from studio.retrain.model_outputs import feature_extractor_model
from studio.retrain.run_folder import read_model, read_model_json, read_snapshot
from studio.retrain.snapshot import Example, Snapshot, sample_evenly

_MAX_TRAINING = 20_000
_MAX_TRAINING_FINE_TUNED = 500
"""Training images used. Those of a run without fine-tuning have cached bottlenecks already; those of a
fine-tuned run must be embedded with its own network first."""
_MAX_VALIDATION = 2_000


@dataclass(frozen=True)
class RunFeatures:
    """A finished run's head, and access to the features of its images.

    Without fine-tuning the features are the backbone's bottlenecks, which training has left in the cache;
    those of a fine-tuned run are cached under the model's own fingerprint. Missing ones are computed from the
    image files at the paths in the snapshot.
    """

    run_dir: Path
    model: bytes
    head: Head
    snapshot: Snapshot
    preprocessing: Preprocessing
    fingerprint: str
    fine_tuned: bool

    @classmethod
    def of(cls, run_dir: Path) -> "RunFeatures":
        """Open a run. Raises ModelUnreadable, and ValueError for a model without the studio's head."""
        model_json = read_model_json(run_dir)
        model = read_model(run_dir, model_json)
        fine_tuned = bool(model_json.get("facts", {}).get("fine_tuning"))
        return cls(
            run_dir,
            model,
            read_head(model),
            read_snapshot(run_dir, model_json),
            Preprocessing.from_json(model_json["preprocessing"]),
            model_json["model_sha256"][:16] if fine_tuned else model_json["backbone"]["fingerprint"],
            fine_tuned,
        )

    def training(self) -> tuple[Example, ...]:
        """Return the training images used, spread over classes as evenly as possible."""
        count = _MAX_TRAINING_FINE_TUNED if self.fine_tuned else _MAX_TRAINING
        return sample_evenly(self.snapshot.of_split("training"), count)

    def validation(self) -> tuple[Example, ...]:
        """Return the validation images used, spread over classes as evenly as possible."""
        return sample_evenly(self.snapshot.of_split("validation"), _MAX_VALIDATION)

    def vectors(
        self, examples: Sequence[Example], bottleneck_dir: Path, *, threads: int, progress: Progress
    ) -> tuple[tuple[Example, ...], Float32Array]:
        """Return the examples whose images can be read, and their features: float32, (N, features).

        Missing features are computed and cached. Raises Stopped; those computed until then stay cached.
        """
        features = len(self.head.weights)
        cache = self._cache(bottleneck_dir)
        missing = set(cache.missing(example.sha256 for example in examples))
        if missing:
            with tempfile.TemporaryDirectory(dir=self.run_dir) as folder:
                path = Path(folder) / "features.tflite"
                path.write_bytes(feature_extractor_model(self.model))
                extractor = BackboneFile(
                    path, self.run_dir.name, self.fingerprint, self.preprocessing, features
                )
                uncached = [example for example in examples if example.sha256 in missing]
                skipped = embed(uncached, extractor, cache, threads=threads, progress=progress)
            unreadable = {file.sha256 for file in skipped}
            examples = [example for example in examples if example.sha256 not in unreadable]
        vectors: Float32Array = cache.vectors([example.sha256 for example in examples])
        return tuple(examples), vectors

    def cached_vectors(
        self, examples: Sequence[Example], bottleneck_dir: Path
    ) -> tuple[tuple[Example, ...], Float32Array]:
        """Return the examples whose features are cached, and the features: float32, (N, features)."""
        cache = self._cache(bottleneck_dir)
        missing = set(cache.missing(example.sha256 for example in examples))
        cached = tuple(example for example in examples if example.sha256 not in missing)
        return cached, np.asarray(cache.vectors([example.sha256 for example in cached]), np.float32)

    def _cache(self, bottleneck_dir: Path) -> BottleneckCache:
        folder = bottleneck_dir / f"{self.fingerprint}-{self.preprocessing.fingerprint}"
        return BottleneckCache(folder, len(self.head.weights))


MAX_PROTOTYPES = 500
"""Training images, evenly over classes, that the out-of-distribution score is measured from: 1-5 MB of a
model file with the score."""
_BLOCK = 512


def measure_confidence(
    run_dir: Path, bottleneck_dir: Path, *, threads: int, progress: Progress
) -> Confidence:
    """Return a run's confidence; measure it on the validation images if the run's folder has none.

    The result is stored, unless all images of the run are gone. Raises ModelUnreadable, Stopped.
    """
    stored = Confidence.read(run_dir)
    run = RunFeatures.of(run_dir)
    model_sha256 = hashlib.sha256(run.model).hexdigest()
    if stored is not None and stored.model_sha256 == model_sha256:
        return stored
    validation, validation_vectors = run.vectors(
        run.validation(), bottleneck_dir, threads=threads, progress=progress
    )
    training, training_vectors = run.vectors(
        run.training(), bottleneck_dir, threads=threads, progress=progress
    )
    phase = _("Measuring confidence")
    progress.report(phase, 0, 1)
    chosen = {example.sha256 for example in sample_evenly(training, MAX_PROTOTYPES)}
    prototypes = training_vectors[[example.sha256 in chosen for example in training]] if training else None
    classes = run.snapshot.classes
    labels = np.array([classes.index(example.label) for example in validation], np.intp)
    ood_scores = None if prototypes is None else _ood_scores(validation_vectors, prototypes)
    confidence = Confidence.of(run.head.probabilities(validation_vectors), labels, ood_scores, model_sha256)
    if training or validation:
        confidence.write(run_dir, prototypes)
    progress.report(phase, 1, 1)
    return confidence


def _ood_scores(features: Float32Array, prototypes: Float32Array) -> Float32Array:
    """Return the scores that a file made by `with_ood_score` gives: float32, (N,)."""
    # Rounded to half precision, as the prototypes are stored.
    directions = unit_vectors(prototypes.astype(np.float16).astype(np.float32))
    scores = [
        1 - (unit_vectors(features[start : start + _BLOCK]) @ directions.T).max(axis=1)
        for start in range(0, len(features), _BLOCK)
    ]
    return np.concatenate([np.zeros(0, np.float32), *scores])
