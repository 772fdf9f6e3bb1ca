"""Counts of a project's images, and one of its images."""

from db.engine import Database
from db.labelling import LabelOperation, LabelTarget, record_operation
from db.models import ImageClassRow, ImageRow, ProjectRow, ProvenanceRow
from studio.curate.items import count_images, project_image
from tests.conftest import NOW

PLACES = {
    # number of the image: (kind, licence) of every place where it was found
    0: [("crawl", "CC BY 2.0")],
    1: [("crawl", "")],
    2: [("crawl", ""), ("openverse", "CC0 1.0")],
    3: [("folder", "")],
    4: [("camera", "")],
    5: [("drawing", "")],
    6: [("archive", ""), ("upload", "")],
    7: [("commons", "CC BY-SA 4.0"), ("list", "")],
    8: [],
}


def filled(database: Database, name: str, places: dict[int, list[tuple[str, str]]]) -> int:
    """Make a project and return its id; even images are labelled, number 7 is rejected."""
    with database.write() as session:
        project = ProjectRow(name=name, created_at=NOW)
        session.add(project)
        session.flush()
        rose = ImageClassRow(project_id=project.id, name="장미", position=0)
        session.add_all([rose, ImageClassRow(project_id=project.id, name="튤립", position=1)])
        for number in places:
            if session.get(ImageRow, number + 1) is None:
                session.add(
                    ImageRow(
                        id=number + 1,
                        sha256=f"{number:064x}",
                        format="PNG",
                        width_px=4,
                        height_px=3,
                        size_bytes=1234,
                        perceptual_hash="0" * 16,
                        created_at=NOW,
                    )
                )
        session.flush()
        session.add_all(
            ProvenanceRow(
                project_id=project.id,
                image_id=number + 1,
                kind=kind,
                address=f"{at}/{number}.png",
                licence=licence,
                found_at=NOW,
            )
            for number, found in places.items()
            for at, (kind, licence) in enumerate(found)
        )
        targets: dict[int, LabelTarget] = {
            number + 1: LabelTarget("unlabelled") if number % 2 else LabelTarget("labelled", rose.id)
            for number in places
        }
        record_operation(session, LabelOperation(f"{name} in", project.id, NOW, targets))
        rejected: dict[int, LabelTarget] = {8: LabelTarget("rejected")}
        record_operation(session, LabelOperation(f"{name} out", project.id, NOW, rejected))
        return project.id


def test_counts_of_one_project_alone(database: Database) -> None:
    project = filled(database, "정원", PLACES)
    filled(database, "other", {1: [], 2: []})
    with database.read() as session:
        found = count_images(session, project)
    assert found.by_class == {"장미": 5, "튤립": 0}
    assert (found.labelled, found.unlabelled, found.rejected, found.total) == (5, 3, 1, 9)


def test_one_image_and_only_of_its_project(database: Database) -> None:
    project = filled(database, "정원", {0: PLACES[0], 7: PLACES[7]})
    other = filled(database, "other", {1: PLACES[1], 7: PLACES[7]})
    with database.read() as session:
        found = project_image(session, project, 1)
        assert found is not None
        assert (found.name, found.state, found.class_name) == ("0.png", "labelled", "장미")
        assert (found.width_px, found.height_px, found.format, found.size_bytes) == (4, 3, "PNG", 1234)
        assert project_image(session, other, 1) is None
        assert project_image(session, project, 99) is None
