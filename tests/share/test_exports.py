"""Exports: complete or not at all, with attribution, and never a file whose predictions differ."""

import csv
import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from studio.errors import JobFailed, OutputRefused, Stopped
from studio.predict.model import Model
from studio.progress import Silent
from studio.retrain.image_folder import read_image_folder
from studio.retrain.options import RunOptions
from studio.retrain.snapshot import Snapshot
from studio.share.exports import export as export_module
from studio.share.exports.export import export_run
from studio.share.exports.export_format import ExportFormat
from studio.share.exports.formats import EXPORT_FORMATS
from studio.share.exports.parity import Parity, measure_parity
from tests.backbones.networks import SHARED_KERAS
from tests.retrain.material import RecordingProgress, draw, drawings_run, train_run
from tests.share.exports_material import context

FORMAT = "tflite"


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "ATTRIBUTION.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_format_of_the_command_line_is_there() -> None:
    names = "tflite tflite-f16 tflite-int8 graph savedmodel keras onnx teachable-machine"
    assert set(names.split()) <= set(EXPORT_FORMATS)
    assert all(name == each.name and each.purpose and each.usage for name, each in EXPORT_FORMATS.items())


def test_an_export_has_its_documents_and_parity(tmp_path: Path) -> None:
    output = tmp_path / "나간 것" / "a b"
    made = export_run(drawings_run().run_dir, FORMAT, output, context())
    assert names(output) == {
        "model.tflite",
        "labels.txt",
        "README.md",
        "MODEL_CARD.md",
        "ATTRIBUTION.csv",
        "parity.json",
    }
    assert [path.name for path in output.parent.iterdir()] == ["a b"]
    values = json.loads((output / "parity.json").read_text(encoding="utf-8"))
    assert Parity.from_json(values) == made.parity
    assert values["n"] == drawings_run().evaluation.n and values["agreement"] == 1
    assert values["accuracy_before"] == values["accuracy_after"] == drawings_run().evaluation.accuracy
    assert values["ms"] > 0 and values["size_bytes"] > 1_000_000
    rows = table(output)
    assert len(rows) == len(drawings_run().snapshot.examples)
    assert {row["class"] for row in rows} == {"square", "원 circle"}
    readme = (output / "README.md").read_text(encoding="utf-8")
    assert readme.startswith("# 꽃 \\*flowers\\*: TFLite, float32\n")
    assert "$" not in readme and "(224, 224)" in readme
    card = (output / "MODEL_CARD.md").read_text(encoding="utf-8")
    for text in ("원 circle", "EfficientNet-Lite0", "Apache-2.0", "Limits", "Not stated: 48"):
        assert text in card


def test_a_zip_is_the_same_folder_and_the_same_bytes_every_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fixed = Parity(1, 2, 0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0)  # measured times would differ
    monkeypatch.setattr(export_module, "measure_parity", lambda *_a, **_k: fixed)
    written = []
    for _time in range(2):
        export_run(drawings_run().run_dir, FORMAT, tmp_path / "x.ZIP", context())
        written.append((tmp_path / "x.ZIP").read_bytes())
    assert written[0] == written[1]
    with zipfile.ZipFile(tmp_path / "x.ZIP") as archive:
        assert archive.testzip() is None
        folders = {name.partition("/")[0] for name in archive.namelist()}
    assert folders == {"꽃 _flowers_ tflite"}


def test_an_occupied_output_is_refused_and_left_unchanged(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "folder.zip").mkdir()
    (tmp_path / "file").write_text("mine")
    for output in ("full", "folder.zip", "file"):
        with pytest.raises(OutputRefused, match="empty or new"):
            export_run(drawings_run().run_dir, FORMAT, tmp_path / output, context())
    with pytest.raises(OutputRefused, match="cannot be written"):
        export_run(drawings_run().run_dir, FORMAT, tmp_path / "file" / "inside", context())
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert export_run(drawings_run().run_dir, FORMAT, tmp_path / "empty", context()).path.is_dir()
    assert (tmp_path / "empty" / "README.md").is_file()


def test_an_export_whose_predictions_differ_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_predictor = EXPORT_FORMATS[FORMAT].load_predictor
    assert load_predictor is not None

    def broken(output_dir: Path) -> object:
        predict = load_predictor(output_dir)
        return lambda pixels: predict(pixels) * np.float32(np.nan)

    export_format: ExportFormat = replace(EXPORT_FORMATS[FORMAT], load_predictor=broken)  # type: ignore[arg-type]
    monkeypatch.setitem(EXPORT_FORMATS, FORMAT, export_format)
    with pytest.raises(JobFailed, match="not written"):
        export_run(drawings_run().run_dir, FORMAT, tmp_path / "out", context())
    assert list(tmp_path.iterdir()) == []


def test_an_export_can_be_stopped_while_measuring_and_calibrating(tmp_path: Path) -> None:
    for name, phase in ((FORMAT, "Measuring parity"), ("tflite-int8", "Calibrating")):
        watched = RecordingProgress(stop_in=phase, after=1)
        with pytest.raises(Stopped):
            export_run(drawings_run().run_dir, name, tmp_path / "out", replace(context(), progress=watched))
        assert list(tmp_path.iterdir()) == []


def test_missing_images_are_counted(tmp_path: Path) -> None:
    images = draw(tmp_path / "그림")
    snapshot = Snapshot.of(read_image_folder(images, Silent()).images)
    run = train_run(snapshot, tmp_path / "run")
    shutil.rmtree(images)
    made = export_run(run.run_dir, FORMAT, tmp_path / "out", context())
    assert made.parity.n == 0 and made.parity.missing == len(snapshot.of_split("testing"))
    assert made.parity.agreement is None and not made.parity.loses_accuracy
    assert "not measured" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    with pytest.raises(OutputRefused, match="training images"):
        export_run(run.run_dir, "tflite-int8", tmp_path / "int8", context())


def test_parity_reports_a_loss_of_more_than_a_point(tmp_path: Path) -> None:
    model = Model.open(drawings_run().run_dir)
    tested = drawings_run().snapshot.of_split("testing")
    reversed_scores = lambda pixels: model.probabilities(pixels)[::-1]  # noqa: E731
    parity = measure_parity(model, reversed_scores, tested, size_bytes=1, threads=1, progress=Silent())
    assert parity.agreement == 0 and parity.loses_accuracy and parity.accuracy_loss == 1
    assert not Parity(1, accuracy_before=0.9, accuracy_after=0.895).loses_accuracy


def test_attribution_comes_from_credits_files_and_from_projects(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    shutil.copytree(drawings_run().run_dir, run_dir)
    root = drawings_run().snapshot.examples[0].path.parent.parent
    (root / "LICENSE.txt").write_text(
        "square/그림\u00a0x.jpg CC-BY by Nobody - https://example.org/x\n", encoding="utf-8"
    )
    try:
        made = export_run(run_dir, FORMAT, tmp_path / "one", context())
    finally:
        (root / "LICENSE.txt").unlink()
    assert all(row["kind"] == "folder" for row in table(made.path))
    (run_dir / "ATTRIBUTION.csv").write_text(
        "sha256,creator,licence,kind\na,Kim,CC BY 2.0,crawl\nb,Lee,,crawl\nb,Lee,CC0 1.0,list\nc,,,camera\n",
        encoding="utf-8",
    )
    (run_dir / "ATTRIBUTION.txt").write_text("Kim\n", encoding="utf-8")
    made = export_run(run_dir, FORMAT, tmp_path / "two", context())
    card = (made.path / "MODEL_CARD.md").read_text(encoding="utf-8")
    for text in ("CC BY 2.0: 1", "CC0 1.0: 1", "Own work: 1", "2 authors are named"):
        assert text in card
    assert (made.path / "ATTRIBUTION.txt").read_text(encoding="utf-8") == "Kim\n"


@pytest.mark.skipif(not SHARED_KERAS.is_dir(), reason=f"the weights are not at {SHARED_KERAS}")
@pytest.mark.parametrize("name", ["teachable-machine", "onnx", "tflite-int8"])
def test_a_network_of_another_size_and_scaling(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(SHARED_KERAS))
    options = RunOptions(backbone="mobilenet_0.25_128", how_many_training_steps=60)
    run = train_run(drawings_run().snapshot, tmp_path / "run", options)
    made = export_run(run.run_dir, name, tmp_path / "out", context())
    assert made.parity.agreement is not None and made.parity.agreement >= 0.8
    if name == "onnx":
        assert made.parity.largest_difference is not None and made.parity.largest_difference < 1e-3


def test_a_fine_tuned_run_with_its_own_size(tmp_path: Path) -> None:
    options = RunOptions(how_many_training_steps=30, fine_tune=True, fine_tune_epochs=1)
    run = train_run(drawings_run().snapshot, tmp_path / "run", options)
    for name, limit in (("keras", 1e-3), ("teachable-machine", 0.2)):  # the second resizes to 224 px
        made = export_run(run.run_dir, name, tmp_path / name, context())
        assert made.parity.agreement == 1
        assert made.parity.largest_difference is not None and made.parity.largest_difference < limit
