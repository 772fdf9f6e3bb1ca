"""LiteRT exports, opened by LiteRT and by MediaPipe Tasks with nothing but the file."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from studio.retrain.confidence import CONFIDENCE_FILE, Confidence
from studio.retrain.model_file import read_head
from studio.share.exports.export import export_run
from studio.share.exports.tflite import add_metadata
from tests.retrain.material import drawings_run
from tests.share.exports_material import NAME, context, exported, flowers_run, needs_flowers, sample_images

pytestmark = needs_flowers
TFLITE = ("tflite", "tflite-f16", "tflite-dynamic", "tflite-int8")


@pytest.mark.parametrize(
    ("name", "agreement", "max_difference", "relative_size"),
    [
        ("tflite", 1.0, 0.0, 1.01),
        ("tflite-f16", 0.99, 0.02, 0.52),
        ("tflite-dynamic", 0.96, 0.4, 0.3),
        ("tflite-int8", 0.98, 0.4, 0.32),
    ],
)
def test_parity_of_each_tflite_format(
    name: str, agreement: float, max_difference: float, relative_size: float
) -> None:
    parity = exported(name).parity
    assert parity.n == flowers_run().evaluation.n > 100
    assert parity.agreement is not None and parity.agreement >= agreement
    assert parity.largest_difference is not None and parity.largest_difference <= max_difference
    assert parity.accuracy_before == flowers_run().evaluation.accuracy
    assert not parity.loses_accuracy
    whole = (flowers_run().run_dir / "model.tflite").stat().st_size
    assert parity.size_bytes < whole * relative_size


@pytest.mark.parametrize("name", TFLITE)
def test_mediapipe_opens_the_file_and_names_the_classes(name: str) -> None:
    mediapipe = pytest.importorskip("mediapipe")
    path = exported(name).path / "model.tflite"
    # By its bytes: MediaPipe itself cannot open every path on Windows.
    options = mediapipe.tasks.vision.ImageClassifierOptions(
        base_options=mediapipe.tasks.BaseOptions(model_asset_buffer=path.read_bytes())
    )
    labels = flowers_run().snapshot.classes
    _paths, images, expected = sample_images()
    predictions = exported_predictions(name)
    with mediapipe.tasks.vision.ImageClassifier.create_from_options(options) as classifier:
        for pixels, ours, own in zip(images, predictions, expected, strict=True):
            image = mediapipe.Image(
                image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(pixels)
            )
            categories = classifier.classify(image).classifications[0].categories
            scores = {category.category_name: category.score for category in categories}
            assert set(scores) == set(labels)
            np.testing.assert_allclose([scores[label] for label in labels], ours, atol=0.01)
            assert categories[0].category_name == labels[int(ours.argmax())]
            if name == "tflite":
                np.testing.assert_allclose([scores[label] for label in labels], own, atol=1e-3)


def exported_predictions(name: str) -> list[np.ndarray]:
    from studio.share.exports.tflite import load_predictor

    predict = load_predictor(exported(name).path)
    return [predict(pixels) for pixels in sample_images()[1]]


def test_mediapipe_opens_it_by_its_path_alone(tmp_path: Path) -> None:
    mediapipe = pytest.importorskip("mediapipe")
    path = exported("tflite").path / "model.tflite"
    with mediapipe.tasks.vision.ImageClassifier.create_from_model_path(str(path)) as classifier:
        photograph = sample_images()[0][0]
        image = mediapipe.Image.create_from_file(str(photograph))
        category = classifier.classify(image).classifications[0].categories[0]
    # MediaPipe resizes differently: the first class is the same, its probability nearly.
    assert category.category_name == flowers_run().snapshot.classes[int(sample_images()[2][0].argmax())]


def test_the_metadata_carries_labels_and_thresholds_and_is_reproducible(tmp_path: Path) -> None:
    run_dir = tmp_path / "run 1"
    run_dir.mkdir()
    for name in ("model.tflite", "labels.txt", "model.json", "snapshot.csv"):
        (run_dir / name).write_bytes((drawings_run().run_dir / name).read_bytes())
    Confidence(1.25, 0.5).write(run_dir, None)
    made = export_run(run_dir, "tflite", tmp_path / "out", context())
    content = (made.path / "model.tflite").read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.read("labels.txt").decode() == "square\n원 circle\n"
        assert json.loads(archive.read(CONFIDENCE_FILE))["temperature"] == 1.25
        assert all(member.compress_type == zipfile.ZIP_STORED for member in archive.infolist())
    assert Confidence.read(made.path) == Confidence.read(run_dir)
    assert "Confidence and abstention" in (made.path / "MODEL_CARD.md").read_text(encoding="utf-8")
    original = (run_dir / "model.tflite").read_bytes()
    assert add_metadata(original, run_dir, NAME) == add_metadata(original, run_dir, NAME)
    # Added a second time it replaces the first.
    assert len(add_metadata(content, run_dir, NAME)) <= len(content) + 2000
    np.testing.assert_array_equal(read_head(content).weights, read_head(original).weights)


def test_metadata_follows_its_schema() -> None:
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
    (model_input,), (model_output,) = graph.inputTensorMetadata, graph.outputTensorMetadata
    assert model_input.content.contentProperties.colorSpace == mediapipe_schema.ColorSpaceType.RGB
    (unit,) = model_input.processUnits
    assert (list(unit.options.mean), list(unit.options.std)) == ([0.0], [1.0])
    assert (list(model_input.stats.min), list(model_input.stats.max)) == ([0.0], [255.0])
    (labels,) = model_output.associatedFiles
    assert labels.name == b"labels.txt"
    assert labels.type == mediapipe_schema.AssociatedFileType.TENSOR_AXIS_LABELS
