"""Estimate of a run's duration and of the gain of fine-tuning, before it starts."""

from collections.abc import Mapping
from dataclasses import dataclass

from studio.backbones import BACKBONES, Backbone, get_backbone
from studio.retrain.fine_tuning.features import BATCH_SIZE, view_settings
from studio.retrain.fine_tuning.fine_tune import TRAINABLE_SHARE
from studio.retrain.fine_tuning.network import with_larger_input
from studio.retrain.head.head import L2_CANDIDATES
from studio.retrain.options import RunOptions

FINE_TUNING_GAINS = {
    "efficientnet_lite0": 4.5,
    "efficientnet_lite1": 6.6,
    "efficientnet_lite2": 5.8,
    "mobilenet_1.0_224": 3.5,
}
"""Gain of fine-tuning in test accuracy over the plain head, in percentage points.

As `tests/benchmarks/fine_tuning.py` prints it: 600 photographs of five flowers, mean of splits on which
nothing was chosen (`--first 30`), ten for the first backbone and five for the others; standard errors 1.3 to
1.6.
"""
_MULTIPLY_ADDS_PER_SECOND = 6e10
"""Assumed for one or two cores if nothing was measured on this machine."""
_DECODED_PER_SECOND = 800.0
_STEP_S = 0.001
"""Duration of a step of the head with a batch of 100, 1,280 features and five classes."""
_MODEL_S = 1.0
_CONVERSION_S = 4.0
"""Building and converting a network of EfficientNet-Lite0's size."""


@dataclass(frozen=True)
class Estimate:
    """Estimated durations of a run's parts, and the expected gain of fine-tuning.

    gain_points: percentage points of test accuracy over the plain head, from `FINE_TUNING_GAINS`; None
    without fine-tuning, or if it was not measured for the backbone.
    """

    bottlenecks_s: float
    training_s: float
    writing_s: float
    gain_points: float | None

    @property
    def seconds(self) -> float:
        """Duration of the whole run."""
        return self.bottlenecks_s + self.training_s + self.writing_s


def estimate_run(
    options: RunOptions,
    *,
    training: int,
    validation: int,
    testing: int,
    missing: int,
    speeds: Mapping[str, float],
) -> Estimate:
    """Return the estimate for a run on this machine; with `options.minutes`, that time.

    training, validation, testing: number of images by split.
    missing: number of images, of any split, without a bottleneck of the backbone. Distorted views and feature
    maps are assumed to be missing.
    speeds: measured images per second by backbone; others are estimated from multiply-adds.
    Raises BackboneError for a backbone that is not in the registry.
    """
    if options.minutes is not None:
        return Estimate(0.0, 60 * options.minutes, 0.0, None)
    backbone = get_backbone(options.backbone)
    image_s = 1 / images_per_second(backbone, speeds) + 1 / _DECODED_PER_SECOND
    bottlenecks_s = missing * image_s
    heads = 1 if options.l2 is not None else len(L2_CANDIDATES)
    step_s = _STEP_S * (options.train_batch_size / 100) * (backbone.features / 1280)
    training_s = heads * options.how_many_training_steps * step_s
    if not options.fine_tune:
        if options.distorts:
            bottlenecks_s += training * options.distorted_views * image_s
        return Estimate(bottlenecks_s, training_s, _MODEL_S, None)
    _distortions, count, _seed = view_settings(options, training)
    # Forward and backward pass cost three times the trained share, on windows of the backbone's own size.
    enlarged = with_larger_input(backbone)
    area = (enlarged.preprocessing.width_px / backbone.preprocessing.width_px) ** 2
    whole_s, window_s = (
        TRAINABLE_SHARE * relative_area / images_per_second(backbone, speeds) for relative_area in (area, 1)
    )
    larger_s = area / images_per_second(backbone, speeds) + 1 / _DECODED_PER_SECOND
    bottlenecks_s += (training * (2 + count) + validation) * larger_s
    steps = options.fine_tune_epochs * -(-training // BATCH_SIZE)
    # Two plain heads are trained: on the backbone's own size, and on the pretrained blocks.
    training_s = 2 * training_s + 3 * steps * BATCH_SIZE * window_s
    training_s += (training + options.fine_tune_epochs * validation) * whole_s
    size = backbone.info.parameters / BACKBONES["efficientnet_lite0"].info.parameters
    writing_s = _MODEL_S + 2 * _CONVERSION_S * max(size, 1) + testing * larger_s
    return Estimate(bottlenecks_s, training_s, writing_s, FINE_TUNING_GAINS.get(backbone.name))


def images_per_second(backbone: Backbone, speeds: Mapping[str, float]) -> float:
    """Return images per second: measured, or estimated by multiply-adds from other backbones' speeds."""
    if backbone.name in speeds:
        return speeds[backbone.name]
    if backbone.members and all(member.name in speeds for member in backbone.members):
        return 1 / sum(1 / speeds[member.name] for member in backbone.members)
    rates = sorted(speeds[name] * BACKBONES[name].info.multiply_adds for name in speeds if name in BACKBONES)
    rate = rates[len(rates) // 2] if rates else _MULTIPLY_ADDS_PER_SECOND
    return rate / max(backbone.info.multiply_adds, 1)
