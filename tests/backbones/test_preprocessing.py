import json
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageFilter

from studio.backbones.preprocessing import PerChannel, Preprocessing


def test_json_round_trip() -> None:
    preprocessing = Preprocessing(240, 120, mean=1.5)
    assert Preprocessing.from_json(json.loads(json.dumps(preprocessing.to_json()))) == preprocessing
    each = Preprocessing(24, 24, mean=(1.5, 2.0, 3.0), scale=1.0)
    assert Preprocessing.from_json(json.loads(json.dumps(each.to_json()))) == each


@pytest.mark.parametrize(
    ("mean", "scale"),
    [
        (127.0, 128.0),
        (0.0, 1.0),
        ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
        ((9.0, 8.0, 7.0), 2.0),
    ],
)
def test_the_scaling_layer_equals_scaled(mean: PerChannel, scale: PerChannel) -> None:
    preprocessing = Preprocessing(4, 3, mean=mean, scale=scale)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 3), dtype=np.uint8)
    expected = (pixels - np.array(mean)) / np.array(scale)
    np.testing.assert_allclose(preprocessing.scaled(pixels), expected, atol=1e-5)
    np.testing.assert_allclose(np.asarray(preprocessing.scaling_layer()(pixels)), expected, atol=1e-4)


def test_the_fingerprint_is_stable() -> None:
    # Caches on people's disks are named so.
    assert Preprocessing(224, 224).fingerprint == "b7cd874486129d42"
    assert Preprocessing(224, 224, mean=128.0).fingerprint != Preprocessing(224, 224).fingerprint


def test_pixels_are_height_by_width() -> None:
    pixels = Preprocessing(20, 10).pixels(Image.new("RGB", (99, 77), (1, 2, 3)))
    assert pixels.shape == (10, 20, 3)
    assert pixels.dtype == np.uint8
    assert (pixels == (1, 2, 3)).all()


def test_a_large_jpeg_decoded_small_gives_nearly_the_same_pixels() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((2000, 1500)).filter(ImageFilter.GaussianBlur(8))
    file = BytesIO()
    image.save(file, "JPEG", quality=95)
    preprocessing = Preprocessing(224, 224)
    small = preprocessing.read(file.getvalue(), "x.jpg").astype(int)
    whole = preprocessing.pixels(Image.open(file).convert("RGB")).astype(int)
    assert np.abs(small - whole).max() <= 4


def test_unknown_settings_are_an_error() -> None:
    with pytest.raises(ValueError, match="lanczos"):
        Preprocessing(224, 224, resize="lanczos")
