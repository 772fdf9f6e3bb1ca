import hashlib
from collections import Counter

import pytest

from studio.datasets.splits import hash_percentile, split_of

KEYS = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(5000)]


def test_golden_values() -> None:
    # They may never change: an image would move between training and test.
    assert [round(hash_percentile(key, 0), 6) for key in ("a", KEYS[0], KEYS[1])] == [
        61.700094,
        82.537988,
        90.97835,
    ]
    assert round(hash_percentile("a", 1), 6) == 25.541674


@pytest.mark.parametrize(("validation", "testing"), [(10, 10), (5, 30), (0, 0)])
def test_shares_are_what_was_asked(validation: float, testing: float) -> None:
    counts = Counter(split_of(key, validation, testing, seed=3) for key in KEYS)
    assert counts["validation"] / len(KEYS) == pytest.approx(validation / 100, abs=0.02)
    assert counts["testing"] / len(KEYS) == pytest.approx(testing / 100, abs=0.02)
    assert counts["training"] > 0


def test_seeds_deal_differently() -> None:
    tested = [{key for key in KEYS if split_of(key, 10, 10, seed) == "testing"} for seed in (0, 1)]
    assert len(tested[0] & tested[1]) < 0.03 * len(KEYS)
