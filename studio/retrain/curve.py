"""The points of a training curve, and the callback that receives them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

CurveSplit = Literal["training", "validation"]


@dataclass(frozen=True)
class CurvePoint:
    """Metrics after `step` training steps. accuracy: 0-1; cross_entropy: nats.

    elapsed_s: seconds of training up to that step, summed over resumed runs; None if not measured. Equality
    ignores it, since it differs between otherwise equal runs.
    """

    step: int
    split: CurveSplit
    accuracy: float
    cross_entropy: float
    elapsed_s: float | None = field(default=None, compare=False)


OnPoints = Callable[[Sequence[CurvePoint]], None]
"""Callback that receives the new points a few times a second; a resumed run first passes its earlier points.

A point can therefore arrive twice, with the same values: store it by (step, split).
"""
