"""The catalogue of Keras Applications: a table per family, a row per backbone.

To add a backbone, add a row to its family's table. `tests/backbones/test_keras_catalogue.py` checks every row
against Keras, and `studio.backbones.document` lists it.
"""

from dataclasses import dataclass, replace

from studio.backbones.backbone import Backbone, BackboneInfo
from studio.backbones.keras_weights import KerasWeights
from studio.backbones.preprocessing import PerChannel, Preprocessing

BASE_URL = "https://storage.googleapis.com/tensorflow/keras-applications/"
KERAS_DOCUMENTATION = "https://keras.io/api/applications/"


@dataclass(frozen=True)
class PixelScaling:
    """A network's scaling of pixels, `(pixel - mean) / scale`, as in Keras' `preprocess_input`.

    channels_reversed: Keras passes blue, green, red. channel_factors: further factors, one per channel.
    """

    mean: PerChannel
    scale: PerChannel
    channels_reversed: bool = False
    channel_factors: tuple[float, float, float] | None = None


SIGNED = PixelScaling(127.5, 127.5)
"""From -1 to 1: mode "tf" of `imagenet_utils.preprocess_input`."""
NORMALISED = PixelScaling((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
"""ImageNet's mean and deviation: mode "torch", 255 times (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)."""
CENTRED = PixelScaling((123.68, 116.779, 103.939), 1.0, channels_reversed=True)
"""ImageNet's mean, on blue, green, red: mode "caffe"."""
INSIDE = PixelScaling(0.0, 1.0)
"""The network contains its scaling."""


@dataclass(frozen=True)
class Counts:
    """Figures counted by us on a network without its top, at its own input size; see `BackboneInfo`."""

    features: int
    parameters: int
    multiply_adds: int


def keras_backbone(
    name: str,
    size_px: int,
    weights: KerasWeights,
    counts: Counts,
    top1: float,
    *,
    scaling: PixelScaling = INSIDE,
    top1_source: str = KERAS_DOCUMENTATION,
    licence: str = "Apache-2.0",
) -> Backbone:
    """Return a backbone of Keras Applications.

    size_px: edge of its input. top1: published accuracy in percent, see `BackboneInfo`.
    """
    source = replace(
        weights, channel_factors=scaling.channel_factors, channels_reversed=scaling.channels_reversed
    )
    return Backbone(
        name,
        weights.title,
        Preprocessing(size_px, size_px, mean=scaling.mean, scale=scaling.scale),
        counts.features,
        BackboneInfo(counts.parameters, counts.multiply_adds, top1, top1_source, licence),
        source,
    )


_EFFICIENTNET_V2 = (  # variant, input size in px, counts, top-1, MD5
    ("b0", 224, Counts(1_280, 5_919_312, 716_806_176), 78.7, "893217f2bb855e2983157299931e43ff"),
    ("b1", 240, Counts(1_280, 6_931_124, 1_195_539_360), 79.8, "0e80663031ca32d657f9caa404b6ec37"),
    ("b2", 260, Counts(1_408, 8_769_374, 1_696_134_832), 80.5, "1dfe2e7a5d45b6632553a8961ea609eb"),
    ("b3", 300, Counts(1_536, 12_930_622, 3_009_922_816), 82.0, "f6abf7b5849ac99a89b50dd3fd532856"),
    ("s", 384, Counts(1_280, 20_331_360, 8_364_337_152), 83.9, "af0682fb74e8c54910f2d4393339c070"),
    ("m", 480, Counts(1_280, 53_150_388, 24_581_180_384), 85.3, "1b8dc055df72dde80d614482840fe342"),
    ("l", 480, Counts(1_280, 117_746_848, 56_078_419_008), 85.7, "b0b66b5c863aef5b46e8608fe1711615"),
)
_EFFICIENTNET = (  # the same columns
    ("b0", 224, Counts(1_280, 4_049_571, 384_534_752), 77.1, "50bc09e76180e00e4465e1a485ddc09d"),
    ("b1", 240, Counts(1_280, 6_575_239, 685_522_832), 79.1, "74c4e6b3e1f6a1eea24c589628592432"),
    ("b2", 260, Counts(1_408, 7_768_569, 992_153_872), 80.1, "111f8e2ac8aa800a7a99e3239f7bfb39"),
    ("b3", 300, Counts(1_536, 10_783_535, 1_825_605_392), 81.6, "af6d107764bb5b1abb91932881670226"),
    ("b4", 380, Counts(1_792, 17_673_823, 4_391_979_024), 82.9, "ebc24e6d6c33eaebbd558eafbeedf1ba"),
    ("b5", 456, Counts(2_048, 28_513_527, 10_264_336_752), 83.6, "38879255a25d3c92d5e44e04ae6cec6f"),
    ("b6", 528, Counts(2_304, 40_960_143, 19_065_289_536), 84.0, "9ecce42647a20130c1f39a5d4cb75743"),
    ("b7", 600, Counts(2_560, 64_097_687, 37_743_324_192), 84.3, "cbcfe4450ddf6f3ad90b1b398090fe4a"),
)
# Keras adds a layer to the network with ImageNet's weights, which multiplies by 1 / sqrt(deviation) again.
_EFFICIENTNET_SCALING = PixelScaling(0.0, 1.0, channel_factors=(0.229**-0.5, 0.224**-0.5, 0.225**-0.5))


def _efficientnet_v2(variant: str, size_px: int, counts: Counts, top1: float, md5: str) -> Backbone:
    file = f"efficientnetv2-{variant}_notop.h5"
    title = variant.upper()
    weights = KerasWeights(
        f"EfficientNetV2 {title}",
        f"EfficientNetV2{title}",
        (),
        f"{BASE_URL}efficientnet_v2/{file}",
        file,
        md5,
    )
    return keras_backbone(f"efficientnet_v2_{variant}", size_px, weights, counts, top1)


def _efficientnet(variant: str, size_px: int, counts: Counts, top1: float, md5: str) -> Backbone:
    file = f"efficientnet{variant}_notop.h5"
    title = variant.upper()
    weights = KerasWeights(
        f"EfficientNet {title}",
        f"EfficientNet{title}",
        (),
        f"https://storage.googleapis.com/keras-applications/{file}",
        file,
        md5,
    )
    return keras_backbone(
        f"efficientnet_{variant}", size_px, weights, counts, top1, scaling=_EFFICIENTNET_SCALING
    )


EFFICIENTNETS = (
    *(_efficientnet_v2(*row) for row in _EFFICIENTNET_V2),
    *(_efficientnet(*row) for row in _EFFICIENTNET),
)
# The table of the checkpoints of June 2017, whose figures are nearest to those in Keras' documentation.
_V1_SOURCE = "https://github.com/tensorflow/models/blob/a4e31b34db506e1ca0dcc5df00b71a56048f6f89/slim/nets/mobilenet_v1.md"
_V2_SOURCE = "https://github.com/tensorflow/models/tree/master/research/slim/nets/mobilenet"
_V3_SOURCE = "https://keras.io/api/applications/mobilenet/"
_V1_WIDTHS = {"1.0": "1_0", "0.75": "7_5", "0.50": "5_0", "0.25": "2_5"}
"""The width multiplier in the file name."""
_V1 = (  # width multiplier, input size in px, counts, top-1
    ("1.0", 224, Counts(1_024, 3_228_864, 567_716_352), 70.7),
    ("1.0", 192, Counts(1_024, 3_228_864, 417_097_728), 69.3),
    ("1.0", 160, Counts(1_024, 3_228_864, 289_651_200), 67.2),
    ("1.0", 128, Counts(1_024, 3_228_864, 185_376_768), 64.1),
    ("0.75", 224, Counts(768, 1_832_976, 324_632_448), 68.4),
    ("0.75", 192, Counts(768, 1_832_976, 238_505_472), 67.4),
    ("0.75", 160, Counts(768, 1_832_976, 165_628_800), 65.2),
    ("0.75", 128, Counts(768, 1_832_976, 106_002_432), 61.8),
    ("0.50", 224, Counts(512, 829_536, 148_985_088), 64.0),
    ("0.50", 192, Counts(512, 829_536, 109_458_432), 62.1),
    ("0.50", 160, Counts(512, 829_536, 76_012_800), 59.9),
    ("0.50", 128, Counts(512, 829_536, 48_648_192), 56.2),
    ("0.25", 224, Counts(256, 218_544, 40_774_272), 50.6),
    ("0.25", 192, Counts(256, 218_544, 29_956_608), 49.0),
    ("0.25", 160, Counts(256, 218_544, 20_803_200), 46.0),
    ("0.25", 128, Counts(256, 218_544, 13_314_048), 41.3),
)
_V2 = (  # the same columns
    ("1.4", 224, Counts(1_792, 4_363_712, 580_403_824), 75.0),
    ("1.3", 224, Counts(1_664, 3_766_048, 507_710_560), 74.4),
    ("1.0", 224, Counts(1_280, 2_257_984, 299_494_272), 71.8),
    ("1.0", 192, Counts(1_280, 2_257_984, 220_036_608), 70.7),
    ("1.0", 160, Counts(1_280, 2_257_984, 152_803_200), 68.8),
    ("1.0", 128, Counts(1_280, 2_257_984, 97_794_048), 65.3),
    ("1.0", 96, Counts(1_280, 2_257_984, 55_009_152), 60.3),
    ("0.75", 224, Counts(1_280, 1_382_064, 207_789_792), 69.8),
    ("0.75", 192, Counts(1_280, 1_382_064, 152_661_888), 68.7),
    ("0.75", 160, Counts(1_280, 1_382_064, 106_015_200), 66.4),
    ("0.75", 128, Counts(1_280, 1_382_064, 67_849_728), 63.2),
    ("0.75", 96, Counts(1_280, 1_382_064, 38_165_472), 58.8),
    ("0.50", 224, Counts(1_280, 706_224, 95_851_840), 65.4),
    ("0.50", 192, Counts(1_280, 706_224, 70_421_760), 63.9),
    ("0.50", 160, Counts(1_280, 706_224, 48_904_000), 61.0),
    ("0.50", 128, Counts(1_280, 706_224, 31_298_560), 57.7),
    ("0.50", 96, Counts(1_280, 706_224, 17_605_440), 51.2),
    ("0.35", 224, Counts(1_280, 410_208, 58_005_808), 60.3),
    ("0.35", 192, Counts(1_280, 410_208, 42_616_512), 58.2),
    ("0.35", 160, Counts(1_280, 410_208, 29_594_800), 55.7),
    ("0.35", 128, Counts(1_280, 410_208, 18_940_672), 50.8),
    ("0.35", 96, Counts(1_280, 410_208, 10_654_128), 45.5),
)
_V3 = (  # size, width multiplier, minimalistic, counts, top-1, MD5
    ("large", "1.0", False, Counts(960, 2_996_352, 214_080_960), 75.6, "07fb09a5933dd0c8eaafa16978110389"),
    ("large", "0.75", False, Counts(720, 1_808_736, 152_359_024), 73.3, "40af19a13ebea4e2ee0c676887f69a2e"),
    ("large", "1.0", True, Counts(960, 1_437_608, 206_627_904), 72.3, "ec5221f64a2f6d1ef965a614bdae7973"),
    ("small", "1.0", False, Counts(576, 939_120, 54_896_576), 68.1, "d3e8ec802a04aa4fc771ee12a9a9b836"),
    ("small", "0.75", False, Counts(432, 583_160, 41_932_976), 65.4, "ebdb5cc8e0b497cd13a7c275d475c819"),
    ("small", "1.0", True, Counts(576, 441_000, 50_674_624), 61.9, "cde8136e733e811080d9fcd8a252f7e4"),
)


def _v1(width: str, size_px: int, counts: Counts, top1: float) -> Backbone:
    file = f"mobilenet_{_V1_WIDTHS[width]}_{size_px}_tf_no_top.h5"
    weights = KerasWeights(
        f"MobileNet {width}, {size_px} px",
        "MobileNet",
        (("alpha", float(width)),),
        f"{BASE_URL}mobilenet/{file}",
        file,
        published_hash="",
    )
    name = f"mobilenet_{width}_{size_px}"
    return keras_backbone(name, size_px, weights, counts, top1, scaling=SIGNED, top1_source=_V1_SOURCE)


def _quantized(backbone: Backbone) -> Backbone:
    return replace(
        backbone, name=f"{backbone.name}_quantized", title=f"{backbone.title}, 8 bits", quantized=True
    )


def _v2(width: str, size_px: int, counts: Counts, top1: float) -> Backbone:
    file = f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{float(width)}_{size_px}_no_top.h5"
    weights = KerasWeights(
        f"MobileNetV2 {width}, {size_px} px",
        "MobileNetV2",
        (("alpha", float(width)),),
        f"{BASE_URL}mobilenet_v2/{file}",
        file,
        published_hash="",
    )
    name = f"mobilenet_v2_{width}_{size_px}"
    return keras_backbone(name, size_px, weights, counts, top1, scaling=SIGNED, top1_source=_V2_SOURCE)


def _v3(size: str, width: str, minimalistic: bool, counts: Counts, top1: float, md5: str) -> Backbone:
    variant = f"{size}_minimalistic" if minimalistic else size
    file = f"weights_mobilenet_v3_{variant}_224_{width}_float_no_top_v2.h5"
    weights = KerasWeights(
        f"MobileNetV3 {variant.replace('_', ', ')}" + ("" if width == "1.0" else f", {width}"),
        f"MobileNetV3{size.title()}",
        (("alpha", float(width)), ("minimalistic", minimalistic)),
        f"{BASE_URL}mobilenet_v3/{file}",
        file,
        md5,
    )
    name = f"mobilenet_v3_{variant}" + ("" if width == "1.0" else f"_{width}")
    return keras_backbone(name, 224, weights, counts, top1, top1_source=_V3_SOURCE)


_V1_BACKBONES = tuple(_v1(*row) for row in _V1)
MOBILENETS = (
    *_V1_BACKBONES,
    *(_quantized(backbone) for backbone in _V1_BACKBONES),
    *(_v2(*row) for row in _V2),
    *(_v3(*row) for row in _V3),
)
_CONVNEXT = (  # variant, counts, top-1, SHA-256
    (
        "tiny",
        Counts(768, 27_820_128, 4_454_763_264),
        81.3,
        "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
    ),
    (
        "small",
        Counts(768, 49_454_688, 8_682_944_256),
        82.3,
        "6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab",
    ),
    (
        "base",
        Counts(1_024, 87_566_464, 15_353_705_472),
        85.3,
        "40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45",
    ),
    (
        "large",
        Counts(1_536, 196_230_336, 34_359_897_600),
        86.3,
        "96f02b6f0753d4f543261bc9d09bed650f24dd6bc02ddde3066135b63d23a1cd",
    ),
    (
        "xlarge",
        Counts(2_048, 348_147_968, 60_918_982_656),
        86.7,
        "de3f8a54174130e0cecdc71583354753d557fcf1f4487331558e2a16ba0cfe05",
    ),
)


def _convnext(variant: str, counts: Counts, top1: float, sha256: str) -> Backbone:
    file = f"convnext_{variant}_notop.h5"
    title = {"xlarge": "XLarge"}.get(variant, variant.title())
    weights = KerasWeights(
        f"ConvNeXt {title}", f"ConvNeXt{title}", (), f"{BASE_URL}convnext/{file}", file, sha256
    )
    return keras_backbone(f"convnext_{variant}", 224, weights, counts, top1, licence="MIT")


def _nasnet(variant: str, size_px: int, counts: Counts, top1: float, md5: str) -> Backbone:
    title = variant.title()
    weights = KerasWeights(
        f"NASNet {title}",
        f"NASNet{title}",
        (),
        # Keras saves the file under another name than it has on the server.
        f"{BASE_URL}nasnet/NASNet-{variant}-no-top.h5",
        f"nasnet_{variant}_no_top.h5",
        md5,
    )
    return keras_backbone(f"nasnet_{variant}", size_px, weights, counts, top1, scaling=SIGNED)


def _other(
    name: str,
    constructor: str,
    size_px: int,
    scaling: PixelScaling,
    counts: Counts,
    top1: float,
    licence: str,
    md5: str,
) -> Backbone:
    is_resnet = name.startswith("resnet")
    stem = name.replace("_v2", "v2") if is_resnet else name
    folder = "resnet" if is_resnet else "densenet" if name.startswith("densenet") else name
    file = f"{stem}_weights_tf_dim_ordering_tf_kernels_notop.h5"
    weights = KerasWeights(constructor, constructor, (), f"{BASE_URL}{folder}/{file}", file, md5)
    return keras_backbone(name, size_px, weights, counts, top1, scaling=scaling, licence=licence)


_OTHERS = (  # name, constructor, input size in px, scaling, counts, top-1, licence, MD5
    (
        "inception_v3",
        "InceptionV3",
        299,
        SIGNED,
        Counts(2_048, 21_802_784, 5_711_168_096),
        77.9,
        "Apache-2.0",
        "bcbd6486424b2319ff4ef7d526e38f63",
    ),
    (
        "densenet121",
        "DenseNet121",
        224,
        NORMALISED,
        Counts(1_024, 7_037_504, 2_833_137_664),
        75.0,
        "BSD-3-Clause",
        "30ee3e1110167f948a6b9946edeeb738",
    ),
    (
        "densenet169",
        "DenseNet169",
        224,
        NORMALISED,
        Counts(1_664, 12_642_880, 3_358_179_328),
        76.2,
        "BSD-3-Clause",
        "b8c4d4c20dd625c148057b9ff1c1176b",
    ),
    (
        "densenet201",
        "DenseNet201",
        224,
        NORMALISED,
        Counts(1_920, 18_321_984, 4_289_445_888),
        77.3,
        "BSD-3-Clause",
        "c13680b51ded0fb44dff2d8f86ac8bb1",
    ),
    (
        "xception",
        "Xception",
        299,
        SIGNED,
        Counts(2_048, 20_861_480, 8_355_355_496),
        79.0,
        "MIT",
        "b0042744bf5b25fce3cb969f33bebb97",
    ),
    (
        "inception_resnet_v2",
        "InceptionResNetV2",
        299,
        SIGNED,
        Counts(1_536, 54_336_736, 13_154_258_016),
        80.3,
        "Apache-2.0",
        "d19885ff4a710c122648d3b5c3b684e4",
    ),
    (
        "resnet50",
        "ResNet50",
        224,
        CENTRED,
        Counts(2_048, 23_587_712, 3_855_925_248),
        74.9,
        "MIT",
        "4d473c1dd8becc155b73f8504c6f6626",
    ),
    (
        "resnet101",
        "ResNet101",
        224,
        CENTRED,
        Counts(2_048, 42_658_176, 7_568_146_432),
        76.4,
        "MIT",
        "88cf7a10940856eca736dc7b7e228a21",
    ),
    (
        "resnet152",
        "ResNet152",
        224,
        CENTRED,
        Counts(2_048, 58_370_944, 11_280_367_616),
        76.6,
        "MIT",
        "ee4c566cf9a93f14d82f913c2dc6dd0c",
    ),
    (
        "resnet50_v2",
        "ResNet50V2",
        224,
        SIGNED,
        Counts(2_048, 23_564_800, 3_480_207_360),
        76.0,
        "BSD-3-Clause",
        "fac2f116257151a9d068a22e544a4917",
    ),
    (
        "resnet101_v2",
        "ResNet101V2",
        224,
        SIGNED,
        Counts(2_048, 42_626_560, 7_192_428_544),
        77.2,
        "BSD-3-Clause",
        "c0ed64b8031c3730f411d2eb4eea35b5",
    ),
    (
        "resnet152_v2",
        "ResNet152V2",
        224,
        SIGNED,
        Counts(2_048, 58_331_648, 10_904_649_728),
        78.0,
        "BSD-3-Clause",
        "ed17cf2e0169df9d443503ef94b23b33",
    ),
    (
        "vgg16",
        "VGG16",
        224,
        CENTRED,
        Counts(512, 14_714_688, 15_346_630_656),
        71.3,
        "CC-BY-4.0",
        "6d6bbae143d832006294945121d1f1fc",
    ),
    (
        "vgg19",
        "VGG19",
        224,
        CENTRED,
        Counts(512, 20_024_384, 19_508_428_800),
        71.3,
        "CC-BY-4.0",
        "253f8cb515780f3b799900260a226db6",
    ),
)
OTHER_NETWORKS = (
    *(_other(*row) for row in _OTHERS[:1]),
    *(_convnext(*row) for row in _CONVNEXT),
    _nasnet("mobile", 224, Counts(1_056, 4_269_716, 562_582_816), 74.4, "1ed92395b5b598bdda52abe5c0dbfd63"),
    _nasnet(
        "large", 331, Counts(4_032, 84_916_818, 23_779_382_658), 82.5, "d81d89dc07e6e56530c4e77faddd61b5"
    ),
    *(_other(*row) for row in _OTHERS[1:]),
)
