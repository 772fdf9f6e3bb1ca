"""That the registry's Keras networks are Keras' own: same files, same pixels, same answers."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studio.backbones import BACKBONES, Backbone, backbone_named, ready
from studio.backbones.concatenated import side_by_side
from studio.backbones.interpreter import Engine, tensorflow
from studio.backbones.keras_weights import KerasWeights
from studio.errors import BackboneError
from studio.progress import Silent
from studio.retrain.fine_tuning.network import larger, tune
from tests.backbones.networks import multiply_adds, untrained


def _of_keras() -> dict[str, tuple[Backbone, KerasWeights]]:
    return {
        name: (found, found.source)
        for name, found in BACKBONES.items()
        if isinstance(found.source, KerasWeights)
    }


def test_all_of_keras_applications_is_there() -> None:
    tensorflow()
    import keras

    constructors = {name for name in vars(keras.applications) if name[0].isupper()}
    assert constructors
    assert constructors == {source.constructor for _found, source in _of_keras().values()}


def test_pixels_are_scaled_as_keras_does() -> None:
    tensorflow()
    import keras

    pixels = np.random.default_rng(0).integers(0, 256, (1, 5, 4, 3), dtype=np.uint8)
    for name, (found, source) in _of_keras().items():
        module = getattr(keras.src.applications, _module_of(source.constructor))
        expected = module.preprocess_input(pixels.astype(np.float32))
        mine = found.preprocessing.scaled(pixels)
        if source.channels_reversed:
            mine = mine[..., ::-1]
        np.testing.assert_allclose(mine, expected, atol=1e-5, err_msg=name)


def _module_of(constructor: str) -> str:
    import keras

    return str(getattr(keras.applications, constructor).__module__).rpartition(".")[2]


def test_hashes_are_those_of_keras_source() -> None:
    tensorflow()
    from keras.src.applications import convnext, efficientnet, efficientnet_v2, mobilenet_v3, resnet

    published = [
        without_top
        for module in (convnext, efficientnet, efficientnet_v2, mobilenet_v3, resnet)
        for _with_top, without_top in module.WEIGHTS_HASHES.values()
    ]
    mine = {source.published_hash for _found, source in _of_keras().values()}
    # ResNeXt has hashes and no constructor.
    assert len(set(published) - mine) == 2
    assert {len(digits) for digits in mine} == {0, 32, 64}


@pytest.mark.parametrize(
    "name",
    [
        "mobilenet_v2_0.35_96",
        "mobilenet_v3_small_minimalistic",
        "efficientnet_b0",  # multiplies by one thing more for ImageNet's weights
        "efficientnet_v2_b0",  # scales inside
        "vgg16",  # blue, green, red
    ],
)
def test_a_network_is_keras_own(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    untrained(name, tmp_path)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    found, source = _of_keras()[name]
    size_px = found.preprocessing.width_px
    pixels = np.random.default_rng(1).integers(0, 256, (1, size_px, size_px, 3), dtype=np.uint8)
    expected, asked = _keras_own(found, source, pixels, monkeypatch)
    assert asked == (source.file, source.address, source.published_hash or None)
    # The weights of chance do not have the published hash.
    network = replace(found, source=replace(source, published_hash="")).network()
    answer = network(found.preprocessing.scaled(pixels)).numpy()
    assert answer.shape == (1, found.features)
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(answer, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    assert network.count_params() == found.facts.parameters
    assert multiply_adds(network) == found.facts.multiply_adds


def _keras_own(
    found: Backbone, source: KerasWeights, pixels: np.typing.NDArray[np.uint8], patch: pytest.MonkeyPatch
) -> tuple[np.typing.NDArray[np.float32], tuple[str, str, str | None]]:
    """Return what Keras answers with weights="imagenet", and which file it asked for.

    Keras would download it: it is handed the one that is there.
    """
    import keras
    from keras.src.utils import file_utils

    asked: list[tuple[str, str, str | None]] = []

    def get_file(name: str, origin: str, file_hash: str | None = None, **_others: Any) -> Path:
        asked.append((name, origin, file_hash))
        return source.path

    patch.setattr(file_utils, "get_file", get_file)
    network = getattr(keras.applications, source.constructor)(
        include_top=False,
        weights="imagenet",
        pooling="avg",
        input_shape=pixels.shape[1:],
        **dict(source.arguments),
    )
    module = getattr(keras.src.applications, _module_of(source.constructor))
    scaled = module.preprocess_input(pixels.astype(np.float32))
    return network(scaled).numpy(), asked[0]


def test_layers_have_the_same_names_in_every_network_of_a_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inception has few names for its layers; Keras numbers the rest, and goes on from network to network."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    untrained("inception_v3", tmp_path)
    found, source = _of_keras()["inception_v3"]
    of_chance = replace(found, source=replace(source, published_hash=""))
    trained, fresh = larger(of_chance).network(), of_chance.network()
    assert trained.name == fresh.name
    names = [layer.name for layer in trained.layers[1:]]
    assert names == [layer.name for layer in fresh.layers[1:]]
    assert len(set(names)) == len(names)
    assert {"conv2d_0", "conv2d_93", "batch_normalization_93", "mixed8"} <= set(names)
    tune(fresh, {"conv2d_93/kernel": trained.get_layer("conv2d_93").kernel.numpy() + 1})


def test_a_file_that_is_not_the_published_one_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    found, source = _of_keras()["mobilenet_v3_small"]
    source.path.parent.mkdir()
    source.path.write_bytes(b"something else")
    with pytest.raises(BackboneError, match=r"not the file that was published.*d3e8ec802a04.*Remove it"):
        ready(found.name, tmp_path, Silent())


def test_a_file_of_another_shape_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    untrained("mobilenet_0.25_128", tmp_path)
    _found, source = _of_keras()["mobilenet_0.50_128"]
    wrong = _of_keras()["mobilenet_0.25_128"][1].path
    wrong.rename(source.path)
    with pytest.raises(BackboneError, match=r"does not hold the weights of MobileNet 0\.50, 128 px"):
        ready("mobilenet_0.50_128", tmp_path, Silent())
    source.path.write_bytes(b"no HDF5 at all")
    with pytest.raises(BackboneError, match="does not hold the weights"):
        backbone_named("mobilenet_0.50_128").network()


def test_several_stand_side_by_side_in_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    for name in ("mobilenet_0.25_128", "mobilenet_v2_0.35_96"):
        untrained(name, tmp_path)
    both = backbone_named("mobilenet_0.25_128+mobilenet_v2_0.35_96")
    assert [member.name for member in both.members] == ["mobilenet_0.25_128", "mobilenet_v2_0.35_96"]
    assert both.features == 256 + 1280
    assert both.size_bytes == sum(member.size_bytes for member in both.members)
    file = ready(both.name, tmp_path / "backbones", Silent())
    assert (file.preprocessing.width_px, file.features) == (128, both.features)
    pixels = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    answer = Engine(file.path.read_bytes())(pixels)
    first, second = (
        member.source.network(128)(member.preprocessing.scaled(pixels)[np.newaxis]).numpy()[0]
        for member in both.members
    )
    np.testing.assert_allclose(answer, np.concatenate([first, second]), atol=1e-3)
    assert both.fingerprint != backbone_named("mobilenet_v2_0.35_96+mobilenet_0.25_128").fingerprint


def test_two_of_one_family_stand_side_by_side() -> None:
    one = backbone_named("efficientnet_lite0")
    both = side_by_side([one, replace(one, name="another")])
    network = both.network()
    assert network.output_shape == (None, 2 * one.features)
    pixels = np.full((1, 224, 224, 3), 90, np.float32)
    answer = network(pixels).numpy()
    assert np.array_equal(answer[:, : one.features], answer[:, one.features :])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("efficientnet_lite0+efficientnet_lite0", "different backbones"),
        ("efficientnet_lite0+mobilenet_1.0_224_quantized", "by itself only"),
        ("efficientnet_lite0+nothing", "“nothing”"),
        ("vgg16+vgg19+xception+resnet50+resnet101", "at most 4"),
    ],
)
def test_some_cannot_stand_side_by_side(name: str, said: str) -> None:
    with pytest.raises(BackboneError, match=said):
        backbone_named(name)
