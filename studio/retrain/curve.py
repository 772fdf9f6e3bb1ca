"""The points of a training curve, and those who want to hear of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

CurveSplit = Literal["training", "validation"]


@dataclass(frozen=True)
class CurvePoint:
    """Where training stands after `step` steps. accuracy: 0-1; cross_entropy: nats."""

    step: int
    split: CurveSplit
    accuracy: float
    cross_entropy: float


OnPoints = Callable[[Sequence[CurvePoint]], None]
"""Called a few times a second with the points since; after a resume once with those of earlier steps.

A point may so come twice, with the same values: keep it by (step, split).
"""
