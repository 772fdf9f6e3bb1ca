"""The README of an export: how it is used, what goes in, and how near it is to the run's own model."""

from pathlib import Path
from string import Template

from studio.language import _, counted
from studio.predict.sureness import SURENESS
from studio.retrain.preprocessing import Preprocessing
from studio.retrain.run_folder import ATTRIBUTION_TABLE
from studio.share.exports.form import Format
from studio.share.exports.markdown import escaped, table
from studio.share.exports.model_card import CARD
from studio.share.exports.parity import PARITY, Parity

README = "README.md"
_POINTS = 100


def readme(
    form: Format,
    name: str,
    labels: tuple[str, ...],
    preprocessing: Preprocessing,
    parity: Parity,
    output_dir: Path,
) -> str:
    """Return the README in Markdown. output_dir: with all else in it already."""
    values = {
        "name": name,
        "height_px": preprocessing.height_px,
        "width_px": preprocessing.width_px,
        "classes": len(labels),
        "first_label": labels[0],
    }
    parts = [
        f"# {escaped(name)}: {form.title}",
        f"{form.what_for} "
        + _("It tells {classes} apart: {labels}.").format(
            classes=counted("{count} class", "{count} classes", len(labels)),
            labels=", ".join(escaped(label) for label in labels),
        ),
        f"## {_('How to use it')}",
        Template(form.usage).safe_substitute(values).strip(),
        f"## {_('What goes in')}",
        _(
            "The whole picture, turned upright by its EXIF orientation, red, green and blue, resized to "
            "{width} x {height} pixels without keeping its proportions, bilinear over all pixels that fall "
            "into one (Pillow's `BILINEAR`). Other ways to resize, above all those that look at four pixels "
            "only, change the answers a little."
        ).format(width=preprocessing.width_px, height=preprocessing.height_px),
        f"## {_('How near it is to the model it was made from')}",
        *_measured(parity),
        f"## {_('What else is here')}",
        "\n".join(f"- `{file}`: {what}" for file, what in _files() if (output_dir / file).is_file()),
    ]
    return "\n\n".join(parts) + "\n"


def _measured(parity: Parity) -> list[str]:
    if parity.agreement is None:
        return [
            _("This was not measured: it can be asked in its own place only, or no test picture is left.")
        ]
    figures = [
        (_("names the same class first"), f"{parity.agreement:.1%}"),
        (_("largest difference of a probability"), f"{parity.largest_difference:.2g}"),
        (_("accuracy before"), f"{parity.accuracy_before:.1%}"),
        (_("accuracy after"), f"{parity.accuracy_after:.1%}"),
        (_("milliseconds a picture before"), f"{parity.ms_before:.1f}"),
        (_("milliseconds a picture after"), f"{parity.ms:.1f}"),
        (_("megabytes"), f"{parity.size_bytes / 1e6:.1f}"),
    ]
    said = [
        _("Measured on {pictures} that the model was not trained on, one at a time on one machine:").format(
            pictures=counted("{count} test picture", "{count} test pictures", parity.n)
        ),
        table((_("figure"), _("value")), figures),
    ]
    if parity.loses_much and parity.lost is not None:
        lost = _(
            "**It loses {points} points of accuracy.** Choose a form with larger numbers if that matters."
        )
        said.append(lost.format(points=f"{parity.lost * _POINTS:.1f}"))
    return said


def _files() -> list[tuple[str, str]]:
    return [
        (CARD, _("what the model was made of, how good it is, and its limits.")),
        (ATTRIBUTION_TABLE, _("the pictures it was trained on, with authors and licences as far as known.")),
        ("ATTRIBUTION.txt", _("the same as a text to put beside what is made of the model.")),
        (SURENESS, _("when to say “not sure”.")),
        (PARITY, _("the figures above, for programs.")),
    ]
