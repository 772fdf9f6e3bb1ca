"""The other export formats, each opened by its own client: the codelab's script, Keras, ONNX Runtime …"""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studio.backbones.interpreter import captured_output, tensorflow
from tests.share.exports_material import exported, flowers_run, needs_flowers, sample_images

pytestmark = needs_flowers
TOLERANCE = 1e-3

LABEL_IMAGE = '''
"""Written after the codelab's documented interface: its flags, defaults, preprocessing and output."""
import argparse
import time

import numpy as np
import tensorflow as tf

tf.compat.v1.disable_eager_execution()
parser = argparse.ArgumentParser()
parser.add_argument("--image")
parser.add_argument("--graph", default="tf_files/retrained_graph.pb")
parser.add_argument("--labels", default="tf_files/retrained_labels.txt")
parser.add_argument("--input_height", type=int, default=224)
parser.add_argument("--input_width", type=int, default=224)
parser.add_argument("--input_mean", type=int, default=128)
parser.add_argument("--input_std", type=int, default=128)
parser.add_argument("--input_layer", default="input")
parser.add_argument("--output_layer", default="final_result")
args = parser.parse_args()

graph = tf.Graph()
graph_def = tf.compat.v1.GraphDef()
with open(args.graph, "rb") as file:
    graph_def.ParseFromString(file.read())
with graph.as_default():
    tf.import_graph_def(graph_def)

with tf.compat.v1.Session(graph=tf.Graph()) as session:
    with session.graph.as_default():
        content = tf.io.read_file(args.image)
        image = tf.image.decode_png(content, channels=3) if args.image.endswith(".png") else (
            tf.image.decode_jpeg(content, channels=3))
        resized = tf.compat.v1.image.resize_bilinear(
            tf.expand_dims(tf.cast(image, tf.float32), 0), [args.input_height, args.input_width])
        pixels = session.run((resized - [args.input_mean]) / [args.input_std])

output = graph.get_operation_by_name("import/" + args.output_layer)
entry = graph.get_operation_by_name("import/" + args.input_layer)
with tf.compat.v1.Session(graph=graph) as session:
    start = time.time()
    results = np.squeeze(session.run(output.outputs[0], {entry.outputs[0]: pixels}))
    end = time.time()
print("\\nEvaluation time (1-image): {:.3f}s\\n".format(end - start))
labels = [line.rstrip() for line in open(args.labels, encoding="utf-8")]
for at in results.argsort()[-5:][::-1]:
    print("{} (score={:0.5f})".format(labels[at], results[at]))
'''


@pytest.mark.parametrize("name", ["graph", "savedmodel", "keras", "onnx", "teachable-machine"])
def test_predictions_equal_the_runs(name: str) -> None:
    parity = exported(name).parity
    assert parity.n == flowers_run().evaluation.n > 100
    assert parity.agreement == 1.0
    assert parity.largest_difference is not None and parity.largest_difference < TOLERANCE
    assert parity.accuracy_after == parity.accuracy_before == flowers_run().evaluation.accuracy


def test_the_codelabs_script_runs_with_its_default_flags(tmp_path: Path) -> None:
    folder = tmp_path / "tensorflow for poets"
    (folder / "scripts").mkdir(parents=True)
    (folder / "scripts" / "label_image.py").write_text(LABEL_IMAGE, encoding="utf-8")
    exported("graph").path.joinpath("retrained_graph.pb").parent.rename(folder / "tf_files")
    try:
        # At the input size, so that the script does not resize.
        Image.fromarray(sample_images()[1][0]).save(folder / "picture.png")
        done = subprocess.run(
            [sys.executable, "-m", "scripts.label_image", "--image=picture.png"],
            cwd=folder,
            capture_output=True,
            encoding="utf-8",
            check=True,
        )
    finally:
        (folder / "tf_files").rename(exported("graph").path)
    printed = re.findall(r"^(.+) \(score=([\d.]+)\)$", done.stdout, re.MULTILINE)
    expected = sample_images()[2][0]
    labels = flowers_run().snapshot.classes
    assert [label for label, _score in printed] == [labels[at] for at in np.argsort(-expected)[:5]]
    for label, score in printed:
        assert float(score) == pytest.approx(expected[labels.index(label)], abs=TOLERANCE)


def test_a_saved_model_has_the_signature_that_servers_expect() -> None:
    tf = tensorflow()
    with captured_output():
        loaded = tf.saved_model.load(str(exported("savedmodel").path / "saved_model" / "1"))
    serve = loaded.signatures["serving_default"]
    ((), inputs) = serve.structured_input_signature
    assert inputs == {"input": tf.TensorSpec((None, 224, 224, 3), tf.uint8, name="input")}
    _paths, images, expected = sample_images()
    answers = serve(input=tf.constant(np.stack(images)))  # several at once
    assert list(answers) == ["final_result"]
    np.testing.assert_allclose(answers["final_result"].numpy(), expected, atol=TOLERANCE)


def in_plain_python(code: str, *arguments: str) -> np.ndarray:
    """Run code in an isolated Python without the studio; return the numbers that it prints."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, *arguments],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return np.array([float(number) for number in done.stdout.split()[-5:]])


def test_plain_keras_loads_the_file(tmp_path: Path) -> None:
    image = tmp_path / "그림.npy"
    np.save(image, sample_images()[1][1])
    code = (
        "import sys, keras, numpy as np; model = keras.models.load_model(sys.argv[1]); "
        "print(*model.predict(np.load(sys.argv[2])[np.newaxis], verbose=0)[0])"
    )
    answer = in_plain_python(code, str(exported("keras").path / "model.keras"), str(image))
    np.testing.assert_allclose(answer, sample_images()[2][1], atol=TOLERANCE)


def test_onnx_runtime_takes_one_image_or_several() -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    path = exported("onnx").path / "model.onnx"
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    (model_input,), (model_output,) = session.get_inputs(), session.get_outputs()
    assert (model_input.name, model_input.type, model_input.shape) == (
        "input",
        "tensor(uint8)",
        ["N", 224, 224, 3],
    )
    assert (model_output.name, model_output.shape) == ("final_result", ["N", 5])
    _paths, images, expected = sample_images()
    for some in (slice(0, 1), slice(0, 7)):
        (answers,) = session.run(None, {"input": np.stack(images[some])})
        np.testing.assert_allclose(answers, expected[some], atol=TOLERANCE)


def test_teachable_machines_snippet_works(tmp_path: Path) -> None:
    folder = exported("teachable-machine").path
    labels = flowers_run().snapshot.classes
    lines = (folder / "labels.txt").read_text(encoding="utf-8").splitlines()
    assert lines == [f"{number} {label}" for number, label in enumerate(labels)]
    image = tmp_path / "an image.png"
    Image.fromarray(sample_images()[1][2]).save(image)
    snippet = """
import sys
from keras.models import load_model
from PIL import Image, ImageOps
import numpy as np
model = load_model(sys.argv[1], compile=False)
data = np.ndarray(shape=(1, 224, 224, 3), dtype=np.float32)
image = Image.open(sys.argv[2]).convert("RGB")
image = ImageOps.fit(image, (224, 224), Image.Resampling.LANCZOS)
data[0] = (np.asarray(image).astype(np.float32) / 127.5) - 1
print(*model.predict(data, verbose=0)[0])
"""
    answer = in_plain_python(snippet, str(folder / "keras_model.h5"), str(image))
    np.testing.assert_allclose(answer, sample_images()[2][2], atol=TOLERANCE)


def test_teachable_machines_tflite_file_takes_scaled_floats() -> None:
    from ai_edge_litert.interpreter import Interpreter

    folder = exported("teachable-machine").path
    interpreter = Interpreter(model_content=(folder / "model_unquant.tflite").read_bytes())
    interpreter.allocate_tensors()
    (model_input,), (model_output,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert (model_input["dtype"], model_input["shape"].tolist()) == (np.float32, [1, 224, 224, 3])
    scaled = sample_images()[1][3].astype(np.float32) / np.float32(127.5) - np.float32(1)
    interpreter.set_tensor(model_input["index"], scaled[np.newaxis])
    interpreter.invoke()
    np.testing.assert_allclose(
        interpreter.get_tensor(model_output["index"])[0], sample_images()[2][3], atol=TOLERANCE
    )
