"""The looks that the studio takes by itself: a survey of a project's pictures, a review of its labels."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # whoever only needs the kinds' names does not pay for what they do
    from studio.curate.looks import Pictured
    from studio.jobs.kinds import Work


@dataclass(frozen=True)
class _File:
    sha256: str
    path: Path


def _survey(work: "Work") -> dict[str, Any]:
    import numpy as np

    from db.labelling import newest_number
    from studio.collect.store import PictureStore
    from studio.curate.findings import last_study
    from studio.curate.survey import identity_of, is_current, pictures_of, survey, surveyed_before
    from studio.retrain.backbones import DEFAULT, backbone_named, ready
    from studio.retrain.bottlenecks.cache import BottleneckCache
    from studio.retrain.bottlenecks.embedding import embed

    settings, folder = work.settings, _folder(work)
    with work.database.read() as session:
        number = newest_number(session, work.project_id)
        pictures = pictures_of(session, work.project_id)
        last = last_study(session, work.project_id, "survey")
    named = backbone_named(DEFAULT)
    identity = identity_of(pictures, f"{named.fingerprint} {named.preprocessing.fingerprint}")
    if last is not None and is_current(last, identity, folder):
        _note(work, number)
        return {"pictures": len(pictures), "unreadable": last.facts.get("unreadable", 0), "changed": False}
    store = PictureStore(settings.pictures_dir)
    backbone = ready(DEFAULT, settings.backbones_dir, work.progress)
    cache = BottleneckCache.of(settings.bottleneck_dir, backbone)
    files = [_File(each.sha256, store.original(each.sha256, each.format)) for each in pictures]
    refused = embed(files, backbone, cache, threads=settings.threads_used, progress=work.progress)
    without = {refusal.sha256 for refusal in refused}
    seen = [each for each in pictures if each.sha256 not in without]
    folder.mkdir(parents=True, exist_ok=True)
    # On disk, mapped: memory does not grow with the pictures. It goes when the array does.
    with tempfile.TemporaryFile(dir=folder) as scratch:
        # A map of nothing cannot be made.
        vectors = np.memmap(scratch, np.float32, "w+", shape=(max(1, len(seen)), backbone.features))
        try:
            cache.vectors([each.sha256 for each in seen], out=vectors[: len(seen)])
            _compare(work, seen, vectors[: len(seen)], surveyed_before(folder))
            facts = survey(
                work.database,
                store,
                folder,
                work.project_id,
                seen,
                vectors[: len(seen)],
                last=last,
                identity=identity,
                operation_number=number,
                threads=settings.threads_used,
                unreadable=len(without),
                progress=work.progress,
                now=_now(),
            )
        finally:
            del vectors  # Windows cannot remove a file that is mapped
    return {
        "pictures": len(pictures),
        "unreadable": len(without),
        "odd": facts["odd"],
        "changed": True,
    }


def _review(work: "Work") -> dict[str, Any]:
    from studio.curate.review import review
    from studio.curate.study_files import read_studied

    folder = _folder(work)
    if read_studied(folder) is None:  # never looked through, or the files are gone
        _survey(work)
    return dict(review(work.database, folder, work.project_id, progress=work.progress, now=_now()))


def _compare(work: "Work", pictures: Sequence["Pictured"], vectors: Any, known: frozenset[int]) -> None:
    """Group near copies by bottlenecks, those that came since the last survey with all."""
    from studio.collect.refinement import refine

    ids = [each.id for each in pictures]
    new = [image_id for image_id in ids if image_id not in known]
    if new:
        refine(work.database, work.project_id, ids, vectors, new=new, progress=work.progress)


def _note(work: "Work", number: int) -> None:
    """Write that the pictures were the same at this point of the history."""
    from studio.curate.findings import last_study, write_study

    with work.database.write() as session:
        last = last_study(session, work.project_id, "survey")
        if last is not None and last.operation_number < number:
            write_study(
                session,
                work.project_id,
                "survey",
                {},
                operation_number=number,
                facts=last.facts,
                now=_now(),
            )


def _folder(work: "Work") -> Path:
    return work.settings.studies_dir / str(work.project_id)


def _now() -> datetime:
    return datetime.now(UTC)


LOOKING = {"survey": _survey, "review": _review}
