"""In what training a head differs between the studio and `retrain.py`."""

from dataclasses import dataclass

import numpy as np

from studio.arrays import Float32Array
from studio.retrain.head.lesson import Lesson, Scaling
from studio.retrain.options import RunOptions

_DEVIATION = 0.001
_WITHIN = 2.0
"""Deviations: what a truncated normal draws beyond them is drawn again."""


@dataclass(frozen=True)
class Manner:
    """How a head is trained.

    scaling: of the features; the peer takes them as they come.
    weights: the first ones, float32, (features, classes).
    behind: how much less a step's number is than the steps taken by its end; the peer counts from 0.
    keeps_best: whether the head that was best on the validation pictures stands, or the last.
    """

    scaling: Scaling
    weights: Float32Array
    behind: int
    keeps_best: bool

    @classmethod
    def of(cls, lesson: Lesson, options: RunOptions) -> "Manner":
        """Return the manner that `options.compat` asks for."""
        shape = lesson.vectors.shape[1], lesson.classes
        if not options.compat:
            return cls(Scaling.of(lesson), np.zeros(shape, np.float32), 0, True)
        as_they_come = Scaling(np.zeros(shape[0], np.float32), np.float32(1))
        return cls(as_they_come, _truncated_normal(shape, options.seed), 1, False)

    def next_due(self, step: int, interval: int) -> int:
        """Return after how many steps, more than `step`, `interval` divides the last one's number."""
        return step + interval - (step - self.behind) % interval


def _truncated_normal(shape: tuple[int, int], seed: int) -> Float32Array:
    generator = np.random.default_rng(seed)
    drawn = generator.standard_normal(shape)
    while (beyond := np.abs(drawn) > _WITHIN).any():
        drawn[beyond] = generator.standard_normal(np.count_nonzero(beyond))
    return (_DEVIATION * drawn).astype(np.float32)
