from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from studio.retrain.curve import CurvePoint
from studio.retrain.summaries import SummaryWriter


def scalars(folder: Path, tag: str) -> list[tuple[int, float]]:
    accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    accumulator.Reload()
    return [(event.step, event.value) for event in accumulator.Scalars(tag)]


def test_tensorboard_reads_both_curves_while_they_are_written(tmp_path: Path) -> None:
    folder = tmp_path / "요약"
    with SummaryWriter(folder) as writer:
        writer.write([CurvePoint(1, "training", 0.5, 1.25), CurvePoint(1, "validation", 0.25, 2.0)])
        writer.write([CurvePoint(2, "training", 0.75, 0.5)])
        assert scalars(folder / "train", "accuracy") == [(1, 0.5), (2, 0.75)]
    assert scalars(folder / "train", "cross_entropy") == [(1, 1.25), (2, 0.5)]
    assert scalars(folder / "validation", "accuracy") == [(1, 0.25)]


def test_it_begins_anew_and_leaves_other_files(tmp_path: Path) -> None:
    kept = tmp_path / "train" / "notes.txt"
    for value in (0.25, 0.75):
        with SummaryWriter(tmp_path) as writer:
            writer.write([CurvePoint(1, "training", value, value)])
        kept.write_text("mine", encoding="utf-8")
    assert scalars(tmp_path / "train", "accuracy") == [(1, 0.75)]
    assert kept.exists()
