"""A whole folder at once: in order, with what is no image, as a CSV file that comes back as it went."""

import io
import shutil
from pathlib import Path

import pytest

from studio.errors import SourceMissing, Stopped
from studio.predict.batch import COLUMNS, Row, answers, image_files, read_csv, write_csv
from studio.predict.model import ModelPool
from tests.retrain.material import Watched, drawings_run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve drawings, a text file, and an image that is none."""
    folder = tmp_path / "새 images"
    for number, example in enumerate(drawings_run().snapshot.examples[:12]):
        place = folder / f"{'가나'[number % 2]} folder" / f"그림 {number:02d}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(example.path, place)
    (folder / "notes.txt").write_text("not asked about", encoding="utf-8")
    (folder / "=나쁜.jpg").write_bytes(b"bad")
    (folder / ".hidden.png").write_bytes(b"bad")
    return folder


def test_every_file_gets_a_row_in_order(folder: Path) -> None:
    files = image_files(folder)
    assert len(files) == 13
    pool = ModelPool(drawings_run().run_dir, 2)
    watched = Watched()
    rows = list(answers(files, folder, pool.answer_file, threads=2, progress=watched))
    assert [row.name for row in rows] == [path.relative_to(folder).as_posix() for path in files]
    assert watched.told[-1][1:] == (13, 13)
    (bad,) = [row for row in rows if row.refused]
    assert bad.name in bad.refused and not bad.answer
    for row, path in zip(rows, files, strict=True):
        if not row.refused:
            first, second = pool.classify_file(path, "x")
            assert (row.answer, row.second) == (first.label, second.label)
    text = io.StringIO()
    write_csv(rows, text)
    lines = text.getvalue().splitlines()
    assert lines[0] == ",".join(COLUMNS)
    assert any(line.startswith("'=나쁜") for line in lines), "a name must not become a formula"
    text.seek(0)
    assert read_csv(text, 100) == rows
    text.seek(0)
    assert read_csv(text, 3) == rows[:3]


def test_doubts_are_written_by_their_names() -> None:
    rows = [
        Row("a", "x", 0.5, "unlikely", "y", 0.4, 0.1),
        Row("b", "x", 0.9, "strange", "", None, 0.7),
        Row("c", "x", 0.9),
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


def test_a_stop_is_heard(folder: Path) -> None:
    pool = ModelPool(drawings_run().run_dir, 2)
    with pytest.raises(Stopped):
        list(
            answers(
                image_files(folder),
                folder,
                pool.answer_file,
                threads=2,
                progress=Watched("Asking the model", after=4),
            )
        )


def test_no_folder_and_an_empty_one_are_said_to_be_so(tmp_path: Path) -> None:
    for path in (tmp_path / "없음", tmp_path):
        with pytest.raises(SourceMissing, match=r"expected a folder with images"):
            image_files(path)
