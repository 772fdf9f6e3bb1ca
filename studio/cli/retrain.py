"""`python -m studio retrain`: images in, a model out, with `retrain.py`'s flags."""

import shutil
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from studio.cli.retrain_flags import options_of, retrain_flags, settled
from studio.cli.terminal import terminal_progress
from studio.errors import OutputRefused
from studio.files import atomic_bytes
from studio.i18n import _
from studio.progress import Progress
from studio.retrain.head.dataset import tested_places
from studio.retrain.head.head import Watch
from studio.retrain.measure_confidence import measured
from studio.retrain.options import RunOptions
from studio.retrain.run import RunResult, read_run
from studio.retrain.run import retrain as retrain_on
from studio.retrain.run_folder import CARD, LABELS, MODEL
from studio.retrain.snapshot import Snapshot
from studio.settings import settings

if TYPE_CHECKING:
    from db.engine import Database
    from studio.images.store import ImageStore


@click.command(help=_("Retrain a network's top on a folder of class folders, or on a project's labels."))
@retrain_flags
@click.pass_context
def retrain(context: click.Context, /, **_given: Any) -> None:
    """Train, say where the run is, and end with the test accuracy."""
    given = settled(context)
    options = options_of(given)
    if given["project"] is None:
        result = retrain_folder(given, options, _tell)
    else:
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


def _last_line(result: RunResult) -> str:
    evaluation = result.evaluation
    if evaluation.accuracy is None:
        return "Final test accuracy = not measured (N=0)"
    return f"Final test accuracy = {evaluation.accuracy:.1%} (N={evaluation.n})"


def _misclassified(result: RunResult) -> list[str]:
    """A line for each wrong answer in the test: the file, right-aligned to 70, and what it was taken for."""
    tested = result.snapshot.of_split("testing")
    # By place and not by SHA-256: with --compat an image and its copy are both asked.
    places = tested_places(result.snapshot, result.options)
    return [
        f"{tested[place].path!s:>70}  {prediction.predicted}"
        for place, prediction in zip(places, result.evaluation.predictions, strict=True)
        if prediction.predicted != prediction.true
    ]


Tell = Callable[[Iterable[str]], None]


def retrain_folder(given: dict[str, Any], options: RunOptions, tell: Tell) -> RunResult:
    """Train on the folder that the flags name. tell: takes the lines that a person is warned with."""
    image_dir = Path(given["image_dir"])
    name = f"{image_dir.resolve().name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    run_dir: Path = given["run_dir"] or settings().runs_dir / name
    with terminal_progress() as progress:
        if options.compat:
            from studio.retrain.compat import empty_summaries

            empty_summaries(given["summaries_dir"])
        snapshot = _snapshot(given, options, progress, tell)
        warned = snapshot.check()
        tell(warned)
        result = retrain_on(
            snapshot,
            options,
            run_dir=run_dir,
            bottleneck_dir=_cache_dir(given, options),
            backbones_dir=given["model_dir"] or settings().backbones_dir,
            threads=settings().threads_used,
            progress=progress,
            on_points=lambda _points: None,
            summaries_dir=given["summaries_dir"],
            watches=_watches(given, options, run_dir),
        )
        tell(refusal.reason for refusal in result.refusals)
        tell(warning for warning in result.warnings if warning not in warned)
        if options.compat:
            _write_bottleneck_files(given, options, result, progress)
        measured(
            result.run_dir,
            _cache_dir(given, options),
            threads=settings().threads_used,
            progress=progress,
        )
    return result


def _snapshot(given: dict[str, Any], options: RunOptions, progress: Progress, tell: Tell) -> Snapshot:
    shares: dict[str, Any] = {
        "validation_percentage": options.validation_percentage,
        "testing_percentage": options.testing_percentage,
        "seed": options.seed,
    }
    if options.compat:
        from studio.retrain.compat import read_peer_folder

        peer = read_peer_folder(given["image_dir"], **shares, progress=progress)
        tell(refusal.reason for refusal in peer.refusals)
        tell(peer.warnings)
        return peer.snapshot
    from studio.retrain.image_folder import read_image_folder

    folder = read_image_folder(Path(given["image_dir"]), progress)
    tell(refusal.reason for refusal in folder.refusals)
    return Snapshot.of(folder.images, **shares)


def _cache_dir(given: dict[str, Any], options: RunOptions) -> Path:
    # The peer's holds text files under the images' names; ours, by content, stays in the data folder.
    chosen: Path | None = None if options.compat else given["bottleneck_dir"]
    return chosen or settings().bottleneck_dir


def _watches(given: dict[str, Any], options: RunOptions, run_dir: Path) -> tuple[Watch, ...]:
    every: int = given["intermediate_store_frequency"]
    if not every:
        return ()
    from studio.share.frozen_graph import intermediate_graphs

    folder: Path = given["intermediate_output_graphs_dir"] or run_dir / "intermediate"
    return (Watch(every, intermediate_graphs(options.backbone, folder, given["final_tensor_name"])),)


def _write_bottleneck_files(
    given: dict[str, Any], options: RunOptions, result: RunResult, progress: Progress
) -> None:
    from studio.backbones import ready
    from studio.backbones.bottleneck_cache import BottleneckCache
    from studio.retrain.compat import write_bottleneck_files

    backbone = ready(options.backbone, given["model_dir"] or settings().backbones_dir, progress)
    cache = BottleneckCache.of(_cache_dir(given, options), backbone)
    write_bottleneck_files(
        given["bottleneck_dir"], result.snapshot.examples, cache.vectors, options.backbone, progress
    )


def retrain_project(given: dict[str, Any], options: RunOptions, tell: Tell) -> RunResult:
    """Ask for a run on the project that the flags name, and see it to its end.

    A run that was stopped is gone on with where neither labels nor options are others by now. Raises
    ProjectError where there is no such project, OutputRefused, and what ended the run.
    """
    from studio.cli.curate import project_named
    from studio.cli.run_job import follow
    from studio.data import open_database
    from studio.images.store import ImageStore
    from studio.retrain.runs import run_records

    run_dir: Path | None = given["run_dir"]
    if run_dir is not None and (run_dir / CARD).exists():
        raise OutputRefused(
            _("{path} holds a finished run already. Choose another folder.").format(path=run_dir)
        )
    database = open_database(settings())
    project = project_named(database, given["project"])
    store = ImageStore(settings().images_dir)
    run_id, job_id = _asked(database, store, project.id, options, given["name"] or "")
    result = follow(database, job_id)
    tell(refusal["reason"] for refusal in result.get("refused", ()))
    tell(result.get("warnings", ()))
    with database.read() as session:
        folder = settings().runs_dir / run_records.run(session, run_id).folder
    if run_dir is not None:
        shutil.copytree(folder, run_dir, dirs_exist_ok=True)
        folder = run_dir
    return read_run(folder)


def _asked(
    database: "Database", store: "ImageStore", project_id: int, options: RunOptions, name: str
) -> tuple[int, int]:
    """Return a run and its job: of one that was cut off in just these words, or of a new one."""
    from studio.jobs import queue
    from studio.retrain import tasks
    from studio.retrain.runs import run_records, snapshot_records

    now = datetime.now(UTC)
    with database.write() as session:
        queue.requeue_lost(session, now)
        cut_off = [
            run
            for run in run_records.runs(session, project_id)
            if (run.options, run.name) == (options, name)
            and run.job_id is not None
            and run.job_state in ("stopped", "failed")
        ]
        if cut_off:
            snapshot = snapshot_records.snapshot_of(session, project_id, options, store)
            snapshot_id = snapshot_records.freeze(session, project_id, snapshot, now)
            for run in cut_off:
                if run.snapshot_id == snapshot_id and run.job_id is not None:
                    queue.resume(session, run.job_id)
                    return run.id, run.job_id
    run_id = tasks.retrain(database, store, project_id, options, now, name=name)
    with database.read() as session:
        job_id = run_records.run(session, run_id).job_id
    assert job_id is not None  # noqa: S101 - given in the same transaction as the run
    return run_id, job_id
