import json
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageFilter

from studio.retrain.preprocessing import Preprocessing


def test_comes_back_from_json() -> None:
    preprocessing = Preprocessing(240, 120, mean=1.5)
    assert Preprocessing.from_json(json.loads(json.dumps(preprocessing.to_json()))) == preprocessing


def test_fingerprint_never_moves() -> None:
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
    picture = Image.fromarray(noise).resize((2000, 1500)).filter(ImageFilter.GaussianBlur(8))
    file = BytesIO()
    picture.save(file, "JPEG", quality=95)
    preprocessing = Preprocessing(224, 224)
    small = preprocessing.read(file.getvalue(), "x.jpg").astype(int)
    whole = preprocessing.pixels(Image.open(file).convert("RGB")).astype(int)
    assert np.abs(small - whole).max() <= 4


def test_refuses_what_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="lanczos"):
        Preprocessing(224, 224, resize="lanczos")
