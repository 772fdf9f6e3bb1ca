"""What pictures without a label are likely to be.

A first model learns from people's labels, a second from these and from the first one's surest suggestions;
their answers are averaged. The second is right more often, the first is too modest: between them the
confidence is what it says (docs/decisions/0040-what-the-studio-finds.md).
"""

from dataclasses import dataclass

import numpy as np

from studio.arrays import FloatArray, IntArray
from studio.curate.light_model import Fitted, LightModel, fit

_SURE = 0.8
"""Suggestions from this confidence on are learnt from as if they were labels."""
_MOST = 5_000
"""Pictures, labels with them: whoever has so many labels learns nothing from suggestions."""


@dataclass(frozen=True)
class Suggester:
    """Says what pictures are likely to be."""

    first: LightModel
    second: LightModel

    def probabilities(self, vectors: FloatArray) -> FloatArray:
        """Return float64, (N, classes), of each picture for each class. vectors: (N, D), of length 1."""
        both = [model.probabilities(model.values(vectors)) for model in (self.first, self.second)]
        return (both[0] + both[1]) / 2


def taught(
    fitted: Fitted,
    vectors: FloatArray,
    labels: IntArray,
    waiting: FloatArray,
    *,
    groups: IntArray,
    rng: np.random.Generator,
) -> Suggester:
    """Return who suggests. fitted: what was learnt from `vectors` and `labels`.

    waiting: the vectors of those without a label; groups: as for `light_model.fit`, of those with one.
    """
    first = fitted.model
    probabilities = first.probabilities(first.values(waiting))
    sure = np.flatnonzero(probabilities.max(axis=1) >= _SURE)
    sure = np.sort(rng.permutation(sure)[: max(0, _MOST - len(labels))])
    if not len(sure):
        return Suggester(first, first)
    second = fit(
        np.concatenate([vectors, waiting[sure]]),
        np.concatenate([labels, probabilities[sure].argmax(axis=1)]),
        probabilities.shape[1],
        width=first.width,
        groups=np.concatenate([groups, np.full(len(sure), -1)]),
        rng=rng,
        judged=len(labels),
    )
    return Suggester(first, second.model)
