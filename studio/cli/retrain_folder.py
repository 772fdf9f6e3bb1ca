"""Retraining on a folder of class folders, ours or the peer's way."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from studio.cli.terminal import terminal_progress
from studio.predict.measuring import measured
from studio.progress import Progress
from studio.retrain.head.head import Watch
from studio.retrain.options import RunOptions
from studio.retrain.run import RunResult
from studio.retrain.run import retrain as retrain_on
from studio.retrain.snapshot import Snapshot
from studio.settings import settings

Tell = Callable[[Iterable[str]], None]


def retrain_folder(given: dict[str, Any], options: RunOptions, tell: Tell) -> RunResult:
    """Train on the folder that the flags name. tell: takes the lines that a person is warned with."""
    image_dir = Path(given["image_dir"])
    name = f"{image_dir.resolve().name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    run_dir: Path = given["run_dir"] or settings().runs_dir / name
    with terminal_progress() as progress:
        if options.compat:
            from studio.retrain.compat.summaries_folder import empty_summaries

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
        from studio.retrain.compat.folder import read_peer_folder

        peer = read_peer_folder(given["image_dir"], **shares, progress=progress)
        tell(refusal.reason for refusal in peer.refusals)
        tell(peer.warnings)
        return peer.snapshot
    from studio.retrain.image_folder import read_image_folder

    folder = read_image_folder(Path(given["image_dir"]), progress)
    tell(refusal.reason for refusal in folder.refusals)
    return Snapshot.of(folder.pictures, **shares)


def _cache_dir(given: dict[str, Any], options: RunOptions) -> Path:
    # The peer's holds text files under the pictures' names; ours, by content, stays in the data folder.
    chosen: Path | None = None if options.compat else given["bottleneck_dir"]
    return chosen or settings().bottleneck_dir


def _watches(given: dict[str, Any], options: RunOptions, run_dir: Path) -> tuple[Watch, ...]:
    every: int = given["intermediate_store_frequency"]
    if not every:
        return ()
    from studio.share.intermediate_graphs import intermediate_graphs

    folder: Path = given["intermediate_output_graphs_dir"] or run_dir / "intermediate"
    return (Watch(every, intermediate_graphs(options.backbone, folder, given["final_tensor_name"])),)


def _write_bottleneck_files(
    given: dict[str, Any], options: RunOptions, result: RunResult, progress: Progress
) -> None:
    from studio.retrain.backbones import ready
    from studio.retrain.bottlenecks.cache import BottleneckCache
    from studio.retrain.compat.bottleneck_files import write_bottleneck_files

    backbone = ready(options.backbone, given["model_dir"] or settings().backbones_dir, progress)
    cache = BottleneckCache.of(_cache_dir(given, options), backbone)
    write_bottleneck_files(
        given["bottleneck_dir"], result.snapshot.examples, cache.vectors, options.backbone, progress
    )
