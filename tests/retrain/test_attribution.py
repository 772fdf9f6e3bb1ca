"""A run of a project writes the credits of its images beside the model."""

import csv
from pathlib import Path

from db.engine import Database
from studio.collect.ingest import ImportContext, ingest
from studio.datasets.projects import create_project
from studio.datasets.sources import Source
from studio.images import attribution
from studio.images.provenance import Provenance
from studio.images.store import ImageStore
from studio.progress import Silent
from studio.retrain.options import RunOptions
from studio.retrain.run import read_run, retrain
from studio.retrain.runs import snapshot_records
from studio.retrain.snapshot import Snapshot
from studio.retrain.train_head import RunContext
from tests.conftest import NOW
from tests.retrain.material import backbone, draw


def test_credits_of_the_images_are_written_beside_the_model(database: Database, home: Path) -> None:
    store = ImageStore(home / "pictures")
    files = sorted(draw(home / "그림", count=5).rglob("*.png"))
    with database.write() as session:
        project = create_project(session, "꽃", NOW)
    sources = [
        Source(
            f"https://a.example/{path.parent.name}/{path.name}",
            path.read_bytes,
            path.parent.name,
            "crawl",
            Provenance(title=path.stem, licence="CC0 1.0" if number else ""),
        )
        for number, path in enumerate(files)
    ]
    ingest(ImportContext(database=database, store=store, project_id=project.id, clock=lambda: NOW), sources)
    options = RunOptions(how_many_training_steps=2)
    with database.read() as session:
        snapshot = snapshot_records.current_snapshot(session, project.id, options, store)
    snapshot.examples[0].path.write_bytes(b"lost")  # cannot be read: not trained on, and not credited

    def write_attribution(used: Snapshot, folder: Path) -> None:
        assert not (folder / "model.json").exists()  # written last, when the folder is complete
        with database.read() as session:
            snapshot_records.write_attribution(session, project.id, used, folder)

    context = RunContext(
        home / "runs" / "하나",
        home / "bottlenecks",
        backbone().path.parent,
        2,
        Silent(),
        write_attribution=write_attribution,
    )
    result = retrain(snapshot, options, context)
    assert len(result.snapshot.examples) == len(files) - 1
    with (result.run_dir / "ATTRIBUTION.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert list(table[0]) == list(attribution.COLUMNS)
    assert {row["sha256"]: row["class"] for row in table} == {
        example.sha256: example.label for example in result.snapshot.examples
    }
    text = (result.run_dir / "ATTRIBUTION.txt").read_text(encoding="utf-8")
    assert text.startswith("CC0 1.0: ")
    assert all(f"“{row['title']}”" in text for row in table)
    assert read_run(result.run_dir) == result
