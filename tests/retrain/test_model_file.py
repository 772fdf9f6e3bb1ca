import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from studio.backbones.interpreter import LiteRTInterpreter
from studio.retrain.head.head import Head
from studio.retrain.model_file import attach_head, read_head
from tests.retrain.material import backbone


def head(classes: int) -> Head:
    random = np.random.default_rng(classes)
    weights = random.normal(scale=0.1, size=(backbone().features, classes)).astype(np.float32)
    return Head(weights, random.normal(size=classes).astype(np.float32))


@pytest.mark.parametrize("classes", [2, 5, 300])
def test_the_model_file_gives_the_probabilities_of_backbone_and_head(classes: int) -> None:
    content = backbone().path.read_bytes()
    model = attach_head(content, head(classes))
    features, model_file = LiteRTInterpreter(content), LiteRTInterpreter(model)
    random = np.random.default_rng(0)
    for _image in range(3):
        pixels = random.integers(0, 256, (224, 224, 3), dtype=np.uint8)
        expected = head(classes).probabilities(features(pixels)[np.newaxis])[0]
        np.testing.assert_allclose(model_file(pixels), expected, atol=1e-6)


def test_tensor_names_and_shapes() -> None:
    interpreter = Interpreter(model_content=attach_head(backbone().path.read_bytes(), head(4)))
    (entry,), (exit_,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert (entry["name"], entry["dtype"], entry["shape"].tolist()) == ("input", np.uint8, [1, 224, 224, 3])
    assert (exit_["name"], exit_["dtype"], exit_["shape"].tolist()) == ("final_result", np.float32, [1, 4])
    assert interpreter.get_signature_list() == {
        "serving_default": {"inputs": ["input"], "outputs": ["final_result"]}
    }


def test_constants_are_aligned_to_sixteen_bytes() -> None:
    model = attach_head(backbone().path.read_bytes(), head(3))
    read = schema.Model.GetRootAs(model)
    start = np.frombuffer(model, np.uint8).__array_interface__["data"][0]
    offsets = [
        read.Buffers(at).DataAsNumpy().__array_interface__["data"][0] - start
        for at in range(read.BuffersLength())
        if not read.Buffers(at).DataIsNone()
    ]
    assert len(offsets) > 100
    assert all(offset % 16 == 0 for offset in offsets)


def test_the_head_is_read_back() -> None:
    content = backbone().path.read_bytes()
    found = read_head(attach_head(content, head(3)))
    assert np.array_equal(found.weights, head(3).weights)
    assert np.array_equal(found.bias, head(3).bias)
    with pytest.raises(ValueError, match="final_weights"):
        read_head(content)
