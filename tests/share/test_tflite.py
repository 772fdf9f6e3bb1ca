"""LiteRT exports, opened by LiteRT and by MediaPipe Tasks with nothing but the file."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from studio.retrain.confidence import SURENESS, Confidence
from studio.retrain.model_file import head_of
from studio.share.exports.export import export
from studio.share.exports.tflite import with_metadata
from tests.retrain.material import drawings_run
from tests.share.exports_material import NAME, asked, context, exported, flowers_run, needs_flowers

pytestmark = needs_flowers
LITE = ("tflite", "tflite-f16", "tflite-dynamic", "tflite-int8")


@pytest.mark.parametrize(
    ("form", "agreement", "apart", "share_of_size"),
    [
        ("tflite", 1.0, 0.0, 1.01),
        ("tflite-f16", 0.99, 0.02, 0.52),
        ("tflite-dynamic", 0.96, 0.4, 0.3),
        ("tflite-int8", 0.98, 0.4, 0.32),
    ],
)
def test_answers_as_the_run_does(form: str, agreement: float, apart: float, share_of_size: float) -> None:
    parity = exported(form).parity
    assert parity.n == flowers_run().evaluation.n > 100
    assert parity.agreement is not None and parity.agreement >= agreement
    assert parity.largest_difference is not None and parity.largest_difference <= apart
    assert parity.accuracy_before == flowers_run().evaluation.accuracy
    assert not parity.loses_much
    whole = (flowers_run().run_dir / "model.tflite").stat().st_size
    assert parity.size_bytes < whole * share_of_size


@pytest.mark.parametrize("form", LITE)
def test_mediapipe_opens_the_file_and_names_the_classes(form: str) -> None:
    mediapipe = pytest.importorskip("mediapipe")
    path = exported(form).path / "model.tflite"
    # By its bytes: MediaPipe itself cannot open every path on Windows.
    options = mediapipe.tasks.vision.ImageClassifierOptions(
        base_options=mediapipe.tasks.BaseOptions(model_asset_buffer=path.read_bytes())
    )
    labels = flowers_run().snapshot.classes
    _paths, images, expected = asked()
    answer = exported_answers(form)
    with mediapipe.tasks.vision.ImageClassifier.create_from_options(options) as classifier:
        for pixels, ours, own in zip(images, answer, expected, strict=True):
            image = mediapipe.Image(
                image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(pixels)
            )
            categories = classifier.classify(image).classifications[0].categories
            said = {category.category_name: category.score for category in categories}
            assert set(said) == set(labels)
            np.testing.assert_allclose([said[label] for label in labels], ours, atol=0.01)
            assert categories[0].category_name == labels[int(ours.argmax())]
            if form == "tflite":
                np.testing.assert_allclose([said[label] for label in labels], own, atol=1e-3)


def exported_answers(form: str) -> list[np.ndarray]:
    from studio.share.exports.tflite import opened

    ask = opened(exported(form).path)
    return [ask(pixels) for pixels in asked()[1]]


def test_mediapipe_opens_it_by_its_path_alone(tmp_path: Path) -> None:
    mediapipe = pytest.importorskip("mediapipe")
    path = exported("tflite").path / "model.tflite"
    with mediapipe.tasks.vision.ImageClassifier.create_from_model_path(str(path)) as classifier:
        photograph = asked()[0][0]
        image = mediapipe.Image.create_from_file(str(photograph))
        found = classifier.classify(image).classifications[0].categories[0]
    # It resizes in its own way: the surest class is the same, its probability nearly.
    assert found.category_name == flowers_run().snapshot.classes[int(asked()[2][0].argmax())]


def test_the_metadata_carries_labels_and_sureness_and_is_the_same_every_time(tmp_path: Path) -> None:
    run_dir = tmp_path / "run 1"
    run_dir.mkdir()
    for name in ("model.tflite", "labels.txt", "model.json", "snapshot.csv"):
        (run_dir / name).write_bytes((drawings_run().run_dir / name).read_bytes())
    Confidence(1.25, 0.5).write(run_dir, None)
    made = export(run_dir, "tflite", tmp_path / "out", context())
    content = (made.path / "model.tflite").read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.read("labels.txt").decode() == "square\n원 circle\n"
        assert json.loads(archive.read(SURENESS))["temperature"] == 1.25
        assert all(member.compress_type == zipfile.ZIP_STORED for member in archive.infolist())
    assert Confidence.read(made.path) == Confidence.read(run_dir)
    assert "When it is not sure" in (made.path / "MODEL_CARD.md").read_text(encoding="utf-8")
    original = (run_dir / "model.tflite").read_bytes()
    assert with_metadata(original, run_dir, NAME) == with_metadata(original, run_dir, NAME)
    # Put in a second time it takes the place of the first.
    assert len(with_metadata(content, run_dir, NAME)) <= len(content) + 2000
    np.testing.assert_array_equal(head_of(content).weights, head_of(original).weights)


def test_metadata_reads_as_its_schema_says() -> None:
    mediapipe_schema = pytest.importorskip("mediapipe.tasks.metadata.metadata_schema_py_generated")
    from ai_edge_litert import schema_py_generated as schema

    content = (exported("tflite").path / "model.tflite").read_bytes()
    model = schema.ModelT.InitFromPackedBuf(content)
    (entry,) = [each for each in model.metadata if each.name == b"TFLITE_METADATA"]
    buffer = bytes(model.buffers[entry.buffer].data)
    assert buffer[4:8] == b"M001"
    metadata = mediapipe_schema.ModelMetadataT.InitFromPackedBuf(buffer, 0)
    assert metadata.name.decode() == NAME
    (graph,) = metadata.subgraphMetadata
    (taken,), (given,) = graph.inputTensorMetadata, graph.outputTensorMetadata
    assert taken.content.contentProperties.colorSpace == mediapipe_schema.ColorSpaceType.RGB
    (unit,) = taken.processUnits
    assert (list(unit.options.mean), list(unit.options.std)) == ([0.0], [1.0])
    assert (list(taken.stats.min), list(taken.stats.max)) == ([0.0], [255.0])
    (labels,) = given.associatedFiles
    assert labels.name == b"labels.txt"
    assert labels.type == mediapipe_schema.AssociatedFileType.TENSOR_AXIS_LABELS
