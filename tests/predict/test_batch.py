"""Predictions for a folder: in order, with skipped files, and as a CSV file that is read back."""

import io
import shutil
from pathlib import Path

import pytest

from studio.errors import SourceMissing, Stopped
from studio.predict.batch import COLUMNS, PredictionRow, image_files, predict_files, read_csv, write_csv
from studio.predict.model import ModelPool
from tests.retrain.material import RecordingProgress, drawings_run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder of twelve drawings, a text file, a hidden file, and an image file that is no image."""
    folder = tmp_path / "새 images"
    for number, example in enumerate(drawings_run().snapshot.examples[:12]):
        place = folder / f"{'가나'[number % 2]} folder" / f"그림 {number:02d}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(example.path, place)
    (folder / "notes.txt").write_text("no image", encoding="utf-8")
    (folder / "=나쁜.jpg").write_bytes(b"bad")
    (folder / ".hidden.png").write_bytes(b"bad")
    return folder


def test_every_file_gets_a_row_in_order(folder: Path) -> None:
    files = image_files(folder)
    assert len(files) == 13
    pool = ModelPool(drawings_run().run_dir, 2)
    progress = RecordingProgress()
    rows = list(predict_files(files, folder, pool.predict_file, threads=2, progress=progress))
    assert [row.name for row in rows] == [path.relative_to(folder).as_posix() for path in files]
    assert progress.reports[-1][1:] == (13, 13)
    (bad,) = [row for row in rows if row.skip_message]
    assert bad.name in bad.skip_message and not bad.label
    for row, path in zip(rows, files, strict=True):
        if not row.skip_message:
            first, second = pool.classify_file(path, "x")
            assert (row.label, row.second_label) == (first.label, second.label)
    text = io.StringIO()
    write_csv(rows, text)
    lines = text.getvalue().splitlines()
    assert lines[0] == ",".join(COLUMNS)
    assert any(line.startswith("'=나쁜") for line in lines), "a name must not become a formula"
    text.seek(0)
    assert read_csv(text, 100) == rows
    text.seek(0)
    assert read_csv(text, 3) == rows[:3]


def test_abstentions_are_written_under_their_stored_names() -> None:
    rows = [
        PredictionRow("a", "x", 0.5, "low_confidence", "y", 0.4, 0.1),
        PredictionRow("b", "x", 0.9, "out_of_distribution", "", None, 0.7),
        PredictionRow("c", "x", 0.9),
    ]
    text = io.StringIO()
    write_csv(rows, text)
    assert [line.split(",")[3] for line in text.getvalue().splitlines()[1:]] == [
        "unlikely",
        "strange",
        "sure",
    ]
    text.seek(0)
    assert read_csv(text, 9) == rows


def test_a_stop_ends_prediction(folder: Path) -> None:
    pool = ModelPool(drawings_run().run_dir, 2)
    with pytest.raises(Stopped):
        list(
            predict_files(
                image_files(folder),
                folder,
                pool.predict_file,
                threads=2,
                progress=RecordingProgress("Predicting", after=4),
            )
        )


def test_a_missing_or_empty_folder_is_an_error(tmp_path: Path) -> None:
    for path in (tmp_path / "없음", tmp_path):
        with pytest.raises(SourceMissing, match=r"expected a folder with images"):
            image_files(path)
