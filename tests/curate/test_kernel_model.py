"""The kernel model's closed forms against direct computation; rankings and label issues."""

import numpy as np
import pytest

from studio.curate.active_learning import rank_by_diversity, rank_for_labelling, select_by_variance_reduction
from studio.curate.analyse_labels import margins
from studio.curate.kernel_model import RIDGE, fit_kernel_ridge, gaussian_kernel, kernel_width
from studio.curate.label_issues import confident_learning_errors, find_label_issues, scale_scores

ALONE = -1


def directions(count: int, seed: int = 0, size: int = 16, kinds: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Directions around as many middles as there are kinds, and the kind of each."""
    rng = np.random.default_rng(seed)
    middles = rng.normal(size=(kinds, size))
    labels = rng.integers(0, kinds, count)
    labels[:kinds] = np.arange(kinds)
    found = middles[labels] + rng.normal(size=(count, size))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32), labels


def alone(count: int) -> np.ndarray:
    return np.full(count, ALONE, np.int64)


def fitted(vectors: np.ndarray, labels: np.ndarray, groups: np.ndarray | None = None):  # type: ignore[no-untyped-def]
    return fit_kernel_ridge(
        vectors,
        labels,
        int(labels.max()) + 1,
        width=kernel_width(vectors),
        groups=alone(len(labels)) if groups is None else groups,
        rng=np.random.default_rng(0),
    )


def test_held_out_values_are_those_of_a_model_without_the_image() -> None:
    vectors, labels = directions(60)
    width = kernel_width(vectors)
    targets = np.eye(3)[labels] - 1 / 3
    found = fitted(vectors, labels).held_out
    for row in (0, 17, 59):
        others = np.delete(np.arange(60), row)
        weights = np.linalg.solve(
            gaussian_kernel(vectors[others], vectors[others], width) + RIDGE * np.eye(59), targets[others]
        )
        expected = gaussian_kernel(vectors[[row]], vectors[others], width) @ weights + 1 / 3
        assert found[row] == pytest.approx(expected[0], abs=2e-3)


def test_a_few_duplicates_are_held_out_together() -> None:
    vectors, labels = directions(60)
    vectors[1], labels[1] = vectors[0], labels[0]
    groups = alone(60)
    groups[:2] = 7
    found = fitted(vectors, labels, groups).held_out
    width = kernel_width(vectors)
    weights = np.linalg.solve(
        gaussian_kernel(vectors[2:], vectors[2:], width) + RIDGE * np.eye(58), np.eye(3)[labels[2:]] - 1 / 3
    )
    expected = gaussian_kernel(vectors[:2], vectors[2:], width) @ weights + 1 / 3
    assert found[:2] == pytest.approx(expected, abs=2e-3)
    # The frames of a burst, which may be all of a class, do.
    labels[:] = 1
    labels[:20] = 0
    groups = alone(60)
    groups[:20] = 3
    assert np.array_equal(fitted(vectors, labels, groups).held_out, fitted(vectors, labels).held_out)


def test_the_covariance_is_that_of_a_gaussian_process() -> None:
    vectors, labels = directions(60)
    width = kernel_width(vectors)
    model = fitted(vectors[:40], labels[:40]).model
    width = model.width
    known, asked = vectors[:40], vectors[40:]
    across = gaussian_kernel(asked, known, width)
    expected = gaussian_kernel(asked, asked, width) - across @ np.linalg.solve(
        gaussian_kernel(known, known, width) + RIDGE * np.eye(40), across.T
    )
    assert model.covariance(asked) == pytest.approx(expected, abs=2e-3)


def test_probabilities_say_how_often_they_are_right() -> None:
    vectors, labels = directions(900, size=6, kinds=4)
    found = fitted(vectors[:600], labels[:600])
    probabilities = found.model.probabilities(found.model.values(vectors[600:]))
    assert probabilities.sum(axis=1) == pytest.approx(1)
    right = probabilities.argmax(axis=1) == labels[600:]
    assert probabilities.max(axis=1).mean() == pytest.approx(right.mean(), abs=0.07)
    assert margins(np.array([[0.2, 0.7, 0.1], [0.5, 0.5, 0.0]])) == pytest.approx([0.5, 0.0])


def test_more_images_than_the_model_is_fitted_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studio.curate.kernel_model._MAX_TRAINED", 300)
    monkeypatch.setattr("studio.curate.kernel_model._MAX_LANDMARKS", 80)
    vectors, labels = directions(1_000)
    labels[:] = labels * (labels == 0)  # two classes vanish into the first …
    labels[:2] = 1  # … and one of two images is left
    found = fitted(vectors, labels)
    assert found.held_out.shape == (1_000, 2)
    assert len(found.model.landmarks) == 80
    assert np.isfinite(found.held_out).all()


def test_images_that_are_all_one_are_no_trouble() -> None:
    vectors = np.zeros((30, 4), np.float32)
    vectors[:, 0] = 1
    labels = np.arange(30) % 2
    found = fitted(vectors, labels)
    assert found.model.probabilities(found.held_out) == pytest.approx(0.5, abs=0.05)
    assert sorted(
        rank_for_labelling(vectors, np.ones(30), found.model, groups=alone(30), rng=np.random.default_rng(0))
    )


def test_confident_learning_counts_as_published() -> None:
    # Averages of their own classes: 0.7 and 0.6. The third is as likely of the second class as those are.
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.3, 0.7], [0.5, 0.5]])
    labels = np.array([0, 0, 0, 1, 1])
    assert confident_learning_errors(probabilities, labels).tolist() == [False, False, True, False, False]


def test_exactly_the_counted_scores_reach_a_half() -> None:
    margins_ = np.array([0.3, -0.5, 0.3, 0.9, -1.0])
    for wrong in range(6):
        scores = scale_scores(margins_, wrong)
        assert np.count_nonzero(scores >= 0.5) == wrong
        assert (np.diff(scores[np.argsort(-margins_, kind="stable")]) <= 0).all()
        assert scores.min() >= 0 and scores.max() <= 1
    assert scale_scores(np.empty(0), 0).tolist() == []


def test_flipped_labels_come_first_and_say_what_they_were() -> None:
    vectors, truth = directions(300, size=32)
    labels = truth.copy()
    flipped = np.arange(40, 55)
    labels[flipped] = (labels[flipped] + 1) % 3
    found = fitted(vectors, labels)
    kept = np.zeros(300, bool)
    kept[41] = True
    judged = find_label_issues(
        found.held_out, found.model.probabilities(found.held_out), labels, alone(300), kept
    )
    assert 41 not in judged.rows
    first = judged.rows[np.argsort(-judged.scores)][:14]
    assert set(first) == set(flipped) - {41}
    wrong = np.isin(judged.rows, flipped)
    assert np.array_equal(judged.suggested[wrong], truth[judged.rows[wrong]])
    assert 10 <= judged.wrong_count <= 25


def test_duplicates_with_different_labels_come_first() -> None:
    vectors, labels = directions(100, size=32)
    groups = alone(100)
    same = np.flatnonzero(labels == labels[0])[:3]
    groups[same] = 5
    labels[same[2]] = (labels[0] + 1) % 3
    found = fitted(vectors, labels)
    judged = find_label_issues(
        found.held_out, found.model.probabilities(found.held_out), labels, groups, np.zeros(100, bool)
    )
    first = int(judged.scores.argmax())
    assert (judged.rows[first], judged.suggested[first]) == (same[2], labels[0])
    assert judged.scores[first] >= 0.5


def test_small_classes_are_not_judged() -> None:
    vectors, labels = directions(100)
    labels = np.where(labels == 2, 0, labels)
    labels[:4] = 2
    found = fitted(vectors, labels)
    judged = find_label_issues(
        found.held_out, found.model.probabilities(found.held_out), labels, alone(100), np.zeros(100, bool)
    )
    assert set(judged.rows) == set(np.flatnonzero(labels != 2))


@pytest.mark.parametrize("count", [1, 2, 30, 2_500])
def test_a_ranking_has_every_image_once_and_duplicates_apart(count: int) -> None:
    vectors, _kinds = directions(count + 3)
    vectors = vectors[:count]
    groups = alone(count)
    if count > 20:
        vectors[5:9] = vectors[4]
        groups[4:9] = 4
    order = rank_by_diversity(vectors, kernel_width(vectors), groups=groups, rng=np.random.default_rng(0))
    assert sorted(order) == list(range(count))
    model = fitted(*directions(40, seed=1)).model
    unsure = np.random.default_rng(0).random(count)
    again = [
        rank_for_labelling(vectors, unsure, model, groups=groups, rng=np.random.default_rng(0))
        for _round in range(2)
    ]
    assert sorted(again[0]) == list(range(count))
    assert np.array_equal(again[0], again[1])
    if count > 20:
        for found in (order, again[0]):
            places = np.flatnonzero(np.isin(found, np.arange(4, 9)))
            assert (places >= count - 4).sum() == 4  # one in its place, the others at the end


def test_the_first_of_a_spread_are_of_all_kinds() -> None:
    vectors, kinds = directions(3_000, size=32, kinds=12)
    order = rank_by_diversity(
        vectors, kernel_width(vectors), groups=alone(3_000), rng=np.random.default_rng(0)
    )
    assert len(set(kinds[order[:14]])) == 12


def test_what_tells_most_is_chosen_once() -> None:
    covariance = np.array([[1, 0.9, 0.0], [0.9, 1, 0.0], [0.0, 0.0, 1]])
    even = np.ones(3)
    assert select_by_variance_reduction(covariance, even, even, 3, np.array([ALONE] * 3)).tolist() == [
        0,
        2,
        1,
    ]
    assert select_by_variance_reduction(covariance, even, even, 3, np.array([8, 8, ALONE])).tolist() == [0, 2]
    assert select_by_variance_reduction(
        covariance, even, np.array([0, 0, 1.0]), 1, np.array([ALONE] * 3)
    ).tolist() == [2]
