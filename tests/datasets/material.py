"""A project that has everything an export could lose, and what is compared when it comes back."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select, update

from db import duplicate_groups, models
from db.engine import Database
from db.migrate import migrate
from studio.collect.importers import ingest_path
from studio.collect.ingest import ImportContext, IngestReport, ingest
from studio.datasets.export import ExportResult, export
from studio.datasets.projects import Project, create_project
from studio.datasets.sources import Source
from studio.images.provenance import Provenance
from studio.images.store import ImageStore
from studio.progress import Progress, Silent
from tests.collect.material import image_bytes
from tests.conftest import NOW

CLASSES = (
    "장미 꽃",
    "CON",
    "a/b",
    "a:b",
    "=1+1",
    "trailing.",
    ".hidden",
    "thumbs.db",
    "'tis",
    "labels.csv",
    "7",
    "None",
)
KNOWN = Provenance(
    page_address="https://정원.example/꽃?a=1&b=<b>",
    title='=HYPERLINK("x"), "quoted"\n두 번째 줄',
    creator="-Anna, Söhne;",
    licence="CC BY-SA 4.0",
    licence_address="https://creativecommons.org/licenses/by-sa/4.0/",
    robots="robots.txt allows",
)
OTHER = Provenance(page_address="https://blog.example/", title="'=quoted", creator="@someone")


def studio(home: Path) -> tuple[Database, ImageStore]:
    """A data folder with nothing in it."""
    database = Database(f"sqlite:///{(home / 'studio.sqlite3').as_posix()}")
    migrate(database)
    return database, ImageStore(home / "pictures")


def fill(database: Database, store: ImageStore, name: str = "정원 = 1") -> Project:
    """Make the project; every image is another, but for two that are nearly the same."""
    with database.write() as session:
        project = create_project(session, name, NOW)
    sources = [
        Source(f"나의 사진/{name}/같은 이름.jpg", _gives(number), name, "folder")
        for number, name in enumerate(CLASSES)
    ]
    sources += [
        Source("https://정원.example/같은%20이름.jpg?w=640", _gives(20), "장미 꽃", "crawl", KNOWN),
        Source("https://mirror.example/x.JPEG", _gives(20), "a/b", "openverse", OTHER),
        Source("폴더/again.jpg", _gives(20), None, "archive"),
        Source("webcam -1.png", _gives(21, "PNG"), None, "camera"),
        Source("=cmd|' /C calc'!A0.gif", _gives(22, "GIF"), None, "upload"),
        Source("no ending", _gives(23, "WEBP"), None, "upload"),
        Source("CON.bmp", _gives(24, "BMP"), "CON", "upload"),
        Source("wrong ending.jpg", _gives(25, "TIFF"), "CON", "upload"),
        Source("x" * 250 + ".jpg", _gives(26), "7", "upload"),
        Source("near.jpg", _gives(20, size=1.5), "장미 꽃", "upload"),
    ]
    ingest(
        ImportContext(
            database=database, store=store, project_id=project.id, clock=lambda: NOW + timedelta(seconds=1.5)
        ),
        sources,
    )
    with database.write() as session:
        styles = {"장미 꽃": ("#e0457b", "ㅈ"), "CON": ("#00ff00", "c"), "a/b": ("", "1")}
        kind, label, image = models.ImageClassRow, models.LabelRow, models.ImageRow
        for class_name, (colour, hotkey) in styles.items():
            session.execute(update(kind).where(kind.name == class_name).values(colour=colour, hotkey=hotkey))
        session.add(kind(project_id=project.id, name="아직 비어 있음", position=50, colour="#123456"))
        session.execute(update(kind).where(kind.name == "CON").values(position=60))  # last in order
        ids = session.scalars(select(image.id).order_by(image.sha256)).all()
        classes = {name: class_id for name, class_id in session.execute(select(kind.name, kind.id))}  # noqa: C416

        def put(number: int, **values: Any) -> None:
            wanted = (label.project_id == project.id, label.image_id == ids[number])
            session.execute(update(label).where(*wanted).values(**values))

        put(0, state="rejected", class_id=None)
        put(1, state="rejected", class_id=classes["7"], split="testing")
        put(2, split="training")
        put(3, split="validation")
        put(4, split="testing")
        put(5, state="unlabelled", class_id=None, split="validation")
        duplicate_groups.merge_pairs(session, project.id, [(ids[9], ids[8]), (ids[9], ids[7])])
    return project


def _gives(seed: int, format_name: str = "JPEG", *, size: float = 1) -> Callable[[], bytes]:
    return lambda: image_bytes(seed, round(480 * size), round(320 * size), format_name)


def everything(database: Database, project: str) -> dict[str, Any]:
    """All of a project that is worth keeping, in terms of no database's ids."""
    label, image, kind, found = models.LabelRow, models.ImageRow, models.ImageClassRow, models.ProvenanceRow
    with database.read() as session:
        project_id = session.scalar(select(models.ProjectRow.id).where(models.ProjectRow.name == project))
        assert project_id is not None
        digests = {image_id: digest for image_id, digest in session.execute(select(image.id, image.sha256))}  # noqa: C416
        labels = session.execute(
            select(image.sha256, label.state, kind.name, label.split, image.format, image.width_px)
            .join(image, image.id == label.image_id)
            .outerjoin(kind, kind.id == label.class_id)
            .where(label.project_id == project_id)
        )
        places: dict[str, list[tuple[Any, ...]]] = {}
        for row in session.scalars(select(found).filter_by(project_id=project_id).order_by(found.id)):
            metadata = {name: value for name, value in vars(row).items() if name[0] != "_"}
            for name in ("id", "project_id", "image_id"):
                del metadata[name]
            places.setdefault(digests[row.image_id], []).append(tuple(sorted(metadata.items())))
        groups = duplicate_groups.memberships(session, project_id)
        classes = session.execute(
            select(kind.name, kind.colour, kind.hotkey)
            .where(kind.project_id == project_id, kind.removed_at.is_(None))
            .order_by(kind.position)
        )
        return {
            "labels": {digest: tuple(rest) for digest, *rest in labels},
            "places": places,
            "groups": {digests[image_id]: digests[found.group_id] for image_id, found in groups.items()},
            "classes": [tuple(row) for row in classes],
        }


def exported(
    database: Database,
    store: ImageStore,
    project: Project,
    kind: str,
    output: Path,
    progress: Progress | None = None,
) -> ExportResult:
    return export(database, store, project, kind, output, progress=progress or Silent())


def imported(home: Path, path: Path, **more: Any) -> tuple[Database, IngestReport]:
    """Import into a data folder of its own; give its database and the report."""
    home.mkdir(parents=True, exist_ok=True)
    database, store = studio(home)
    return database, imported_into(database, store, path, **more)


def imported_into(
    database: Database, store: ImageStore, path: Path, name: str = "back", **more: Any
) -> IngestReport:
    with database.write() as session:
        project = create_project(session, name, NOW)
    return ingest_path(
        ImportContext(
            database=database, store=store, project_id=project.id, clock=lambda: NOW + timedelta(days=9)
        ),
        path,
        **more,
    )
