"""`python -m studio retrain`: a folder of class folders in, a model out, with `retrain.py`'s flags."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from studio.atomic import atomic_bytes
from studio.cli.flags import flag
from studio.cli.terminal import terminal_progress
from studio.language import _
from studio.retrain.backbones import BACKBONES, DEFAULT
from studio.retrain.image_folder import read_image_folder
from studio.retrain.options import RunOptions
from studio.retrain.run import RunResult
from studio.retrain.run import retrain as retrain_on
from studio.retrain.run_folder import LABELS, MODEL
from studio.retrain.snapshot import Snapshot
from studio.settings import settings

_FOLDER = click.Path(file_okay=False, path_type=Path)
_FILE = click.Path(dir_okay=False, path_type=Path)
_COUNT = click.IntRange(min=1)
_PERCENT = click.IntRange(min=0, max=99)


@click.command(help=_("Retrain a network's top on a folder of class folders."))
@flag("image_dir", type=_FOLDER, required=True, help=_("A folder with a subfolder for each class."))
@flag("how_many_training_steps", type=_COUNT, default=4000, help=_("How long to train."))
@flag("architecture", type=click.Choice(list(BACKBONES)), default=DEFAULT, help=_("The pretrained network."))
@flag("output_graph", type=_FILE, help=_("Also write the model here: a .tflite, or a frozen graph as .pb."))
@flag("output_labels", type=_FILE, help=_("Also write the labels here."))
@flag("bottleneck_dir", type=_FOLDER, help=_("Where bottlenecks are cached."))
@flag("summaries_dir", type=_FOLDER, help=_("Where TensorBoard's event files go."))
@flag("run_dir", type=_FOLDER, help=_("The run's folder; naming one that was stopped goes on with it."))
@flag(
    "learning_rate", type=click.FloatRange(min=0, min_open=True), default=0.01, help=_("How far a step goes.")
)
@flag("testing_percentage", type=_PERCENT, default=10, help=_("Pictures kept for the test at the end."))
@flag("validation_percentage", type=_PERCENT, default=10, help=_("Pictures that choose the best head."))
@flag("eval_step_interval", type=_COUNT, default=10, help=_("Steps between two validations."))
@flag("train_batch_size", type=_COUNT, default=100, help=_("Pictures in a step."))
@flag("seed", type=click.IntRange(min=0), default=0, help=_("Decides the split and the batches."))
def retrain(
    image_dir: Path,
    architecture: str,
    output_graph: Path | None,
    output_labels: Path | None,
    bottleneck_dir: Path | None,
    summaries_dir: Path | None,
    run_dir: Path | None,
    **chosen: Any,
) -> None:
    """Train, say where the run is, and end with the test accuracy."""
    if chosen["testing_percentage"] + chosen["validation_percentage"] >= 100:  # noqa: PLR2004 - percent
        raise click.UsageError(_("Testing and validation must leave pictures for training: below 100."))
    if output_graph is not None and output_graph.suffix.lower() not in (".pb", ".tflite"):
        raise click.UsageError(
            _("expected --output_graph to end in .pb or .tflite; got {name}").format(name=output_graph.name)
        )
    options = RunOptions(backbone=architecture, **chosen)
    if run_dir is None:
        name = f"{image_dir.resolve().name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
        run_dir = settings().runs_dir / name
    with terminal_progress() as progress:
        folder = read_image_folder(image_dir, progress)
        _tell(refusal.reason for refusal in folder.refusals)
        snapshot = Snapshot.of(
            folder.pictures,
            validation_percentage=options.validation_percentage,
            testing_percentage=options.testing_percentage,
            seed=options.seed,
        )
        warned = snapshot.check()
        _tell(warned)
        result = retrain_on(
            snapshot,
            options,
            run_dir=run_dir,
            bottleneck_dir=bottleneck_dir or settings().bottleneck_dir,
            backbones_dir=settings().backbones_dir,
            threads=settings().threads_used,
            progress=progress,
            on_points=lambda _points: None,
            summaries_dir=summaries_dir,
        )
    _tell(refusal.reason for refusal in result.refusals)
    _tell(warning for warning in result.warnings if warning not in warned)
    _copy_out(run_dir, output_graph, output_labels)
    click.echo(_("The run is in {run_dir}").format(run_dir=run_dir))
    click.echo(_last_line(result))


def _tell(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line, err=True)


def _copy_out(run_dir: Path, output_graph: Path | None, output_labels: Path | None) -> None:
    if output_labels is not None:
        _copy(run_dir / LABELS, output_labels)
    if output_graph is None:
        return
    if output_graph.suffix.lower() == ".tflite":
        _copy(run_dir / MODEL, output_graph)
        return
    from studio.share.frozen_graph import write_frozen_graph

    write_frozen_graph(run_dir, output_graph)


def _copy(source: Path, target: Path) -> None:
    with atomic_bytes(target) as file:
        file.write(source.read_bytes())


def _last_line(result: RunResult) -> str:
    # Not translated: programs read it.
    evaluation = result.evaluation
    if evaluation.accuracy is None:
        return "Final test accuracy = not measured (N=0)"
    return f"Final test accuracy = {evaluation.accuracy:.1%} (N={evaluation.n})"
