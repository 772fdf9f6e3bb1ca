"""Documents of an export: README, model card, attribution of the training images, labels file."""

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
from studio.backbones import get_backbone
from studio.collect.flower_credits import Credit, parse_credits
from studio.csv_cells import csv_cell
from studio.datasets.splits import SPLITS
from studio.files import atomic_text
from studio.i18n import _, counted
from studio.images.attribution import COLUMNS
from studio.images.provenance import OWN_WORK_KINDS
from studio.predict.model import Model
from studio.retrain.confidence import CONFIDENCE_FILE, Confidence
from studio.retrain.evaluation.evaluation import Evaluation
from studio.retrain.run_folder import (
    ATTRIBUTION_TABLE,
    ATTRIBUTION_TEXT,
    LABELS_FILE,
    altered_file_error,
    format_labels,
    read_labels,
    read_model_json,
)
from studio.retrain.snapshot import RECOMMENDED_CLASS_SIZE, Example, Snapshot
from studio.share.exports.export_format import ExportFormat
from studio.share.exports.parity import PARITY_FILE, Parity

README, MODEL_CARD = "README.md", "MODEL_CARD.md"
_MARKDOWN_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~$&!])")
_PERCENTAGE_POINTS = 100
_MAX_LICENCES = 20
_MIN_TEST_IMAGES = 100
"""With fewer test images the card warns of a wide interval."""
_CREDITS_FILE = "LICENSE.txt"
"""The credits of the codelab's photographs, beside their class folders."""
_MAX_CREDITS_BYTES = 8_000_000


# README


def readme(export_format: ExportFormat, name: str, model: Model, parity: Parity, output_dir: Path) -> str:
    """Return the README in Markdown. name: the model's. output_dir: holds all other files already."""
    labels, size = model.labels, model.preprocessing
    values = {
        "name": name,
        "height_px": size.height_px,
        "width_px": size.width_px,
        "classes": len(labels),
        "first_label": labels[0],
    }
    parts = [
        f"# {escape_markdown(name)}: {export_format.title}",
        f"{export_format.purpose} "
        + _("The model has {classes}: {labels}.").format(
            classes=counted("{count} class", "{count} classes", len(labels)), labels=_join_labels(labels)
        ),
        f"## {_('How to use it')}",
        Template(export_format.usage).safe_substitute(values).strip(),
        f"## {_('Input')}",
        _(
            "The whole image, rotated by its EXIF orientation, in RGB, resized to {width} x {height} pixels "
            "without keeping its aspect ratio, with an antialiased bilinear filter (Pillow's `BILINEAR`). "
            "Other resizing methods, above all those that read only four pixels, change the predictions a "
            "little."
        ).format(width=size.width_px, height=size.height_px),
        f"## {_('Parity with the original model')}",
        *_parity_section(parity),
        f"## {_('Other files')}",
        "\n".join(
            f"- `{file}`: {content}" for file, content in _other_files() if (output_dir / file).is_file()
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _parity_section(parity: Parity) -> list[str]:
    if parity.agreement is None:
        return [
            _(
                "Parity was not measured: no test image is available, or this format runs only where it is "
                "deployed."
            )
        ]
    figures = [
        (_("same class first"), f"{parity.agreement:.1%}"),
        (_("largest difference of a probability"), f"{parity.largest_difference:.2g}"),
        (_("accuracy before"), f"{parity.accuracy_before:.1%}"),
        (_("accuracy after"), f"{parity.accuracy_after:.1%}"),
        (_("milliseconds an image before"), f"{parity.ms_before:.1f}"),
        (_("milliseconds an image after"), f"{parity.ms:.1f}"),
        (_("megabytes"), f"{parity.size_bytes / 1e6:.1f}"),
    ]
    paragraphs = [
        _("Measured on {images}, one at a time on one machine, before and after the export:").format(
            images=counted("{count} test image", "{count} test images", parity.n)
        ),
        markdown_table((_("figure"), _("value")), figures),
    ]
    if parity.loses_accuracy and parity.accuracy_loss is not None:
        paragraphs.append(
            _(
                "**This export loses {points} percentage points of accuracy.** Choose a format with a "
                "higher precision if that matters."
            ).format(points=f"{parity.accuracy_loss * _PERCENTAGE_POINTS:.1f}")
        )
    return paragraphs


def _other_files() -> list[tuple[str, str]]:
    return [
        (MODEL_CARD, _("the training data, the evaluation and the limits of the model.")),
        (ATTRIBUTION_TABLE, _("the training images, with authors and licences as far as known.")),
        (ATTRIBUTION_TEXT, _("the same as text, to publish with the model.")),
        (CONFIDENCE_FILE, _("the thresholds for abstention (“not sure”) and the temperature.")),
        (PARITY_FILE, _("the figures above as JSON.")),
    ]


# Model card


def model_card(run_dir: Path, output_dir: Path, name: str, snapshot: Snapshot) -> str:
    """Return a run's model card in Markdown.

    output_dir: where `write_attribution` has written. Raises ModelUnreadable.
    """
    card = read_model_json(run_dir)
    try:
        evaluation = Evaluation.from_json(card["evaluation"])
        parts = [
            _card_metadata(name),
            _card_summary(name, card, snapshot),
            _card_data(output_dir, snapshot),
            _card_evaluation(evaluation),
            _card_confidence(run_dir),
            _card_limits(evaluation, snapshot, card.get("warnings", ())),
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise altered_file_error(run_dir / "model.json", error) from error
    return "\n\n".join(filter(None, parts)) + "\n"


def _card_metadata(name: str) -> str:
    """Return the YAML header that the Hugging Face Hub reads."""
    lines = ["---", "pipeline_tag: image-classification", "tags:", "- image-classification"]
    return "\n".join([*lines, f"model_name: {json.dumps(name, ensure_ascii=False)}", "---"])


def _card_summary(name: str, card: dict[str, Any], snapshot: Snapshot) -> str:
    backbone = get_backbone(card["backbone"]["name"])
    fine_tuned = card.get("facts", {}).get("fine_tuning")
    trained = _("the last blocks and a new head") if fine_tuned else _("a new head")
    size = card["preprocessing"]
    return f"# {escape_markdown(name)}\n\n" + _(
        "Classifies an image as one of {classes}. Backbone: {backbone} ({licence}), pretrained on ImageNet, "
        "with {trained} trained on {images} by Retrain Studio {version}. Input: the whole image, resized "
        "to {width} x {height} pixels without keeping its aspect ratio."
    ).format(
        classes=counted("{count} class", "{count} classes", len(snapshot.classes)),
        backbone=backbone.title,
        licence=backbone.info.licence,
        trained=trained,
        images=counted("{count} image", "{count} images", len(snapshot.of_split("training"))),
        version=__version__,
        width=size["width_px"],
        height=size["height_px"],
    )


def _card_data(output_dir: Path, snapshot: Snapshot) -> str:
    counts = Counter((example.label, example.split) for example in snapshot.examples)
    heads = (_("class"), _("training"), _("validation"), _("test"))
    rows = [
        (escape_markdown(label), *(f"{counts[label, split]:,}" for split in SPLITS))
        for label in snapshot.classes
    ]
    licences = count_licences(output_dir).most_common()
    lines = [f"- {escape_markdown(licence)}: {count:,}" for licence, count in licences[:_MAX_LICENCES]]
    if more := sum(count for _licence, count in licences[_MAX_LICENCES:]):
        lines.append(f"- {_('Others')}: {more:,}")
    authors = counted("{count} author is named", "{count} authors are named", count_authors(output_dir))
    return "\n\n".join(
        (
            f"## {_('Training data')}",
            _(
                "Snapshot `{hash}`. The split is decided by a hash of each image; near-duplicates are in the "
                "same split."
            ).format(hash=snapshot.hash[:16]),
            markdown_table(heads, rows),
            f"### {_('Licences and authors of the images')}",
            "\n".join(lines),
            _("{authors}; `{file}` lists each image with its author, licence and page.").format(
                authors=authors, file=ATTRIBUTION_TABLE
            ),
        )
    )


def _card_evaluation(evaluation: Evaluation) -> str:
    title = f"## {_('Evaluation')}"
    if evaluation.accuracy is None or evaluation.interval is None:
        return f"{title}\n\n" + _("Not evaluated: the snapshot has no test images.")
    low, high = evaluation.interval
    text = _(
        "Accuracy on {count} test images, which were not trained on: {accuracy} (95% CI {low} to {high})."
    )
    text = text.format(
        accuracy=f"**{evaluation.accuracy:.1%}**",
        count=f"{evaluation.n:,}",
        low=f"{low:.1%}",
        high=f"{high:.1%}",
    )
    without = evaluation.without_leakage
    if without is not None and without.accuracy is not None and without.n < evaluation.n:
        text += " " + _("Without near-duplicates of training images: {accuracy} of {count}.").format(
            accuracy=f"{without.accuracy:.1%}", count=f"{without.n:,}"
        )
    heads = (_("class"), _("precision"), _("recall"), "F1", _("test images"))
    rows = [
        (escape_markdown(s.label), _percent(s.precision), _percent(s.recall), _percent(s.f1), f"{s.count:,}")
        for s in evaluation.scores
    ]
    return f"{title}\n\n{text}\n\n{markdown_table(heads, rows)}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"  # noqa: RUF001 - a dash for a missing value


def _card_confidence(run_dir: Path) -> str:
    confidence = Confidence.read(run_dir)
    if confidence is None:
        return ""
    text = _(
        "Calibrate the probabilities first: raise each to the power of 1/{temperature} and divide by their "
        "sum. If the highest is then below {least}, answer “not sure”. Both values were chosen on the "
        "validation images and are in `{file}`."
    ).format(
        least=f"{confidence.min_probability:.2f}",
        temperature=f"{confidence.temperature:.3f}",
        file=CONFIDENCE_FILE,
    )
    costs = confidence.costs
    if costs is not None and costs.accuracy is not None:
        text += " " + _(
            "On {images} the model then answered {answered}, {accuracy} of them correctly, and abstained on "
            "{right} that it would have classified correctly and {wrong} that it would not."
        ).format(
            images=counted("{count} validation image", "{count} validation images", costs.images),
            answered=f"{costs.answered:,}",
            accuracy=f"{costs.accuracy:.1%}",
            right=f"{costs.both.correct:,}",
            wrong=f"{costs.both.wrong:,}",
        )
    return f"## {_('Confidence and abstention')}\n\n{text}"


def _card_limits(evaluation: Evaluation, snapshot: Snapshot, warnings: Sequence[str]) -> str:
    counts = Counter(example.label for example in snapshot.examples)
    small = [label for label in snapshot.classes if counts[label] < RECOMMENDED_CLASS_SIZE]
    lines = [_("The model knows these classes only: an image of anything else is given one of them.")]
    if small:
        lines.append(
            _("Fewer than {few} images: {classes}. Predictions of these classes are unreliable.").format(
                few=RECOMMENDED_CLASS_SIZE, classes=_join_labels(small)
            )
        )
    lines += [
        _(
            "The evaluation holds for images like those of the data set: other cameras, light, countries or "
            "ages may lower the accuracy."
        ),
        _("The backbone was pretrained on ImageNet, and a bias of ImageNet may be a bias of this model."),
        _(
            "The model has not been tested for decisions about people, health or safety. Do not use it for "
            "those."
        ),
    ]
    if evaluation.n < _MIN_TEST_IMAGES:
        lines.append(_("Evaluated on few images: see the confidence interval above."))
    lines += [escape_markdown(warning) for warning in warnings]
    return f"## {_('Limits')}\n\n" + "\n".join(f"- {line}" for line in lines)


# Attribution


def write_attribution(run_dir: Path, output_dir: Path, snapshot: Snapshot) -> None:
    """Write `ATTRIBUTION.csv`, and `ATTRIBUTION.txt` if the run has one.

    A run on a folder gets one row an image, too: with the author if a `LICENSE.txt` like the codelab's is
    beside the class folders, and otherwise without, since nothing more is known.
    """
    if (run_dir / ATTRIBUTION_TEXT).is_file():
        shutil.copyfile(run_dir / ATTRIBUTION_TEXT, output_dir / ATTRIBUTION_TEXT)
    if (run_dir / ATTRIBUTION_TABLE).is_file():
        shutil.copyfile(run_dir / ATTRIBUTION_TABLE, output_dir / ATTRIBUTION_TABLE)
        return
    credits = _folder_credits(snapshot)
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


def _folder_credits(snapshot: Snapshot) -> dict[str, Credit]:
    """Return the credits of images by `class folder/file name`."""
    credits: dict[str, Credit] = {}
    for folder in sorted({_class_folders_root(example) for example in snapshot.examples}):
        path = folder / _CREDITS_FILE
        if path.is_file() and path.stat().st_size <= _MAX_CREDITS_BYTES:
            credits |= parse_credits(path.read_text(encoding="utf-8", errors="replace"))
    return credits


def _class_folders_root(example: Example) -> Path:
    return example.path.parent.parent


def count_licences(output_dir: Path) -> Counter[str]:
    """Count the images under each licence in the table that `write_attribution` wrote.

    An image with several sources counts once, by the first that states a licence.
    """
    licences: dict[str, str] = {}
    with (output_dir / ATTRIBUTION_TABLE).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            own = _("Own work") if row["kind"] in OWN_WORK_KINDS else ""
            licences[row["sha256"]] = licences.get(row["sha256"]) or row["licence"] or own
    return Counter(licence or _("Not stated") for licence in licences.values())


def count_authors(output_dir: Path) -> int:
    """Count the authors that the table names."""
    with (output_dir / ATTRIBUTION_TABLE).open(encoding="utf-8", newline="") as file:
        return len({row["creator"] for row in csv.DictReader(file)} - {""})


# Labels


def write_labels(run_dir: Path, output_dir: Path, name: str = LABELS_FILE, *, numbered: bool = False) -> None:
    """Write a run's labels, one a line. numbered: each after its index, `0 daisy`. Raises ModelUnreadable."""
    labels = read_labels(run_dir, read_model_json(run_dir))
    if numbered:
        labels = tuple(f"{number} {label}" for number, label in enumerate(labels))
    (output_dir / name).write_text(format_labels(labels), encoding="utf-8", newline="\n")


# Markdown


def escape_markdown(text: str) -> str:
    """Return a text on one line, with Markdown's special characters escaped."""
    return _MARKDOWN_SPECIAL.sub(r"\\\1", " ".join(text.split()))


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table with all columns but the first aligned right. The cells are Markdown."""
    rule = ["---", *["---:"] * (len(heads) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (heads, rule, *rows))


def _join_labels(labels: Sequence[str]) -> str:
    return ", ".join(escape_markdown(label) for label in labels)
