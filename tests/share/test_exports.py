"""Exporting itself: whole or not at all, with its provenance, and never a file that answers otherwise."""

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
from studio.share.exports import export as exporting
from studio.share.exports.export import export
from studio.share.exports.format import Format
from studio.share.exports.formats import FORMATS
from studio.share.exports.parity import Parity, measured
from tests.backbones.networks import SHARED_KERAS
from tests.retrain.material import Watched, draw, drawings_run, run_on
from tests.share.exports_material import context

RUN = "tflite"


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "ATTRIBUTION.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_format_of_the_command_line_is_there() -> None:
    asked = "tflite tflite-f16 tflite-int8 graph savedmodel keras onnx teachable-machine"
    assert set(asked.split()) <= set(FORMATS)
    assert all(name == form.name and form.what_for and form.usage for name, form in FORMATS.items())


def test_an_export_has_its_provenance_and_says_how_near_it_is(tmp_path: Path) -> None:
    output = tmp_path / "나간 것" / "a b"
    made = export(drawings_run().run_dir, RUN, output, context())
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
    for said in ("원 circle", "EfficientNet-Lite0", "Apache-2.0", "Limits", "Not written down: 48"):
        assert said in card


def test_a_zip_is_the_same_folder_and_the_same_bytes_every_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    still = Parity(1, 2, 0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0)  # times never are the same
    monkeypatch.setattr(exporting, "measured", lambda *_a, **_k: still)
    written = []
    for _time in range(2):
        export(drawings_run().run_dir, RUN, tmp_path / "x.ZIP", context())
        written.append((tmp_path / "x.ZIP").read_bytes())
    assert written[0] == written[1]
    with zipfile.ZipFile(tmp_path / "x.ZIP") as archive:
        assert archive.testzip() is None
        folders = {name.partition("/")[0] for name in archive.namelist()}
    assert folders == {"꽃 _flowers_ tflite"}


def test_what_is_in_the_way_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "folder.zip").mkdir()
    (tmp_path / "file").write_text("mine")
    for output in ("full", "folder.zip", "file"):
        with pytest.raises(OutputRefused, match="empty or new"):
            export(drawings_run().run_dir, RUN, tmp_path / output, context())
    with pytest.raises(OutputRefused, match="cannot be written"):
        export(drawings_run().run_dir, RUN, tmp_path / "file" / "inside", context())
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert export(drawings_run().run_dir, RUN, tmp_path / "empty", context()).path.is_dir()
    assert (tmp_path / "empty" / "README.md").is_file()


def test_a_form_that_answers_otherwise_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = FORMATS[RUN].answer
    assert sound is not None

    def broken(output_dir: Path) -> object:
        ask = sound(output_dir)
        return lambda pixels: ask(pixels) * np.float32(np.nan)

    form: Format = replace(FORMATS[RUN], answer=broken)  # type: ignore[arg-type]
    monkeypatch.setitem(FORMATS, RUN, form)
    with pytest.raises(JobFailed, match="not written"):
        export(drawings_run().run_dir, RUN, tmp_path / "out", context())
    assert list(tmp_path.iterdir()) == []


def test_stop_is_heard_while_images_are_compared_and_while_it_is_calibrated(tmp_path: Path) -> None:
    for form, phase in ((RUN, "Comparing with the run's own answers"), ("tflite-int8", "Calibrating")):
        watched = Watched(stop_in=phase, after=1)
        with pytest.raises(Stopped):
            export(drawings_run().run_dir, form, tmp_path / "out", replace(context(), progress=watched))
        assert list(tmp_path.iterdir()) == []


def test_images_that_are_gone_are_said_to_be_gone(tmp_path: Path) -> None:
    images = draw(tmp_path / "그림")
    snapshot = Snapshot.of(read_image_folder(images, Silent()).images)
    run = run_on(snapshot, tmp_path / "run")
    shutil.rmtree(images)
    made = export(run.run_dir, RUN, tmp_path / "out", context())
    assert made.parity.n == 0 and made.parity.missing == len(snapshot.of_split("testing"))
    assert made.parity.agreement is None and not made.parity.loses_much
    assert "not measured" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    with pytest.raises(OutputRefused, match="training images"):
        export(run.run_dir, "tflite-int8", tmp_path / "int8", context())


def test_more_than_a_point_lost_is_said(tmp_path: Path) -> None:
    model = Model.open(drawings_run().run_dir)
    tested = drawings_run().snapshot.of_split("testing")
    turned = lambda pixels: model.probabilities(pixels)[::-1]  # noqa: E731
    parity = measured(model, turned, tested, size_bytes=1, threads=1, progress=Silent())
    assert parity.agreement == 0 and parity.loses_much and parity.lost == 1
    assert not Parity(1, accuracy_before=0.9, accuracy_after=0.895).loses_much


def test_credits_beside_the_class_folders_and_those_of_a_project_go_along(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    shutil.copytree(drawings_run().run_dir, run_dir)
    root = drawings_run().snapshot.examples[0].path.parent.parent
    (root / "LICENSE.txt").write_text(
        "square/그림\u00a0x.jpg CC-BY by Nobody - https://example.org/x\n", encoding="utf-8"
    )
    try:
        made = export(run_dir, RUN, tmp_path / "one", context())
    finally:
        (root / "LICENSE.txt").unlink()
    assert all(row["kind"] == "folder" for row in table(made.path))
    (run_dir / "ATTRIBUTION.csv").write_text(
        "sha256,creator,licence,kind\na,Kim,CC BY 2.0,crawl\nb,Lee,,crawl\nb,Lee,CC0 1.0,list\nc,,,camera\n",
        encoding="utf-8",
    )
    (run_dir / "ATTRIBUTION.txt").write_text("Kim\n", encoding="utf-8")
    made = export(run_dir, RUN, tmp_path / "two", context())
    card = (made.path / "MODEL_CARD.md").read_text(encoding="utf-8")
    for said in ("CC BY 2.0: 1", "CC0 1.0: 1", "Own work: 1", "2 authors are named"):
        assert said in card
    assert (made.path / "ATTRIBUTION.txt").read_text(encoding="utf-8") == "Kim\n"


@pytest.mark.skipif(not SHARED_KERAS.is_dir(), reason=f"the weights are not at {SHARED_KERAS}")
@pytest.mark.parametrize("form", ["teachable-machine", "onnx", "tflite-int8"])
def test_a_network_of_another_size_and_scaling(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(SHARED_KERAS))
    options = RunOptions(backbone="mobilenet_0.25_128", how_many_training_steps=60)
    run = run_on(drawings_run().snapshot, tmp_path / "run", options)
    made = export(run.run_dir, form, tmp_path / "out", context())
    assert made.parity.agreement is not None and made.parity.agreement >= 0.8
    if form == "onnx":
        assert made.parity.largest_difference is not None and made.parity.largest_difference < 1e-3


def test_a_fine_tuned_run_with_its_own_size(tmp_path: Path) -> None:
    options = RunOptions(how_many_training_steps=30, fine_tune=True, fine_tune_epochs=1)
    run = run_on(drawings_run().snapshot, tmp_path / "run", options)
    for form, apart in (("keras", 1e-3), ("teachable-machine", 0.2)):  # the second takes 224 pixels
        made = export(run.run_dir, form, tmp_path / form, context())
        assert made.parity.agreement == 1
        assert made.parity.largest_difference is not None and made.parity.largest_difference < apart
