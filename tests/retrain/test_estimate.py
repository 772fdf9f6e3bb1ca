from dataclasses import replace

import pytest

from studio.backbones import DEFAULT, backbone_named
from studio.retrain.estimate import GAINS, Estimate, estimate, speed_of
from studio.retrain.options import RunOptions

OPTIONS = RunOptions()


def of(options: RunOptions, missing: int = 600, speed: float = 200.0) -> Estimate:
    counts = {"training": 480, "validation": 60, "testing": 60}
    return estimate(options, missing=missing, speeds={DEFAULT: speed}, **counts)


def test_what_is_cached_costs_nothing_and_a_slower_machine_costs_more() -> None:
    assert of(OPTIONS, missing=0).bottlenecks_s == 0
    assert of(OPTIONS).bottlenecks_s == pytest.approx(600 / 200 + 600 / 800)
    assert of(OPTIONS, speed=20.0).seconds > 5 * of(OPTIONS).seconds
    assert of(OPTIONS).gain_points is None


def test_fine_tuning_costs_more_with_more_passes_and_says_what_it_brought() -> None:
    tuned = replace(OPTIONS, fine_tune=True)
    assert of(tuned).seconds > of(OPTIONS).seconds
    longer = replace(tuned, fine_tune_epochs=2 * tuned.fine_tune_epochs)
    assert of(longer).training_s > 1.8 * of(tuned).training_s - of(OPTIONS).training_s
    assert of(tuned).gain_points == GAINS[DEFAULT] > 0
    assert of(replace(tuned, backbone="mobilenet_0.25_128")).gain_points is None


def test_distortions_and_choosing_l2_cost_their_views_and_heads() -> None:
    assert of(replace(OPTIONS, random_crop=10, distorted_views=4)).bottlenecks_s == pytest.approx(
        of(OPTIONS).bottlenecks_s * (1 + 4 * 480 / 600)
    )
    assert of(replace(OPTIONS, l2=None)).training_s == pytest.approx(4 * of(OPTIONS).training_s)


def test_a_given_time_is_the_time() -> None:
    assert of(replace(OPTIONS, minutes=3.0, fine_tune=True)).seconds == 180


def test_speeds_that_nobody_measured_go_by_multiply_adds() -> None:
    small, large = backbone_named(DEFAULT), backbone_named("efficientnet_lite2")
    guessed = speed_of(large, {DEFAULT: 200.0})
    assert guessed == pytest.approx(200 * small.facts.multiply_adds / large.facts.multiply_adds)
    assert speed_of(small, {}) > speed_of(large, {}) > 0
    both = backbone_named(f"{DEFAULT}+mobilenet_1.0_224")
    assert speed_of(both, {DEFAULT: 200.0, "mobilenet_1.0_224": 100.0}) == pytest.approx(200 / 3)
