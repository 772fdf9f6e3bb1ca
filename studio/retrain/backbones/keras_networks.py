"""What Keras Applications has besides the MobileNets and the EfficientNets."""

from studio.retrain.backbones.backbone import Backbone
from studio.retrain.backbones.keras_backbone import (
    ADDRESS,
    CENTRED,
    NORMALISED,
    SIGNED,
    Counts,
    Scaling,
    keras_backbone,
)

_KERNELS = "_weights_tf_dim_ordering_tf_kernels_notop.h5"

_CONVNEXT = (  # which, what is counted, top-1, SHA-256
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


def _convnext(which: str, counts: Counts, top1: float, sha256: str) -> Backbone:
    file = f"convnext_{which}_notop.h5"
    title = {"xlarge": "XLarge"}.get(which, which.title())
    return keras_backbone(
        f"convnext_{which}",
        f"ConvNeXt {title}",
        f"ConvNeXt{title}",
        size_px=224,
        counts=counts,
        top1=top1,
        address=f"{ADDRESS}convnext/{file}",
        file=file,
        published_hash=sha256,
        licence="MIT",
    )


def _nasnet(which: str, size_px: int, counts: Counts, top1: float, md5: str) -> Backbone:
    return keras_backbone(
        f"nasnet_{which}",
        f"NASNet {which.title()}",
        f"NASNet{which.title()}",
        size_px=size_px,
        counts=counts,
        top1=top1,
        # Under another name there than where Keras keeps it.
        address=f"{ADDRESS}nasnet/NASNet-{which}-no-top.h5",
        file=f"nasnet_{which}_no_top.h5",
        published_hash=md5,
        scaling=SIGNED,
    )


def _other(
    name: str,
    title: str,
    stem: str,
    size_px: int,
    scaling: Scaling,
    counts: Counts,
    top1: float,
    licence: str,
    md5: str,
) -> Backbone:
    file = f"{stem}{_KERNELS}"
    folder = stem.rstrip("0123456789") if stem.startswith("densenet") else stem
    return keras_backbone(
        name,
        title,
        title,
        size_px=size_px,
        counts=counts,
        top1=top1,
        address=f"{ADDRESS}{'resnet' if stem.startswith('resnet') else folder}/{file}",
        file=file,
        published_hash=md5,
        scaling=scaling,
        licence=licence,
    )


_OTHERS = (  # name, constructor, stem of the file, size, scaling, what is counted, top-1, licence, MD5
    (
        "inception_v3",
        "InceptionV3",
        "inception_v3",
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
        "densenet121",
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
        "densenet169",
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
        "densenet201",
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
        "xception",
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
        "inception_resnet_v2",
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
        "resnet50",
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
        "resnet101",
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
        "resnet152",
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
        "resnet50v2",
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
        "resnet101v2",
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
        "resnet152v2",
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
        "vgg16",
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
        "vgg19",
        224,
        CENTRED,
        Counts(512, 20_024_384, 19_508_428_800),
        71.3,
        "CC-BY-4.0",
        "253f8cb515780f3b799900260a226db6",
    ),
)

NETWORKS = (
    *(_other(*row) for row in _OTHERS[:1]),
    *(_convnext(*row) for row in _CONVNEXT),
    _nasnet("mobile", 224, Counts(1_056, 4_269_716, 562_582_816), 74.4, "1ed92395b5b598bdda52abe5c0dbfd63"),
    _nasnet(
        "large", 331, Counts(4_032, 84_916_818, 23_779_382_658), 82.5, "d81d89dc07e6e56530c4e77faddd61b5"
    ),
    *(_other(*row) for row in _OTHERS[1:]),
)
