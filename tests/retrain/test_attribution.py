"""A run on a project's images leaves their provenance beside the model."""

import csv
from pathlib import Path

from db.engine import Database
from studio.collect.ingest import ingest
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
from tests.conftest import NOW
from tests.retrain.material import backbone, draw


def test_the_provenance_of_what_was_trained_on_come_with_the_model(database: Database, home: Path) -> None:
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
    ingest(database, store, project.id, sources, progress=Silent(), clock=lambda: NOW)
    options = RunOptions(how_many_training_steps=2)
    with database.read() as session:
        snapshot = snapshot_records.snapshot_of(session, project.id, options, store)
    snapshot.examples[0].path.write_bytes(b"lost")  # cannot be read: not trained on, and not credited

    def attribute(used: Snapshot, folder: Path) -> None:
        assert not (folder / "model.json").exists()  # the folder is not whole before it is all there
        with database.read() as session:
            snapshot_records.write_attribution(session, project.id, used, folder)

    result = retrain(
        snapshot,
        options,
        run_dir=home / "runs" / "하나",
        bottleneck_dir=home / "bottlenecks",
        backbones_dir=backbone().path.parent,
        threads=2,
        progress=Silent(),
        on_points=lambda _points: None,
        attribute=attribute,
    )
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
