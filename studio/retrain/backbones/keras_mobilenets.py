"""MobileNet 1 to 3 of Keras Applications, in all widths and sizes that there are weights for."""

from dataclasses import replace

from studio.retrain.backbones.backbone import Backbone
from studio.retrain.backbones.keras_backbone import ADDRESS, SIGNED, Counts, keras_backbone

# The checkpoints of June 2017, to which Keras' documentation of its weights is nearest.
_V1_SOURCE = "https://github.com/tensorflow/models/blob/a4e31b34db506e1ca0dcc5df00b71a56048f6f89/slim/nets/mobilenet_v1.md"
_V2_SOURCE = "https://github.com/tensorflow/models/tree/master/research/slim/nets/mobilenet"
_V3_SOURCE = "https://keras.io/api/applications/mobilenet/"

_V1_WIDTHS = {"1.0": "1_0", "0.75": "7_5", "0.50": "5_0", "0.25": "2_5"}
"""A width as it stands in the name of its file."""

_V1 = (  # width, size, what is counted, top-1
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

_V2 = (  # the same
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

_V3 = (  # size, width, minimalistic, what is counted, top-1, MD5
    ("large", "1.0", False, Counts(960, 2_996_352, 214_080_960), 75.6, "07fb09a5933dd0c8eaafa16978110389"),
    ("large", "0.75", False, Counts(720, 1_808_736, 152_359_024), 73.3, "40af19a13ebea4e2ee0c676887f69a2e"),
    ("large", "1.0", True, Counts(960, 1_437_608, 206_627_904), 72.3, "ec5221f64a2f6d1ef965a614bdae7973"),
    ("small", "1.0", False, Counts(576, 939_120, 54_896_576), 68.1, "d3e8ec802a04aa4fc771ee12a9a9b836"),
    ("small", "0.75", False, Counts(432, 583_160, 41_932_976), 65.4, "ebdb5cc8e0b497cd13a7c275d475c819"),
    ("small", "1.0", True, Counts(576, 441_000, 50_674_624), 61.9, "cde8136e733e811080d9fcd8a252f7e4"),
)


def _v1(width: str, size_px: int, counts: Counts, top1: float) -> Backbone:
    file = f"mobilenet_{_V1_WIDTHS[width]}_{size_px}_tf_no_top.h5"
    return keras_backbone(
        f"mobilenet_{width}_{size_px}",
        f"MobileNet {width}, {size_px} px",
        "MobileNet",
        arguments={"alpha": float(width)},
        size_px=size_px,
        counts=counts,
        top1=top1,
        address=f"{ADDRESS}mobilenet/{file}",
        file=file,
        published_hash="",
        scaling=SIGNED,
        top1_source=_V1_SOURCE,
    )


def _quantized(backbone: Backbone) -> Backbone:
    return replace(
        backbone, name=f"{backbone.name}_quantized", title=f"{backbone.title}, 8 bits", quantized=True
    )


def _v2(width: str, size_px: int, counts: Counts, top1: float) -> Backbone:
    file = f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{float(width)}_{size_px}_no_top.h5"
    return keras_backbone(
        f"mobilenet_v2_{width}_{size_px}",
        f"MobileNetV2 {width}, {size_px} px",
        "MobileNetV2",
        arguments={"alpha": float(width)},
        size_px=size_px,
        counts=counts,
        top1=top1,
        address=f"{ADDRESS}mobilenet_v2/{file}",
        file=file,
        published_hash="",
        scaling=SIGNED,
        top1_source=_V2_SOURCE,
    )


def _v3(size: str, width: str, minimalistic: bool, counts: Counts, top1: float, md5: str) -> Backbone:
    kind = f"{size}_minimalistic" if minimalistic else size
    file = f"weights_mobilenet_v3_{kind}_224_{width}_float_no_top_v2.h5"
    return keras_backbone(
        f"mobilenet_v3_{kind}" + ("" if width == "1.0" else f"_{width}"),
        f"MobileNetV3 {kind.replace('_', ', ')}" + ("" if width == "1.0" else f", {width}"),
        f"MobileNetV3{size.title()}",
        arguments={"alpha": float(width), "minimalistic": minimalistic},
        size_px=224,
        counts=counts,
        top1=top1,
        address=f"{ADDRESS}mobilenet_v3/{file}",
        file=file,
        published_hash=md5,
        top1_source=_V3_SOURCE,
    )


_V1_BACKBONES = tuple(_v1(*row) for row in _V1)

MOBILENETS = (
    *_V1_BACKBONES,
    *(_quantized(backbone) for backbone in _V1_BACKBONES),
    *(_v2(*row) for row in _V2),
    *(_v3(*row) for row in _V3),
)
