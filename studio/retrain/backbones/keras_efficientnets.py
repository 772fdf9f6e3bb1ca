"""EfficientNet and EfficientNetV2 of Keras Applications."""

from studio.retrain.backbones.backbone import Backbone
from studio.retrain.backbones.keras_backbone import ADDRESS, Counts, Scaling, keras_backbone

_EFFICIENTNET_V2 = (  # which, size, what is counted, top-1, MD5
    ("b0", 224, Counts(1_280, 5_919_312, 716_806_176), 78.7, "893217f2bb855e2983157299931e43ff"),
    ("b1", 240, Counts(1_280, 6_931_124, 1_195_539_360), 79.8, "0e80663031ca32d657f9caa404b6ec37"),
    ("b2", 260, Counts(1_408, 8_769_374, 1_696_134_832), 80.5, "1dfe2e7a5d45b6632553a8961ea609eb"),
    ("b3", 300, Counts(1_536, 12_930_622, 3_009_922_816), 82.0, "f6abf7b5849ac99a89b50dd3fd532856"),
    ("s", 384, Counts(1_280, 20_331_360, 8_364_337_152), 83.9, "af0682fb74e8c54910f2d4393339c070"),
    ("m", 480, Counts(1_280, 53_150_388, 24_581_180_384), 85.3, "1b8dc055df72dde80d614482840fe342"),
    ("l", 480, Counts(1_280, 117_746_848, 56_078_419_008), 85.7, "b0b66b5c863aef5b46e8608fe1711615"),
)

_EFFICIENTNET = (  # the same
    ("b0", 224, Counts(1_280, 4_049_571, 384_534_752), 77.1, "50bc09e76180e00e4465e1a485ddc09d"),
    ("b1", 240, Counts(1_280, 6_575_239, 685_522_832), 79.1, "74c4e6b3e1f6a1eea24c589628592432"),
    ("b2", 260, Counts(1_408, 7_768_569, 992_153_872), 80.1, "111f8e2ac8aa800a7a99e3239f7bfb39"),
    ("b3", 300, Counts(1_536, 10_783_535, 1_825_605_392), 81.6, "af6d107764bb5b1abb91932881670226"),
    ("b4", 380, Counts(1_792, 17_673_823, 4_391_979_024), 82.9, "ebc24e6d6c33eaebbd558eafbeedf1ba"),
    ("b5", 456, Counts(2_048, 28_513_527, 10_264_336_752), 83.6, "38879255a25d3c92d5e44e04ae6cec6f"),
    ("b6", 528, Counts(2_304, 40_960_143, 19_065_289_536), 84.0, "9ecce42647a20130c1f39a5d4cb75743"),
    ("b7", 600, Counts(2_560, 64_097_687, 37_743_324_192), 84.3, "cbcfe4450ddf6f3ad90b1b398090fe4a"),
)

# With ImageNet's weights Keras multiplies by 1/sqrt(deviation) once more, in a layer that it adds for them.
_EFFICIENTNET_SCALING = Scaling(0.0, 1.0, channel_factors=(0.229**-0.5, 0.224**-0.5, 0.225**-0.5))


def _efficientnet_v2(which: str, size_px: int, counts: Counts, top1: float, md5: str) -> Backbone:
    file = f"efficientnetv2-{which}_notop.h5"
    return keras_backbone(
        f"efficientnet_v2_{which}",
        f"EfficientNetV2 {which.upper()}",
        f"EfficientNetV2{which.upper()}",
        size_px=size_px,
        counts=counts,
        top1=top1,
        address=f"{ADDRESS}efficientnet_v2/{file}",
        file=file,
        published_hash=md5,
    )


def _efficientnet(which: str, size_px: int, counts: Counts, top1: float, md5: str) -> Backbone:
    file = f"efficientnet{which}_notop.h5"
    return keras_backbone(
        f"efficientnet_{which}",
        f"EfficientNet {which.upper()}",
        f"EfficientNet{which.upper()}",
        size_px=size_px,
        counts=counts,
        top1=top1,
        address=f"https://storage.googleapis.com/keras-applications/{file}",
        file=file,
        published_hash=md5,
        scaling=_EFFICIENTNET_SCALING,
    )


EFFICIENTNETS = (
    *(_efficientnet_v2(*row) for row in _EFFICIENTNET_V2),
    *(_efficientnet(*row) for row in _EFFICIENTNET),
)
