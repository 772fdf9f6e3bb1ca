"""What a run will take and what fine-tuning may bring, told before it begins."""

from collections.abc import Mapping
from dataclasses import dataclass

from studio.backbones import BACKBONES, Backbone, backbone_named
from studio.retrain.fine_tuning.features import BATCH, distorted
from studio.retrain.fine_tuning.fine_tune import SHARE
from studio.retrain.fine_tuning.network import larger
from studio.retrain.head.head import L2S
from studio.retrain.options import RunOptions

GAINS = {
    "efficientnet_lite0": 4.5,
    "efficientnet_lite1": 6.6,
    "efficientnet_lite2": 5.8,
    "mobilenet_1.0_224": 3.5,
}
"""Percentage points over the plain head in the test, as `tests/benchmarks/fine_tuning.py` prints: 600
photographs of five flowers, the mean of splits on which nothing was chosen (`--first 30`), ten for the first
and five for the others; standard errors 1.3 to 1.6."""
_MULTIPLY_ADDS_A_SECOND = 6e10
"""Of one core or two, where nothing was measured yet on this machine."""
_DECODED_A_SECOND = 800.0
_STEP_S = 0.001
"""A step of the head's at a batch of 100 of 1,280 features and five classes."""
_MODEL_S = 1.0
_CONVERSION_S = 4.0
"""Of a network of EfficientNet-Lite0's size, building it included."""


@dataclass(frozen=True)
class Estimate:
    """seconds: in all, of which bottlenecks_s, training_s and writing_s.

    gain_points: percentage points that fine-tuning brought in the test over the plain head, as measured in
    `GAINS`; None where nothing is fine-tuned, or nobody measured that backbone.
    """

    bottlenecks_s: float
    training_s: float
    writing_s: float
    gain_points: float | None

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.bottlenecks_s + self.training_s + self.writing_s


def estimate(
    options: RunOptions,
    *,
    training: int,
    validation: int,
    testing: int,
    missing: int,
    speeds: Mapping[str, float],
) -> Estimate:
    """Return what a run on so many images of each split should take on this machine.

    missing: images, of any split, without a bottleneck of the backbone. What else may be cached, distorted
    views and deep bottlenecks, is taken to be missing. speeds: images a second by backbone, as measured;
    what is not among them is reckoned from multiply-adds. Where `options.minutes` is set, that is the answer.
    Raises BackboneError for a backbone that is not in the registry.
    """
    if options.minutes is not None:
        return Estimate(0.0, 60 * options.minutes, 0.0, None)
    backbone = backbone_named(options.backbone)
    image_s = 1 / speed_of(backbone, speeds) + 1 / _DECODED_A_SECOND
    bottlenecks_s = missing * image_s
    heads = 1 if options.l2 is not None else len(L2S)
    step_s = _STEP_S * (options.train_batch_size / 100) * (backbone.features / 1280)
    training_s = heads * options.how_many_training_steps * step_s
    if not options.fine_tune:
        if options.distorts:
            bottlenecks_s += training * options.distorted_views * image_s
        return Estimate(bottlenecks_s, training_s, _MODEL_S, None)
    _distortions, count, _seed = distorted(options, training)
    # Forth and back through what is trained is three times its share; it sees windows of the own size.
    shown = larger(backbone)
    area = (shown.preprocessing.width_px / backbone.preprocessing.width_px) ** 2
    whole_s, window_s = (SHARE * shown_area / speed_of(backbone, speeds) for shown_area in (area, 1))
    larger_s = area / speed_of(backbone, speeds) + 1 / _DECODED_A_SECOND
    bottlenecks_s += (training * (2 + count) + validation) * larger_s
    steps = options.fine_tune_epochs * -(-training // BATCH)
    # A plain head is trained twice: on the backbone's own size, and beside the trained blocks.
    training_s = 2 * training_s + 3 * steps * BATCH * window_s
    training_s += (training + options.fine_tune_epochs * validation) * whole_s
    size = backbone.facts.parameters / BACKBONES["efficientnet_lite0"].facts.parameters
    writing_s = _MODEL_S + 2 * _CONVERSION_S * max(size, 1) + testing * larger_s
    return Estimate(bottlenecks_s, training_s, writing_s, GAINS.get(backbone.name))


def speed_of(backbone: Backbone, speeds: Mapping[str, float]) -> float:
    """Return images a second: as measured, or by multiply-adds from what was, or from nothing."""
    if backbone.name in speeds:
        return speeds[backbone.name]
    if backbone.members and all(member.name in speeds for member in backbone.members):
        return 1 / sum(1 / speeds[member.name] for member in backbone.members)
    rates = sorted(speeds[name] * BACKBONES[name].facts.multiply_adds for name in speeds if name in BACKBONES)
    rate = rates[len(rates) // 2] if rates else _MULTIPLY_ADDS_A_SECOND
    return rate / max(backbone.facts.multiply_adds, 1)
