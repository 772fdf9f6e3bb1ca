"""The job that predicts all images of a folder, and its table of predictions."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from db.engine import Database
from studio.files import atomic_text
from studio.jobs import queue
from studio.jobs.context import JobContext, Task
from studio.predict.batch import PredictionRow, image_files, predict_files, write_csv
from studio.predict.model import ModelPool
from studio.retrain.measure_confidence import measure_confidence
from studio.retrain.runs import run_records

MAX_TABLES = 3
"""Number of tables kept for each project; older ones are deleted."""
_TABLE = re.compile(r"answers-[0-9]+\.csv")


@dataclass(frozen=True)
class FolderPredictions:
    """The predictions of a model for a folder.

    table: the CSV file. images: predicted ones; skipped: files that are no images. abstained: images that the
    model is not sure about. by_label: number of images by predicted class.
    """

    run_id: int
    folder: Path
    table: Path
    images: int
    skipped: int
    abstained: int
    by_label: dict[str, int]


def enqueue_folder_prediction(
    database: Database, project_id: int, run_id: int, folder: Path, now: datetime
) -> int:
    """Enqueue the prediction of all images below a folder on this machine; returns the job's id.

    Raises SourceMissing if the folder does not exist or has no images.
    """
    folder = folder.expanduser().resolve()
    image_files(folder)
    with database.write() as session:
        arguments = {"run_id": run_id, "path": str(folder)}
        return queue.enqueue(session, "answer_folder", arguments, project_id, now)


def folder_predictions(answers_dir: Path, job: queue.Job) -> FolderPredictions | None:
    """Return the result of a job; None if it has not finished, or if its table is deleted."""
    result = job.result or {}
    name = str(result.get("table", ""))
    table = answers_dir / str(job.project_id) / name
    if job.state != "done" or not _TABLE.fullmatch(name) or not table.is_file():
        return None
    return FolderPredictions(
        run_id=int(job.arguments["run_id"]),
        folder=Path(job.arguments["path"]),
        table=table,
        images=int(result["pictures"]),
        skipped=int(result["refused"]),
        abstained=int(result["unsure"]),
        by_label=dict(result["by_answer"]),
    )


def _run_answer_folder(work: JobContext) -> dict[str, Any]:
    arguments, settings = work.job.arguments, work.settings
    with work.database.read() as session:
        run_dir = settings.runs_dir / run_records.get_run(session, arguments["run_id"]).folder
    folder = Path(arguments["path"])
    threads, progress = settings.threads_used, work.progress
    measure_confidence(run_dir, settings.bottleneck_dir, threads=threads, progress=progress)
    pool = ModelPool(run_dir, threads)
    tables_dir = settings.answers_dir / str(work.project_id)
    table = tables_dir / f"answers-{work.job.id}.csv"
    images = skipped = abstained = 0
    by_label: Counter[str] = Counter()

    def count(rows: Iterable[PredictionRow]) -> Iterator[PredictionRow]:
        nonlocal images, skipped, abstained
        for row in rows:
            abstained += row.abstention is not None
            if row.skip_message:
                skipped += 1
            else:
                images += 1
                by_label[row.label] += 1
            yield row

    rows = predict_files(image_files(folder), folder, pool.predict_file, threads=threads, progress=progress)
    with atomic_text(table) as file:
        write_csv(count(rows), file)
    _delete_old_tables(tables_dir)
    return {
        "table": table.name,
        "pictures": images,
        "refused": skipped,
        "unsure": abstained,
        "by_answer": dict(by_label.most_common()),
    }


def _delete_old_tables(tables_dir: Path) -> None:
    tables = [path for path in tables_dir.iterdir() if _TABLE.fullmatch(path.name)]
    tables.sort(key=lambda path: int(path.stem.rpartition("-")[2]), reverse=True)
    for old in tables[MAX_TABLES:]:
        try:
            old.unlink()
        except OSError:  # on Windows, while somebody reads it: the next job deletes it
            continue


TASKS = (Task("answer_folder", _run_answer_folder, "files"),)
