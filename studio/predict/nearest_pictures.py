"""Which training pictures a picture is nearest to, as the model sees them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from studio.arrays import Float32Array
from studio.curate.neighbours import nearest
from studio.predict.run_features import RunFeatures
from studio.retrain.snapshot import Example


@dataclass(frozen=True)
class Near:
    """A training picture. likeness: the cosine of the two pictures' features, up to 1."""

    sha256: str
    label: str
    path: Path
    likeness: float


class NearestPictures:
    """The training pictures of a run whose features are cached: those of at most 20,000, classes alike."""

    def __init__(self, examples: tuple[Example, ...], features: Float32Array) -> None:
        self._examples = examples
        self._directions = _directions(features)

    @classmethod
    def of(cls, run_dir: Path, bottleneck_dir: Path) -> "NearestPictures":
        """Read them. Raises ModelUnreadable, and ValueError for a model without a head of ours."""
        run = RunFeatures.of(run_dir)
        return cls(*run.cached(run.training(), bottleneck_dir))

    def to(self, features: Float32Array, count: int) -> tuple[Near, ...]:
        """Return the nearest of them, nearest first. features: float32, (features,), of one picture."""
        places, cosines = nearest(_directions(features[np.newaxis]), self._directions, count)
        return tuple(
            Near(example.sha256, example.label, example.path, float(cosine))
            for example, cosine in zip((self._examples[at] for at in places[0]), cosines[0], strict=True)
        )


def _directions(vectors: Float32Array) -> Float32Array:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.float32(1e-12)), np.float32)
