"""All MobileNet variants, built and converted with random weights."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studio.backbones import BackboneFile, get_backbone, prepare_backbone
from studio.backbones.interpreter import LiteRTInterpreter
from studio.backbones.keras_weights import KerasWeights
from studio.progress import Silent
from tests.backbones.networks import multiply_adds, untrained

_WIDTHS, _SIZES = ("1.0", "0.75", "0.50", "0.25"), (224, 192, 160, 128)
_SHAPES = [f"mobilenet_{width}_{size}" for width in _WIDTHS for size in _SIZES]


@pytest.fixture(scope="module")
def keras_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of Keras' with weights for all sixteen: one network a width, since sizes share theirs."""
    folder = tmp_path_factory.mktemp("keras 케라스")
    for width in _WIDTHS:
        largest, *others = [f"mobilenet_{width}_{size}" for size in _SIZES]
        untrained(largest, folder, also=tuple(others))
    return folder


@pytest.fixture(scope="module")
def backbones_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("backbones")


@pytest.mark.parametrize("name", _SHAPES)
def test_a_variant_is_built_and_converted(
    name: str, keras_home: Path, backbones_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(keras_home))
    built: list[Any] = []
    build = KerasWeights.network

    def cached_network(source: KerasWeights, size_px: int) -> Any:
        built.append(build(source, size_px))
        return built[-1]

    monkeypatch.setattr(KerasWeights, "network", cached_network)  # as it is, once instead of twice
    entry, file = get_backbone(name), prepare_backbone(name, backbones_dir, Silent())
    (network,) = built
    assert network.output_shape == (None, entry.features)
    assert network.count_params() == entry.info.parameters
    assert multiply_adds(network) == entry.info.multiply_adds
    assert abs(file.path.stat().st_size - entry.size_bytes) < 0.1 * entry.size_bytes + 40_000
    pixels = _noise(file)
    expected = network(entry.preprocessing.scaled(pixels)[np.newaxis]).numpy()[0]
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(LiteRTInterpreter(file.path.read_bytes())(pixels), expected, atol=1e-3)


@pytest.mark.parametrize(
    "name", [f"{name}_quantized" for name in ("mobilenet_0.25_128", "mobilenet_0.50_160")]
)
def test_a_quantized_variant_is_smaller_and_gives_nearly_the_same_features(
    name: str, keras_home: Path, backbones_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(keras_home))
    entry, file = get_backbone(name), prepare_backbone(name, backbones_dir, Silent())
    plain = prepare_backbone(name.removesuffix("_quantized"), backbones_dir, Silent())
    assert file.fingerprint != plain.fingerprint
    assert file.path.stat().st_size < 0.4 * plain.path.stat().st_size
    assert entry.size_bytes * 4 == get_backbone(plain.name).size_bytes
    interpreter = LiteRTInterpreter(file.path.read_bytes())
    scale, zero = interpreter.input_scale
    assert scale == pytest.approx(1 / 127.5, rel=0.01)  # bytes come in as they are
    assert abs(zero - 127.5) <= 1
    output, expected = interpreter(_noise(file)), LiteRTInterpreter(plain.path.read_bytes())(_noise(file))
    assert output.dtype == np.float32
    assert np.corrcoef(output, expected)[0, 1] > 0.9


def _noise(file: BackboneFile) -> np.typing.NDArray[np.uint8]:
    """Return blocks of colour."""
    size_px = file.preprocessing.width_px
    blocks = np.random.default_rng(0).integers(0, 256, (size_px // 8, size_px // 8, 3), dtype=np.uint8)
    return blocks.repeat(8, axis=0).repeat(8, axis=1)
