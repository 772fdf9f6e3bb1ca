"""`python -m studio retrain`: pictures in, a model out, with `retrain.py`'s flags."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from studio.atomic import atomic_bytes
from studio.cli.retrain_flags import options_of, retrain_flags, settled
from studio.language import _
from studio.retrain.head.sampling import tested_places
from studio.retrain.run import RunResult
from studio.retrain.run_folder import LABELS, MODEL


@click.command(help=_("Retrain a network's top on a folder of class folders, or on a project's labels."))
@retrain_flags
@click.pass_context
def retrain(context: click.Context, /, **_given: Any) -> None:
    """Train, say where the run is, and end with the test accuracy."""
    given = settled(context)
    options = options_of(given)
    if given["project"] is None:
        from studio.cli.retrain_folder import retrain_folder

        result = retrain_folder(given, options, _tell)
    else:
        from studio.cli.retrain_project import retrain_project

        result = retrain_project(given, options, _tell)
    _copy_out(result, given)
    click.echo(_("The run is in {run_dir}").format(run_dir=result.run_dir))
    wrong = _misclassified(result) if given["print_misclassified_test_images"] else []
    last = _last_line(result)
    for line in (last, *wrong) if options.compat else (*wrong, last):
        click.echo(line)


def _tell(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line, err=True)


def _copy_out(result: RunResult, given: dict[str, Any]) -> None:
    output_labels: Path | None = given["output_labels"]
    output_graph: Path | None = given["output_graph"]
    name: str = given["final_tensor_name"]
    if output_labels is not None:
        _write(output_labels, (result.run_dir / LABELS).read_bytes())
    if output_graph is None:
        return
    if output_graph.suffix.lower() == ".pb":
        from studio.share.frozen_graph import write_frozen_graph

        write_frozen_graph(result.run_dir, output_graph, name)
        return
    from studio.retrain.model_file import with_output_name

    _write(output_graph, with_output_name((result.run_dir / MODEL).read_bytes(), name))


def _write(target: Path, content: bytes) -> None:
    with atomic_bytes(target) as file:
        file.write(content)


# Neither of these is translated: programs read them.


def _last_line(result: RunResult) -> str:
    evaluation = result.evaluation
    if evaluation.accuracy is None:
        return "Final test accuracy = not measured (N=0)"
    return f"Final test accuracy = {evaluation.accuracy:.1%} (N={evaluation.n})"


def _misclassified(result: RunResult) -> list[str]:
    """A line for each wrong answer in the test: the file, right-aligned to 70, and what it was taken for."""
    tested = result.snapshot.of_split("testing")
    # By place and not by SHA-256: with --compat a picture and its copy are both asked.
    places = tested_places(result.snapshot, result.options)
    return [
        f"{tested[place].path!s:>70}  {prediction.predicted}"
        for place, prediction in zip(places, result.evaluation.predictions, strict=True)
        if prediction.predicted != prediction.true
    ]
