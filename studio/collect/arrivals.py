"""The ways in, each as one call: a path on this machine, uploads, drawings, the codelab's photographs.

All are safe to run again with the same `job_id`: what is finished is not done twice. All raise what `ingest`
raises, and what the ways in themselves do.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Unpack

import numpy as np

from db.engine import Database
from studio.collect import codelab
from studio.collect.archives import archive_offer, is_archive
from studio.collect.download import download
from studio.collect.drawings import PER_CLASS, drawings_offer
from studio.collect.ingest import Ingesting, IngestReport, ingest
from studio.collect.names import class_name_of
from studio.collect.sources import Offer, Source, file_source, folder_offer, refused_source
from studio.collect.store import PictureStore
from studio.errors import ArchiveRefused, SourceMissing
from studio.language import _
from studio.progress import Progress


def path_offer(path: Path, class_name: str | None, *, progress: Progress) -> Offer:
    """Return what is at `path`: a folder of class folders, an archive of them, or one picture.

    `class_name` is for what stands in no class folder. Raises SourceMissing when there is nothing,
    ArchiveRefused when an archive is broken, unsafe or too large.
    """
    class_name = class_name_of(class_name or "")
    if path.is_dir():
        return folder_offer(path, class_name=class_name)
    if not path.exists():
        raise SourceMissing(
            _("expected a folder, an archive or a picture; there is nothing at {path}.").format(path=path)
        )
    if is_archive(path):
        return archive_offer(path, class_name=class_name, progress=progress)
    return Offer(1, [file_source(path, path.name, class_name, "folder")])


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
    **ingesting: Unpack[Ingesting],
) -> IngestReport:
    """Take in a folder of uploaded files: pictures, class folders of them, and archives.

    `class_name` is for what stands in no class folder. An archive that cannot be read is refused as one file
    and costs the others nothing.
    """
    class_name = class_name_of(class_name or "")
    progress = ingesting["progress"]
    offers = []
    loose: list[Source] = []
    for source in folder_offer(folder, kind="upload", class_name=class_name).sources:
        if source.path is None or not is_archive(source.path):
            loose.append(source)
            continue
        try:
            offers.append(
                archive_offer(
                    source.path,
                    kind="upload",
                    class_name=class_name,
                    prefix=f"{source.name}/",
                    progress=progress,
                )
            )
        except ArchiveRefused as refusal:
            loose.append(refused_source(source.name, str(refusal), "upload"))

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
