"""The README of an export: how it is used, what goes in, and how near it is to the run's own model."""

import csv
import json
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from string import Template
from typing import Any

from studio import __version__
from studio.backbones import backbone_named
from studio.backbones.preprocessing import Preprocessing
from studio.collect.sample_data import Credit, parse_credits
from studio.csv_cells import csv_cell
from studio.datasets.splits import SPLITS
from studio.files import atomic_text
from studio.i18n import _, counted
from studio.images.attribution import COLUMNS
from studio.images.provenance import OWN
from studio.retrain.confidence import SURENESS, Confidence
from studio.retrain.evaluation.evaluation import Evaluation
from studio.retrain.run_folder import (
    ATTRIBUTION_TABLE,
    ATTRIBUTION_TEXT,
    LABELS,
    altered,
    labels_text,
    read_labels,
    read_model_json,
)
from studio.retrain.snapshot import FEW, Example, Snapshot
from studio.share.exports.format import Format
from studio.share.exports.parity import PARITY, Parity

_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~$&!])")


def escaped(text: str) -> str:
    """Return a text on one line so that Markdown shows it letter by letter."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; all columns but the first are numbers. The cells are Markdown already."""
    rule = ["---", *["---:"] * (len(heads) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (heads, rule, *rows))


_CREDITS = "LICENSE.txt"
"""Of the codelab's photographs, beside their class folders."""
_MOST_CREDITS_BYTES = 8_000_000


def write_provenance(run_dir: Path, output_dir: Path, snapshot: Snapshot) -> None:
    """Write `ATTRIBUTION.csv`, and `ATTRIBUTION.txt` where the run has one.

    Of a run on a folder it has a line an image too, with the author where a `LICENSE.txt` as the codelab's
    stands beside the class folders, and otherwise with nothing in it: nobody has written down more.
    """
    if (run_dir / ATTRIBUTION_TEXT).is_file():
        shutil.copyfile(run_dir / ATTRIBUTION_TEXT, output_dir / ATTRIBUTION_TEXT)
    if (run_dir / ATTRIBUTION_TABLE).is_file():
        shutil.copyfile(run_dir / ATTRIBUTION_TABLE, output_dir / ATTRIBUTION_TABLE)
        return
    credits = _credits(snapshot)
    with atomic_text(output_dir / ATTRIBUTION_TABLE) as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        for example in snapshot.examples:
            credit = credits.get(f"{example.path.parent.name}/{example.path.name}", Credit("", ""))
            row = {
                "sha256": example.sha256,
                "name": example.path.name,
                "class": example.label,
                "creator": credit.creator,
                "page_address": credit.page_address,
                "kind": "folder",
            }
            writer.writerow({name: csv_cell(value) for name, value in row.items()})


def _credits(snapshot: Snapshot) -> dict[str, Credit]:
    found: dict[str, Credit] = {}
    for folder in sorted({_root(example) for example in snapshot.examples}):
        path = folder / _CREDITS
        if path.is_file() and path.stat().st_size <= _MOST_CREDITS_BYTES:
            found |= parse_credits(path.read_text(encoding="utf-8", errors="replace"))
    return found


def _root(example: Example) -> Path:
    return example.path.parent.parent


def licences(output_dir: Path) -> Counter[str]:
    """Return how many images are under which licence, by the table that `write_provenance` wrote.

    An image that was found in several places counts once, by the first that states a licence.
    """
    found: dict[str, str] = {}
    with (output_dir / ATTRIBUTION_TABLE).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            own = _("Own work") if row["kind"] in OWN else ""
            found[row["sha256"]] = found.get(row["sha256"]) or row["licence"] or own
    return Counter(licence or _("Not written down") for licence in found.values())


def authors(output_dir: Path) -> int:
    """Return how many authors the table names."""
    with (output_dir / ATTRIBUTION_TABLE).open(encoding="utf-8", newline="") as file:
        return len({row["creator"] for row in csv.DictReader(file)} - {""})


CARD = "MODEL_CARD.md"
_MOST_LICENCES = 20
_FEW_TESTED = 100


def model_card(run_dir: Path, output_dir: Path, name: str, snapshot: Snapshot) -> str:
    """Return a run's card in Markdown. output_dir: where its provenance are already. Raises ModelUnreadable."""
    card = read_model_json(run_dir)
    try:
        evaluation = Evaluation.from_json(card["evaluation"])
        backbone = backbone_named(card["backbone"]["name"])
        parts = [
            _head(name, card),
            _about(name, backbone.title, backbone.facts.licence, card, snapshot),
            _data(output_dir, snapshot),
            _figures(evaluation, snapshot),
            _sureness(run_dir),
            _limits(evaluation, snapshot, card),
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise altered(run_dir / "model.json", error) from error
    return "\n\n".join(filter(None, parts)) + "\n"


def _head(name: str, card: dict[str, Any]) -> str:
    lines = ["---", "pipeline_tag: image-classification", "tags:", "- image-classification"]
    return "\n".join([*lines, f"model_name: {json.dumps(name, ensure_ascii=False)}", "---"])


def _about(name: str, network: str, licence: str, card: dict[str, Any], snapshot: Snapshot) -> str:
    tuned = card.get("facts", {}).get("fine_tuning")
    trained = _("the last blocks and a new top") if tuned else _("a new top")
    size = card["preprocessing"]
    return f"# {escaped(name)}\n\n" + _(
        "Says which of {classes} an image shows. {network} ({licence}), pretrained on ImageNet, with "
        "{trained} trained on {images}, by Retrain Studio {version}. It sees the whole image, squeezed "
        "to {width} x {height} pixels."
    ).format(
        classes=counted("{count} class", "{count} classes", len(snapshot.classes)),
        network=network,
        licence=licence,
        trained=trained,
        images=counted("{count} image", "{count} images", len(snapshot.of_split("training"))),
        version=__version__,
        width=size["width_px"],
        height=size["height_px"],
    )


def _data(output_dir: Path, snapshot: Snapshot) -> str:
    counts = Counter((example.label, example.split) for example in snapshot.examples)
    heads = (_("class"), _("training"), _("validation"), _("testing"))
    rows = [
        (escaped(label), *(f"{counts[label, split]:,}" for split in SPLITS)) for label in snapshot.classes
    ]
    found = licences(output_dir).most_common()
    lines = [f"- {escaped(licence)}: {count:,}" for licence, count in found[:_MOST_LICENCES]]
    if more := sum(count for _licence, count in found[_MOST_LICENCES:]):
        lines.append(f"- {_('Others')}: {more:,}")
    named = counted("{count} author is named", "{count} authors are named", authors(output_dir))
    return "\n\n".join(
        (
            f"## {_('Data')}",
            _("Snapshot `{hash}`. A hash deals the images out, near copies on the same side.").format(
                hash=snapshot.hash[:16]
            ),
            table(heads, rows),
            f"### {_('Licences and authors of the images')}",
            "\n".join(lines),
            _("{named}; each image with its author, licence and address: `{file}`.").format(
                named=named, file=ATTRIBUTION_TABLE
            ),
        )
    )


def _figures(evaluation: Evaluation, snapshot: Snapshot) -> str:
    title = f"## {_('How good it is')}"
    if evaluation.accuracy is None or evaluation.interval is None:
        return f"{title}\n\n" + _("No image was left for testing: nobody knows.")
    low, high = evaluation.interval
    said = _("{accuracy} of {count} test images, which it had never seen, are named rightly").format(
        accuracy=f"**{evaluation.accuracy:.1%}**", count=f"{evaluation.n:,}"
    )
    said += " " + _("(95% of it: {low} to {high}).").format(low=f"{low:.1%}", high=f"{high:.1%}")
    without = evaluation.without_copies
    if without is not None and without.accuracy is not None and without.n < evaluation.n:
        said += " " + _("Without near copies of training images: {accuracy} of {count}.").format(
            accuracy=f"{without.accuracy:.1%}", count=f"{without.n:,}"
        )
    heads = (_("class"), _("precision"), _("recall"), "F1", _("test images"))
    rows = [
        (escaped(s.label), _share(s.precision), _share(s.recall), _share(s.f1), f"{s.count:,}")
        for s in evaluation.scores
    ]
    return f"{title}\n\n{said}\n\n{table(heads, rows)}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"  # noqa: RUF001 - there is none


def _sureness(run_dir: Path) -> str:
    found = Confidence.read(run_dir)
    if found is None:
        return ""
    said = _(
        "Below a probability of {least} it should say “not sure”. Probabilities are to be raised to the "
        "power of 1/{temperature} and divided by their sum first. Both were chosen on the validation "
        "images and stand in `{file}`."
    ).format(least=f"{found.least_probability:.2f}", temperature=f"{found.temperature:.3f}", file=SURENESS)
    costs = found.costs
    if costs is not None and costs.accuracy is not None:
        said += " " + _(
            "Of {images} it then answered {answered}, {accuracy} of them rightly, and held back {right} "
            "right answers and {wrong} wrong ones."
        ).format(
            images=counted("{count} validation image", "{count} validation images", costs.images),
            answered=f"{costs.answered:,}",
            accuracy=f"{costs.accuracy:.1%}",
            right=f"{costs.both.right:,}",
            wrong=f"{costs.both.wrong:,}",
        )
    return f"## {_('When it is not sure')}\n\n{said}"


def _limits(evaluation: Evaluation, snapshot: Snapshot, card: dict[str, Any]) -> str:
    counts = Counter(example.label for example in snapshot.examples)
    few = [label for label in snapshot.classes if counts[label] < FEW]
    lines = [
        _("It knows these classes and no others: an image of anything else gets one of their names."),
        _(
            "It is as good as the images were alike: other cameras, light, countries or ages may bring it "
            "lower figures than those above."
        ),
        _("The pretrained network has seen ImageNet, and what is lopsided there may be lopsided here."),
        _("Nobody has tested it for decisions about people, health or safety: it is not for them."),
    ]
    if few:
        lines.insert(
            1,
            _("Fewer than {few} images: {classes}. What it says of them is a guess.").format(
                few=FEW, classes=_listed(few)
            ),
        )
    if evaluation.n < _FEW_TESTED:
        lines.append(_("Measured on few images: see the interval above."))
    lines += [escaped(warning) for warning in card.get("warnings", ())]
    return f"## {_('Limits')}\n\n" + "\n".join(f"- {line}" for line in lines)


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(escaped(label) for label in labels)


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
            "The whole image, turned upright by its EXIF orientation, red, green and blue, resized to "
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
        return [_("This was not measured: it can be asked in its own place only, or no test image is left.")]
    figures = [
        (_("names the same class first"), f"{parity.agreement:.1%}"),
        (_("largest difference of a probability"), f"{parity.largest_difference:.2g}"),
        (_("accuracy before"), f"{parity.accuracy_before:.1%}"),
        (_("accuracy after"), f"{parity.accuracy_after:.1%}"),
        (_("milliseconds an image before"), f"{parity.ms_before:.1f}"),
        (_("milliseconds an image after"), f"{parity.ms:.1f}"),
        (_("megabytes"), f"{parity.size_bytes / 1e6:.1f}"),
    ]
    said = [
        _("Measured on {images} that the model was not trained on, one at a time on one machine:").format(
            images=counted("{count} test image", "{count} test images", parity.n)
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
        (ATTRIBUTION_TABLE, _("the images it was trained on, with authors and licences as far as known.")),
        ("ATTRIBUTION.txt", _("the same as a text to put beside what is made of the model.")),
        (SURENESS, _("when to say “not sure”.")),
        (PARITY, _("the figures above, for programs.")),
    ]


def write_labels(run_dir: Path, output_dir: Path, name: str = LABELS, *, numbered: bool = False) -> None:
    """Write a run's labels. numbered: each with its number before it, `0 daisy`. Raises ModelUnreadable."""
    labels = read_labels(run_dir, read_model_json(run_dir))
    if numbered:
        labels = tuple(f"{number} {label}" for number, label in enumerate(labels))
    (output_dir / name).write_text(labels_text(labels), encoding="utf-8", newline="\n")
