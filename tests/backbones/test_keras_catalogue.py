"""The catalogue against Keras: the same files, scaling of pixels and features."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studio.backbones import BACKBONES, Backbone, get_backbone, prepare_backbone
from studio.backbones.concatenated import concatenate
from studio.backbones.interpreter import LiteRTInterpreter, tensorflow
from studio.backbones.keras_weights import KerasWeights
from studio.errors import BackboneError
from studio.progress import Silent
from studio.retrain.fine_tuning.network import assign_weights, with_larger_input
from tests.backbones.networks import multiply_adds, untrained


def _of_keras() -> dict[str, tuple[Backbone, KerasWeights]]:
    return {
        name: (entry, entry.source)
        for name, entry in BACKBONES.items()
        if isinstance(entry.source, KerasWeights)
    }


def test_the_catalogue_has_all_of_keras_applications() -> None:
    tensorflow()
    import keras

    constructors = {name for name in vars(keras.applications) if name[0].isupper()}
    assert constructors
    assert constructors == {source.constructor for _entry, source in _of_keras().values()}


def test_pixels_are_scaled_as_in_keras() -> None:
    tensorflow()
    import keras

    pixels = np.random.default_rng(0).integers(0, 256, (1, 5, 4, 3), dtype=np.uint8)
    for name, (entry, source) in _of_keras().items():
        module = getattr(keras.src.applications, _module_of(source.constructor))
        expected = module.preprocess_input(pixels.astype(np.float32))
        mine = entry.preprocessing.scaled(pixels)
        if source.channels_reversed:
            mine = mine[..., ::-1]
        np.testing.assert_allclose(mine, expected, atol=1e-5, err_msg=name)


def _module_of(constructor: str) -> str:
    import keras

    return str(getattr(keras.applications, constructor).__module__).rpartition(".")[2]


def test_hashes_are_those_in_keras_source() -> None:
    tensorflow()
    from keras.src.applications import convnext, efficientnet, efficientnet_v2, mobilenet_v3, resnet

    published = [
        without_top
        for module in (convnext, efficientnet, efficientnet_v2, mobilenet_v3, resnet)
        for _with_top, without_top in module.WEIGHTS_HASHES.values()
    ]
    mine = {source.published_hash for _entry, source in _of_keras().values()}
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
def test_a_network_gives_the_features_of_keras(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    untrained(name, tmp_path)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    entry, source = _of_keras()[name]
    size_px = entry.preprocessing.width_px
    pixels = np.random.default_rng(1).integers(0, 256, (1, size_px, size_px, 3), dtype=np.uint8)
    expected, asked = _keras_own(entry, source, pixels, monkeypatch)
    assert asked == (source.file, source.url, source.published_hash or None)
    # The weights of chance do not have the published hash.
    network = replace(entry, source=replace(source, published_hash="")).network()
    output = network(entry.preprocessing.scaled(pixels)).numpy()
    assert output.shape == (1, entry.features)
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(output, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    assert network.count_params() == entry.info.parameters
    assert multiply_adds(network) == entry.info.multiply_adds


def _keras_own(
    entry: Backbone, source: KerasWeights, pixels: np.typing.NDArray[np.uint8], patch: pytest.MonkeyPatch
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


def test_layers_have_the_same_names_in_every_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inception has few names for its layers; Keras numbers the rest, and goes on from network to network."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    untrained("inception_v3", tmp_path)
    entry, source = _of_keras()["inception_v3"]
    random_weights = replace(entry, source=replace(source, published_hash=""))
    trained, fresh = with_larger_input(random_weights).network(), random_weights.network()
    assert trained.name == fresh.name
    names = [layer.name for layer in trained.layers[1:]]
    assert names == [layer.name for layer in fresh.layers[1:]]
    assert len(set(names)) == len(names)
    assert {"conv2d_0", "conv2d_93", "batch_normalization_93", "mixed8"} <= set(names)
    assign_weights(fresh, {"conv2d_93/kernel": trained.get_layer("conv2d_93").kernel.numpy() + 1})


def test_a_file_with_another_hash_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    entry, source = _of_keras()["mobilenet_v3_small"]
    source.path.parent.mkdir()
    source.path.write_bytes(b"something else")
    with pytest.raises(BackboneError, match=r"not the file that was published.*d3e8ec802a04.*Remove it"):
        prepare_backbone(entry.name, tmp_path, Silent())


def test_a_file_of_another_shape_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    untrained("mobilenet_0.25_128", tmp_path)
    _entry, source = _of_keras()["mobilenet_0.50_128"]
    wrong = _of_keras()["mobilenet_0.25_128"][1].path
    wrong.rename(source.path)
    with pytest.raises(BackboneError, match=r"does not hold the weights of MobileNet 0\.50, 128 px"):
        prepare_backbone("mobilenet_0.50_128", tmp_path, Silent())
    source.path.write_bytes(b"no HDF5 at all")
    with pytest.raises(BackboneError, match="does not hold the weights"):
        get_backbone("mobilenet_0.50_128").network()


def test_concatenated_backbones_are_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    for name in ("mobilenet_0.25_128", "mobilenet_v2_0.35_96"):
        untrained(name, tmp_path)
    both = get_backbone("mobilenet_0.25_128+mobilenet_v2_0.35_96")
    assert [member.name for member in both.members] == ["mobilenet_0.25_128", "mobilenet_v2_0.35_96"]
    assert both.features == 256 + 1280
    assert both.size_bytes == sum(member.size_bytes for member in both.members)
    file = prepare_backbone(both.name, tmp_path / "backbones", Silent())
    assert (file.preprocessing.width_px, file.features) == (128, both.features)
    pixels = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    output = LiteRTInterpreter(file.path.read_bytes())(pixels)
    first, second = (
        member.source.network(128)(member.preprocessing.scaled(pixels)[np.newaxis]).numpy()[0]
        for member in both.members
    )
    np.testing.assert_allclose(output, np.concatenate([first, second]), atol=1e-3)
    assert both.fingerprint != get_backbone("mobilenet_v2_0.35_96+mobilenet_0.25_128").fingerprint


def test_backbones_of_one_family_can_be_concatenated() -> None:
    one = get_backbone("efficientnet_lite0")
    both = concatenate([one, replace(one, name="another")])
    network = both.network()
    assert network.output_shape == (None, 2 * one.features)
    pixels = np.full((1, 224, 224, 3), 90, np.float32)
    output = network(pixels).numpy()
    assert np.array_equal(output[:, : one.features], output[:, one.features :])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("efficientnet_lite0+efficientnet_lite0", "different backbones"),
        ("efficientnet_lite0+mobilenet_1.0_224_quantized", "not quantized"),
        ("efficientnet_lite0+nothing", "“nothing”"),
        ("vgg16+vgg19+xception+resnet50+resnet101", "at most 4"),
    ],
)
def test_some_backbones_cannot_be_concatenated(name: str, message: str) -> None:
    with pytest.raises(BackboneError, match=message):
        get_backbone(name)
