"""The ways in, each as one call: a path on this machine, uploads, drawings, the codelab's photographs.

All are safe to run again with the same `job_id`: what is finished is not done twice. All raise what `ingest`
raises, and what the ways in themselves do.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal, Unpack

import numpy as np

from db.engine import Database
from studio.collect import codelab
from studio.collect.address_lists import is_address_list
from studio.collect.archives import archive_offer, is_archive
from studio.collect.download import download
from studio.collect.drawings import PER_CLASS, drawings_offer
from studio.collect.formats import Notes
from studio.collect.ingest import Ingesting, IngestReport, ingest
from studio.collect.names import class_name_of
from studio.collect.sources import Offer, Source, file_source, folder_offer, refused_source
from studio.collect.store import PictureStore
from studio.collect.why import Why
from studio.errors import ArchiveRefused, SourceMissing
from studio.language import _
from studio.progress import Progress


def what_is(path: Path) -> Literal["folder", "archive", "addresses", "picture"]:
    """Return what is at `path`, by its content; whatever is nothing else passes for a picture.

    Raises SourceMissing when there is nothing.
    """
    if path.is_dir():
        return "folder"
    if not path.exists():
        raise SourceMissing(
            _(
                "expected a folder, an archive, a picture or a list of addresses; there is nothing at {path}."
            ).format(path=path)
        )
    if is_archive(path):
        return "archive"
    return "addresses" if is_address_list(path) else "picture"


def path_offer(path: Path, class_name: str | None, *, progress: Progress) -> Offer:
    """Return what is at `path`: a folder or an archive in any format the studio knows, or one picture.

    `class_name` is for what has no class of its own. A list of addresses is refused as a file: its pictures
    are not here. Raises SourceMissing when there is nothing, ArchiveRefused when an archive is broken,
    unsafe, too large or a project of something else than pictures.
    """
    class_name = class_name_of(class_name or "")
    match what_is(path):
        case "folder":
            return _folder(path, "folder", class_name)
        case "archive":
            return archive_offer(path, class_name=class_name, progress=progress)
        case "addresses":
            return Offer(1, [_list_refused(path.name, "folder")])
        case "picture":
            return Offer(1, [file_source(path, path.name, class_name, "folder")])


def _folder(root: Path, kind: str, class_name: str | None) -> Offer:
    """Return a folder's files with the classes and papers of its format."""
    sources = list(folder_offer(root, kind=kind).sources)
    notes = Notes()
    for source in sources:
        notes.see(source.name, source.read)
    layout = notes.layout([source.name for source in sources], root.name)
    offered = [
        replace(
            source,
            class_name=layout.class_of(source.name) or class_name,
            papers=layout.papers_of(source.name),
        )
        for source in sources
        if source.name not in layout.descriptions
    ]
    offered += [refused_source(named.name, named.reason, kind, named.why) for named in layout.unusable]
    return Offer(len(offered), offered)


def _list_refused(name: str, kind: str) -> Source:
    reason = _("{name} is a list of addresses, not a picture: give it under Addresses.")
    return refused_source(name, reason.format(name=name), kind, Why.NOT_A_PICTURE)


def ingest_path(
    database: Database,
    store: PictureStore,
    project_id: int,
    path: Path,
    class_name: str | None = None,
    **ingesting: Unpack[Ingesting],
) -> IngestReport:
    """Take in what `path_offer` finds at `path`."""
    offer = path_offer(path, class_name, progress=ingesting["progress"])
    return _ingest(database, store, project_id, offer, ingesting)


def ingest_uploads(
    database: Database,
    store: PictureStore,
    project_id: int,
    folder: Path,
    class_name: str | None,
    kind: str = "upload",
    **ingesting: Unpack[Ingesting],
) -> IngestReport:
    """Take in a folder of uploaded files: pictures, archives, folders in any format the studio knows.

    `class_name` is for what has no class of its own; `kind` is how the files came, for their papers.
    An archive that cannot be read is refused as one file and costs the others nothing; so is a list of
    addresses.
    """
    class_name = class_name_of(class_name or "")
    offers = []
    loose: list[Source] = []
    for source in _folder(folder, kind, class_name).sources:
        if source.path is None or (what := what_is(source.path)) == "picture":
            loose.append(source)
            continue
        if what == "addresses":
            loose.append(_list_refused(source.name, kind))
            continue
        try:
            offers.append(
                archive_offer(
                    source.path,
                    kind=kind,
                    class_name=class_name,
                    prefix=f"{source.name}/",
                    progress=ingesting["progress"],
                )
            )
        except ArchiveRefused as refusal:
            loose.append(refused_source(source.name, str(refusal), kind))

    def sources() -> Iterator[Source]:
        yield from loose
        for offer in offers:
            yield from offer.sources

    everything = Offer(len(loose) + sum(offer.total for offer in offers), sources())
    return _ingest(database, store, project_id, everything, ingesting)


def ingest_drawings(
    database: Database,
    store: PictureStore,
    project_id: int,
    seed: int,
    per_class: int = PER_CLASS,
    **ingesting: Unpack[Ingesting],
) -> IngestReport:
    """Take in drawings made on the spot; one `seed` gives the same drawings every time."""
    offer = drawings_offer(np.random.default_rng(seed), per_class)
    return _ingest(database, store, project_id, offer, ingesting)


def ingest_codelab(
    database: Database,
    store: PictureStore,
    project_id: int,
    downloads_dir: Path,
    address: str = codelab.ADDRESS,
    **ingesting: Unpack[Ingesting],
) -> IngestReport:
    """Fetch the codelab's flower photographs, where that has not been done, and take them in.

    Raises DownloadFailed when they cannot be fetched; asking again goes on from there.
    """
    path = download(address, downloads_dir / "flower_photos.tgz", progress=ingesting["progress"])
    try:
        papers_of = partial(codelab.papers_of, credit_by_file=codelab.read_credits(path))
        offer = archive_offer(path, kind="download", papers_of=papers_of, progress=ingesting["progress"])
    except ArchiveRefused:
        path.unlink()  # asking again fetches it anew
        raise
    return _ingest(database, store, project_id, offer, ingesting)


def _ingest(
    database: Database, store: PictureStore, project_id: int, offer: Offer, ingesting: Ingesting
) -> IngestReport:
    return ingest(database, store, project_id, offer.sources, total=offer.total, **ingesting)
