"""The model card: what a model was made of, how good it is, and where it should not be trusted.

Mitchell et al., "Model Cards for Model Reporting", 2019. The head is of the kind that Hugging Face reads.
"""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from studio import __version__
from studio.curate.split import SPLITS
from studio.language import _, counted
from studio.predict.sureness import SURENESS, Sureness
from studio.retrain.backbones import backbone_named
from studio.retrain.evaluation.evaluation import Evaluation
from studio.retrain.run_folder import ATTRIBUTION_TABLE, altered, read_card
from studio.retrain.snapshot import FEW, Snapshot
from studio.share.exports.markdown import escaped, table
from studio.share.exports.papers import authors, licences

CARD = "MODEL_CARD.md"
_MOST_LICENCES = 20
_FEW_TESTED = 100


def model_card(run_dir: Path, output_dir: Path, name: str, snapshot: Snapshot) -> str:
    """Return a run's card in Markdown. output_dir: where its papers are already. Raises ModelUnreadable."""
    card = read_card(run_dir)
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
        "Says which of {classes} a picture shows. {network} ({licence}), pretrained on ImageNet, with "
        "{trained} trained on {pictures}, by Retrain Studio {version}. It sees the whole picture, squeezed "
        "to {width} x {height} pixels."
    ).format(
        classes=counted("{count} class", "{count} classes", len(snapshot.classes)),
        network=network,
        licence=licence,
        trained=trained,
        pictures=counted("{count} picture", "{count} pictures", len(snapshot.of_split("training"))),
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
            _("Snapshot `{hash}`. A hash deals the pictures out, near copies on the same side.").format(
                hash=snapshot.hash[:16]
            ),
            table(heads, rows),
            f"### {_('Licences and authors of the pictures')}",
            "\n".join(lines),
            _("{named}; each picture with its author, licence and address: `{file}`.").format(
                named=named, file=ATTRIBUTION_TABLE
            ),
        )
    )


def _figures(evaluation: Evaluation, snapshot: Snapshot) -> str:
    title = f"## {_('How good it is')}"
    if evaluation.accuracy is None or evaluation.interval is None:
        return f"{title}\n\n" + _("No picture was left for testing: nobody knows.")
    low, high = evaluation.interval
    said = _("{accuracy} of {count} test pictures, which it had never seen, are named rightly").format(
        accuracy=f"**{evaluation.accuracy:.1%}**", count=f"{evaluation.n:,}"
    )
    said += " " + _("(95% of it: {low} to {high}).").format(low=f"{low:.1%}", high=f"{high:.1%}")
    without = evaluation.without_copies
    if without is not None and without.accuracy is not None and without.n < evaluation.n:
        said += " " + _("Without near copies of training pictures: {accuracy} of {count}.").format(
            accuracy=f"{without.accuracy:.1%}", count=f"{without.n:,}"
        )
    heads = (_("class"), _("precision"), _("recall"), "F1", _("test pictures"))
    rows = [
        (escaped(s.label), _share(s.precision), _share(s.recall), _share(s.f1), f"{s.count:,}")
        for s in evaluation.scores
    ]
    return f"{title}\n\n{said}\n\n{table(heads, rows)}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"  # noqa: RUF001 - there is none


def _sureness(run_dir: Path) -> str:
    found = Sureness.read(run_dir)
    if found is None:
        return ""
    said = _(
        "Below a probability of {least} it should say “not sure”. Probabilities are to be raised to the "
        "power of 1/{temperature} and divided by their sum first. Both were chosen on the validation "
        "pictures and stand in `{file}`."
    ).format(least=f"{found.least_probability:.2f}", temperature=f"{found.temperature:.3f}", file=SURENESS)
    costs = found.costs
    if costs is not None and costs.accuracy is not None:
        said += " " + _(
            "Of {pictures} it then answered {answered}, {accuracy} of them rightly, and held back {right} "
            "right answers and {wrong} wrong ones."
        ).format(
            pictures=counted("{count} validation picture", "{count} validation pictures", costs.pictures),
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
        _("It knows these classes and no others: a picture of anything else gets one of their names."),
        _(
            "It is as good as the pictures were alike: other cameras, light, countries or ages may bring it "
            "lower figures than those above."
        ),
        _("The pretrained network has seen ImageNet, and what is lopsided there may be lopsided here."),
        _("Nobody has tested it for decisions about people, health or safety: it is not for them."),
    ]
    if few:
        lines.insert(
            1,
            _("Fewer than {few} pictures: {classes}. What it says of them is a guess.").format(
                few=FEW, classes=_listed(few)
            ),
        )
    if evaluation.n < _FEW_TESTED:
        lines.append(_("Measured on few pictures: see the interval above."))
    lines += [escaped(warning) for warning in card.get("warnings", ())]
    return f"## {_('Limits')}\n\n" + "\n".join(f"- {line}" for line in lines)


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(escaped(label) for label in labels)
