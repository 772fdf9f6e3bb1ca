from dataclasses import replace

import pytest

from studio.backbones import DEFAULT, get_backbone
from studio.retrain.estimate import FINE_TUNING_GAINS, Estimate, estimate_run, images_per_second
from studio.retrain.options import RunOptions

OPTIONS = RunOptions()


def of(options: RunOptions, missing: int = 600, speed: float = 200.0) -> Estimate:
    counts = {"training": 480, "validation": 60, "testing": 60}
    return estimate_run(options, missing=missing, speeds={DEFAULT: speed}, **counts)


def test_cached_bottlenecks_take_no_time_and_a_slower_machine_more() -> None:
    assert of(OPTIONS, missing=0).bottlenecks_s == 0
    assert of(OPTIONS).bottlenecks_s == pytest.approx(600 / 200 + 600 / 800)
    assert of(OPTIONS, speed=20.0).seconds > 5 * of(OPTIONS).seconds
    assert of(OPTIONS).gain_points is None


def test_fine_tuning_takes_longer_with_more_epochs_and_has_a_gain() -> None:
    tuned = replace(OPTIONS, fine_tune=True)
    assert of(tuned).seconds > of(OPTIONS).seconds
    longer = replace(tuned, fine_tune_epochs=2 * tuned.fine_tune_epochs)
    assert of(longer).training_s > 1.8 * of(tuned).training_s - of(OPTIONS).training_s
    assert of(tuned).gain_points == FINE_TUNING_GAINS[DEFAULT] > 0
    assert of(replace(tuned, backbone="mobilenet_0.25_128")).gain_points is None


def test_distortions_and_the_search_for_l2_take_longer() -> None:
    assert of(replace(OPTIONS, random_crop=10, distorted_views=4)).bottlenecks_s == pytest.approx(
        of(OPTIONS).bottlenecks_s * (1 + 4 * 480 / 600)
    )
    assert of(replace(OPTIONS, l2=None)).training_s == pytest.approx(4 * of(OPTIONS).training_s)


def test_a_time_budget_is_the_estimate() -> None:
    assert of(replace(OPTIONS, minutes=3.0, fine_tune=True)).seconds == 180


def test_unmeasured_speeds_are_estimated_from_multiply_adds() -> None:
    small, large = get_backbone(DEFAULT), get_backbone("efficientnet_lite2")
    guessed = images_per_second(large, {DEFAULT: 200.0})
    assert guessed == pytest.approx(200 * small.info.multiply_adds / large.info.multiply_adds)
    assert images_per_second(small, {}) > images_per_second(large, {}) > 0
    both = get_backbone(f"{DEFAULT}+mobilenet_1.0_224")
    assert images_per_second(both, {DEFAULT: 200.0, "mobilenet_1.0_224": 100.0}) == pytest.approx(200 / 3)
