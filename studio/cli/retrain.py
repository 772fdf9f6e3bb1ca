"""`python -m studio retrain`: train on a folder or on a project."""

import shutil
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from studio.cli.retrain_flags import options_of, resolve_flags, retrain_flags
from studio.cli.terminal import terminal_progress
from studio.errors import OutputRefused
from studio.files import atomic_bytes
from studio.i18n import _
from studio.progress import Progress
from studio.retrain.head.dataset import sample_test_examples
from studio.retrain.head.head import HeadCallback
from studio.retrain.measure_confidence import measure_confidence
from studio.retrain.options import RunOptions
from studio.retrain.run import RunResult, read_run
from studio.retrain.run import retrain as retrain_on
from studio.retrain.run_folder import LABELS_FILE, MODEL_FILE, MODEL_JSON
from studio.retrain.snapshot import Snapshot
from studio.retrain.train_head import RunContext
from studio.settings import settings

if TYPE_CHECKING:
    from db.engine import Database
    from studio.images.store import ImageStore


@click.command(help=_("Train a classifier on a folder of class folders, or on the labels of a project."))
@retrain_flags
@click.pass_context
def retrain(context: click.Context, /, **_given: Any) -> None:
    """Train, print the run folder, and end with the test accuracy."""
    given = resolve_flags(context)
    options = options_of(given)
    if given["project"] is None:
        result = retrain_folder(given, options, _print_warnings)
    else:
        result = retrain_project(given, options, _print_warnings)
    _copy_out(result, given)
    click.echo(_("The run is in {run_dir}").format(run_dir=result.run_dir))
    wrong = _misclassified(result) if given["print_misclassified_test_images"] else []
    last = _last_line(result)
    for line in (last, *wrong) if options.compat else (*wrong, last):
        click.echo(line)


def _print_warnings(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line, err=True)


def _copy_out(result: RunResult, given: dict[str, Any]) -> None:
    output_labels: Path | None = given["output_labels"]
    output_graph: Path | None = given["output_graph"]
    name: str = given["final_tensor_name"]
    if output_labels is not None:
        _write(output_labels, (result.run_dir / LABELS_FILE).read_bytes())
    if output_graph is None:
        return
    if output_graph.suffix.lower() == ".pb":
        from studio.share.exports.frozen_graph import write_frozen_graph

        write_frozen_graph(result.run_dir, output_graph, name)
        return
    from studio.retrain.model_file import rename_output

    _write(output_graph, rename_output((result.run_dir / MODEL_FILE).read_bytes(), name))


def _write(target: Path, content: bytes) -> None:
    with atomic_bytes(target) as file:
        file.write(content)


def _last_line(result: RunResult) -> str:
    evaluation = result.evaluation
    if evaluation.accuracy is None:
        return "Final test accuracy = not measured (N=0)"
    return f"Final test accuracy = {evaluation.accuracy:.1%} (N={evaluation.n})"


def _misclassified(result: RunResult) -> list[str]:
    """Return a line per misclassified test image: the file, right-aligned to 70, and the predicted class."""
    tested = result.snapshot.of_split("testing")
    # By index and not by SHA-256: with --compat an image and its duplicate are both tested.
    places = sample_test_examples(result.snapshot, result.options)
    return [
        f"{tested[place].path!s:>70}  {prediction.predicted}"
        for place, prediction in zip(places, result.evaluation.predictions, strict=True)
        if prediction.predicted != prediction.true
    ]


Warn = Callable[[Iterable[str]], None]


def retrain_folder(given: dict[str, Any], options: RunOptions, warn: Warn) -> RunResult:
    """Train on the folder that the flags name. warn: gets lines of warnings."""
    image_dir = Path(given["image_dir"])
    name = f"{image_dir.resolve().name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    run_dir: Path = given["run_dir"] or settings().runs_dir / name
    with terminal_progress() as progress:
        if options.compat:
            from studio.retrain.compat import clear_summaries

            clear_summaries(given["summaries_dir"])
        snapshot = _snapshot(given, options, progress, warn)
        warned = snapshot.check()
        warn(warned)
        context = RunContext(
            run_dir,
            _cache_dir(given, options),
            given["model_dir"] or settings().backbones_dir,
            settings().threads_used,
            progress,
            callbacks=_watches(given, options, run_dir),
            summaries_dir=given["summaries_dir"],
        )
        result = retrain_on(snapshot, options, context)
        warn(refusal.reason for refusal in result.skipped)
        warn(warning for warning in result.warnings if warning not in warned)
        if options.compat:
            _write_bottleneck_files(given, options, result, progress)
        measure_confidence(
            result.run_dir,
            _cache_dir(given, options),
            threads=settings().threads_used,
            progress=progress,
        )
    return result


def _snapshot(given: dict[str, Any], options: RunOptions, progress: Progress, warn: Warn) -> Snapshot:
    shares: dict[str, Any] = {
        "validation_percentage": options.validation_percentage,
        "testing_percentage": options.testing_percentage,
        "seed": options.seed,
    }
    if options.compat:
        from studio.retrain.compat import read_compat_folder

        compat_folder = read_compat_folder(given["image_dir"], **shares, progress=progress)
        warn(refusal.reason for refusal in compat_folder.skipped)
        warn(compat_folder.warnings)
        return compat_folder.snapshot
    from studio.retrain.image_folder import read_image_folder

    folder = read_image_folder(Path(given["image_dir"]), progress)
    warn(refusal.reason for refusal in folder.skipped)
    return Snapshot.of(folder.images, **shares)


def _cache_dir(given: dict[str, Any], options: RunOptions) -> Path:
    # That of retrain.py holds text files by image names; ours, by content, stays in the data folder.
    chosen: Path | None = None if options.compat else given["bottleneck_dir"]
    return chosen or settings().bottleneck_dir


def _watches(given: dict[str, Any], options: RunOptions, run_dir: Path) -> tuple[HeadCallback, ...]:
    every: int = given["intermediate_store_frequency"]
    if not every:
        return ()
    from studio.share.exports.frozen_graph import intermediate_graph_writer

    folder: Path = given["intermediate_output_graphs_dir"] or run_dir / "intermediate"
    return (
        HeadCallback(every, intermediate_graph_writer(options.backbone, folder, given["final_tensor_name"])),
    )


def _write_bottleneck_files(
    given: dict[str, Any], options: RunOptions, result: RunResult, progress: Progress
) -> None:
    from studio.backbones import prepare_backbone
    from studio.backbones.bottleneck_cache import BottleneckCache
    from studio.retrain.compat import write_bottleneck_files

    backbone = prepare_backbone(options.backbone, given["model_dir"] or settings().backbones_dir, progress)
    cache = BottleneckCache.of(_cache_dir(given, options), backbone)
    write_bottleneck_files(
        given["bottleneck_dir"], result.snapshot.examples, cache.vectors, options.backbone, progress
    )


def retrain_project(given: dict[str, Any], options: RunOptions, warn: Warn) -> RunResult:
    """Train on the project that the flags name.

    A stopped run with the same labels, options and name continues. Raises ProjectError if there is no such
    project, OutputRefused, and the error that ended the run.
    """
    from studio.cli.curate import project_named
    from studio.cli.run_job import follow
    from studio.data import open_database
    from studio.images.store import ImageStore
    from studio.retrain.runs import run_records

    run_dir: Path | None = given["run_dir"]
    if run_dir is not None and (run_dir / MODEL_JSON).exists():
        raise OutputRefused(
            _("{path} holds a finished run already. Choose another folder.").format(path=run_dir)
        )
    database = open_database(settings())
    project = project_named(database, given["project"])
    store = ImageStore(settings().images_dir)
    run_id, job_id = _run_and_job(database, store, project.id, options, given["name"] or "")
    result = follow(database, job_id)
    warn(refusal["reason"] for refusal in result.get("refused", ()))
    warn(result.get("warnings", ()))
    with database.read() as session:
        folder = settings().runs_dir / run_records.get_run(session, run_id).folder
    if run_dir is not None:
        shutil.copytree(folder, run_dir, dirs_exist_ok=True)
        folder = run_dir
    return read_run(folder)


def _run_and_job(
    database: "Database", store: "ImageStore", project_id: int, options: RunOptions, name: str
) -> tuple[int, int]:
    """Return the ids of a run and its job: an interrupted one with the same options, or a new one."""
    from studio.jobs import queue
    from studio.retrain import tasks
    from studio.retrain.runs import run_records, snapshot_records

    now = datetime.now(UTC)
    with database.write() as session:
        queue.requeue_lost(session, now)
        interrupted = [
            run
            for run in run_records.list_runs(session, project_id)
            if (run.options, run.name) == (options, name)
            and run.job_id is not None
            and run.job_state in ("stopped", "failed")
        ]
        if interrupted:
            snapshot = snapshot_records.current_snapshot(session, project_id, options, store)
            snapshot_id = snapshot_records.freeze_snapshot(session, project_id, snapshot, now)
            for run in interrupted:
                if run.snapshot_id == snapshot_id and run.job_id is not None:
                    queue.resume(session, run.job_id)
                    return run.id, run.job_id
    run_id = tasks.enqueue_run(database, store, project_id, options, now, name=name)
    with database.read() as session:
        job_id = run_records.get_run(session, run_id).job_id
    assert job_id is not None  # noqa: S101 - given in the same transaction as the run
    return run_id, job_id
