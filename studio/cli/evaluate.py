"""`python -m studio evaluate --model … --image_dir …`: how good a model is on a folder of class folders."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from studio.cli.asked_model import asked_model, model_flags
from studio.cli.flags import flag
from studio.language import _, counted

if TYPE_CHECKING:  # imported by the command alone, when it is run
    from studio.predict.evaluating import Judgement

_COLUMNS = ("file", "true", "answer", "probability", "true_probability", "sure")


@click.command(help=_("Say how good a model is on a folder of class folders."))
@flag(
    "image_dir",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help=_("A folder of class folders."),
)
@model_flags
@click.option(
    "--csv",
    "csv_path",
    type=click.Path(path_type=Path),
    help=_("Write what was said of each picture; - prints it."),
)
@click.option("--json", "as_json", is_flag=True, help=_("Print one JSON object, for programs."))
def evaluate(image_dir: Path, csv_path: Path | None, as_json: bool, **named: Any) -> None:
    """Print accuracy, a table of the classes and the confusion matrix."""
    from studio.cli.terminal import terminal_progress
    from studio.predict.evaluating import judge
    from studio.retrain.image_folder import read_image_folder

    asked = asked_model(**named)
    with terminal_progress() as progress:
        folder = read_image_folder(image_dir, progress)
        found = judge(
            folder.pictures, asked.labels, image_dir, asked.answer, threads=asked.at_once, progress=progress
        )
    for reason in (*(refusal.reason for refusal in folder.refusals), *found.refused):
        click.echo(reason, err=True)
    if csv_path is not None:
        _write(csv_path, found, image_dir)
    if as_json:
        click.echo(json.dumps(_told(found), ensure_ascii=False))
    elif csv_path != Path("-"):
        for line in _lines(found, asked.sureness is not None):
            click.echo(line)


def _write(path: Path, found: "Judgement", image_dir: Path) -> None:
    from studio.cli.tables import write_table

    def row(each: Any) -> list[str | float]:
        said = {prediction.label: prediction.score for prediction in each.answer.predictions}
        first = each.answer.predictions[0]
        name = each.path.relative_to(image_dir).as_posix()
        return [name, each.true, first.label, first.score, said[each.true], each.answer.doubt or "sure"]

    write_table(path, _COLUMNS, map(row, found.asked))


def _told(found: "Judgement") -> dict[str, Any]:
    values = found.evaluation.to_json()
    for long in ("predictions", "precision_recall"):
        values.pop(long)
    sure = [each.answer.predictions[0].label == each.true for each in found.sure]
    return {
        **values,
        "sure": {"n": len(sure), "accuracy": sum(sure) / len(sure) if sure else None},
        "unknown": dict(found.unknown),
        "unknown_unsure": found.unknown_unsure,
        "refused": list(found.refused),
    }


def _lines(found: "Judgement", may_doubt: bool) -> list[str]:
    from studio.cli.columns import columns

    evaluation = found.evaluation
    low, high = evaluation.interval or (0.0, 0.0)
    lines = [
        _("Accuracy = {accuracy} (N={n}), 95% interval {low} to {high}").format(
            accuracy=_share(evaluation.accuracy), n=f"{evaluation.n:,}", low=_share(low), high=_share(high)
        )
    ]
    if may_doubt:
        sure = [each.answer.predictions[0].label == each.true for each in found.sure]
        lines.append(
            _("Where it is sure = {accuracy} (N={n}); not sure: {unsure}").format(
                accuracy=_share(sum(sure) / len(sure) if sure else None),
                n=f"{len(sure):,}",
                unsure=f"{evaluation.n - len(sure):,}",
            )
        )
    if found.unknown:
        count = counted("{count} picture", "{count} pictures", found.unknown.total())
        lines.append(
            _("Of classes that it does not know: {pictures} ({classes}), not sure of {unsure}").format(
                pictures=count, classes=", ".join(sorted(found.unknown)), unsure=f"{found.unknown_unsure:,}"
            )
        )
    heads = [_("class"), _("precision"), _("recall"), "F1", _("pictures")]
    rows = [
        [each.label, _share(each.precision), _share(each.recall), _share(each.f1), f"{each.count:,}"]
        for each in evaluation.scores
    ]
    confusion = [
        [label, *(f"{count:,}" for count in row)]
        for label, row in zip(evaluation.classes, evaluation.confusion, strict=True)
    ]
    return [
        *lines,
        "",
        *columns([heads, *rows]),
        "",
        *columns([[_("true ↓  said →"), *evaluation.classes], *confusion]),
    ]


def _share(value: float | None) -> str:
    return "—" if value is None else f"{value:.1%}"
