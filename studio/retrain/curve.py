"""The points of a training curve, and those who want to hear of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

CurveSplit = Literal["training", "validation"]


@dataclass(frozen=True)
class CurvePoint:
    """Where training stands after `step` steps. accuracy: 0-1; cross_entropy: nats.

    elapsed_s: seconds of training up to there, over all the times it was taken up; None where not measured.
    Two runs that are alike differ in it, so that points are equal without it.
    """

    step: int
    split: CurveSplit
    accuracy: float
    cross_entropy: float
    elapsed_s: float | None = field(default=None, compare=False)


OnPoints = Callable[[Sequence[CurvePoint]], None]
"""Called a few times a second with the points since; after a resume once with those of earlier steps.

A point may so come twice, with the same values: keep it by (step, split).
"""
