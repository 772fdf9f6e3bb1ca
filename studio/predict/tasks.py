"""What the job does that asks a model about a whole folder, and where its table is."""

import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from db.engine import Database
from studio.jobs import queue
from studio.jobs.context import JobContext, Task

KEPT = 3
"""So many tables of a project stay; older ones make room."""
_TABLE = re.compile(r"answers-[0-9]+\.csv")


@dataclass(frozen=True)
class FolderAnswers:
    """A folder that a model was asked about.

    table: the CSV file; by_answer: how many images got which class.
    """

    run_id: int
    folder: Path
    table: Path
    images: int
    refused: int
    unsure: int
    by_answer: dict[str, int]


def ask_folder(database: Database, project_id: int, run_id: int, folder: Path, now: datetime) -> int:
    """Ask for a model to be asked about every image below a folder on this machine; returns the job's id.

    Raises SourceMissing where there is no folder or no image in it.
    """
    from studio.predict.batch import image_files

    folder = folder.expanduser().resolve()
    image_files(folder)
    with database.write() as session:
        arguments = {"run_id": run_id, "path": str(folder)}
        return queue.enqueue(session, "answer_folder", arguments, project_id, now)


def folder_answers(answers_dir: Path, job: queue.Job) -> FolderAnswers | None:
    """Return what a job came to; None where it has not ended well, and where its table is gone."""
    result = job.result or {}
    name = str(result.get("table", ""))
    table = answers_dir / str(job.project_id) / name
    if job.state != "done" or not _TABLE.fullmatch(name) or not table.is_file():
        return None
    return FolderAnswers(
        run_id=int(job.arguments["run_id"]),
        folder=Path(job.arguments["path"]),
        table=table,
        images=int(result["pictures"]),
        refused=int(result["refused"]),
        unsure=int(result["unsure"]),
        by_answer=dict(result["by_answer"]),
    )


def _answer_folder(work: JobContext) -> dict[str, Any]:
    from studio.files import atomic_text
    from studio.predict.batch import answers, image_files, write_csv
    from studio.predict.model import ModelPool
    from studio.retrain.measure_confidence import measured
    from studio.retrain.runs import run_records

    arguments, settings = work.job.arguments, work.settings
    with work.database.read() as session:
        run_dir = settings.runs_dir / run_records.run(session, arguments["run_id"]).folder
    folder = Path(arguments["path"])
    threads, progress = settings.threads_used, work.progress
    measured(run_dir, settings.bottleneck_dir, threads=threads, progress=progress)
    pool = ModelPool(run_dir, threads)
    shelf = settings.answers_dir / str(work.project_id)
    table = shelf / f"answers-{work.job.id}.csv"
    counts: Counter[str] = Counter()
    by_answer: Counter[str] = Counter()

    def counted(rows: Any) -> Any:
        for row in rows:
            counts["refused" if row.refused else "pictures"] += 1
            counts["unsure"] += row.doubt is not None
            if not row.refused:
                by_answer[row.answer] += 1
            yield row

    rows = answers(image_files(folder), folder, pool.answer_file, threads=threads, progress=progress)
    with atomic_text(table) as file:
        write_csv(counted(rows), file)
    _make_room(shelf)
    return {
        "table": table.name,
        "pictures": counts["pictures"],
        "refused": counts["refused"],
        "unsure": counts["unsure"],
        "by_answer": dict(by_answer.most_common()),
    }


def _make_room(shelf: Path) -> None:
    tables = [path for path in shelf.iterdir() if _TABLE.fullmatch(path.name)]
    tables.sort(key=lambda path: int(path.stem.rpartition("-")[2]), reverse=True)
    for old in tables[KEPT:]:
        try:
            old.unlink()
        except OSError:  # on Windows, while somebody reads it: the next one will
            continue


TASKS = (Task("answer_folder", _answer_folder, "files"),)
