"""What an export's job does, and how many of a project's exports are kept."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # which itself imports this
    from studio.jobs.kinds import Work

KEPT = 3
"""So many exports of a project in one format stay for the browser to fetch; older ones make room."""
_SHOWN = 500


def _export_data(work: "Work") -> dict[str, Any]:
    from studio.collect.projects import project_of
    from studio.collect.store import PictureStore
    from studio.curate.export.export import export

    arguments, settings = work.job.arguments, work.settings
    with work.database.read() as session:
        project = project_of(session, work.project_id)
    name = arguments.get("name")
    shelf = settings.exports_dir / str(project.id)
    if name:
        _clear(shelf)
    output = shelf / name if name else Path(arguments["output"])
    kind = arguments["format"]
    done = export(
        work.database,
        PictureStore(settings.pictures_dir),
        project,
        kind,
        output,
        progress=work.progress,
        token=str(work.job.id),
    )
    if name:
        _make_room(work, shelf, kind, name)
    lost = [asdict(each) for each in done.lost]
    return {
        **asdict(done),
        "format": kind,
        **({"name": name} if name else {"output": str(output)}),
        "lost_count": len(lost),
        "lost": lost[:_SHOWN],
    }


def _clear(shelf: Path) -> None:
    """Remove what exports that were cut off have left; a project has one at a time."""
    for part in shelf.glob(".export-*.part") if shelf.is_dir() else ():
        part.unlink(missing_ok=True)


def _make_room(work: "Work", shelf: Path, kind: str, name: str) -> None:
    from studio.jobs.export_requests import exports

    with work.database.read() as session:
        found = [each for each in exports(session, shelf.parent, work.project_id) if each.kind == kind]
    earlier = [each.name for each in found if each.name != name]
    for old in earlier[KEPT - 1 :]:
        try:
            (shelf / old).unlink(missing_ok=True)
        except OSError:  # on Windows, while somebody fetches it: the next export will
            continue


EXPORTING = {"export_data": _export_data}
