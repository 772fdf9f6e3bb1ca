"""The ways in, each as one call: a path on this machine, uploads, drawings, the codelab's photographs.

All are safe to run again with the same `job_id`: what is finished is not done twice. All raise what `ingest`
raises, and what the ways in themselves do.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, Unpack

import numpy as np

from db.engine import Database
from studio.collect import sample_data
from studio.collect.address_lists import is_address_list
from studio.collect.archives import archive_offer, is_archive
from studio.collect.ingest import Ingesting, IngestReport, ingest
from studio.collect.sample_data import PER_CLASS, drawings_offer
from studio.datasets.class_styles import merged, settle
from studio.datasets.csv_table import is_image_table, table_files
from studio.datasets.formats import Notes
from studio.datasets.layout import Layout
from studio.datasets.names import class_name_of
from studio.datasets.reading import Offering
from studio.datasets.sources import Offer, Source, file_source, folder_offer, refused_source
from studio.datasets.studio_export import regroup
from studio.datasets.tfrecord import is_named_so
from studio.errors import ArchiveRefused, SourceMissing
from studio.i18n import _
from studio.images.download import download
from studio.images.reasons import SkipReason
from studio.images.store import ImageStore
from studio.progress import Progress


def what_is(path: Path) -> Literal["folder", "archive", "addresses", "table", "records", "image"]:
    """Return what is at `path`, by its content; whatever is nothing else passes for an image.

    Raises SourceMissing when there is nothing.
    """
    if path.is_dir():
        return "folder"
    if not path.exists():
        raise SourceMissing(
            _(
                "expected a folder, an archive, an image or a list of addresses; there is nothing at {path}."
            ).format(path=path)
        )
    if is_archive(path):
        return "archive"
    if is_address_list(path):
        return "addresses"
    if is_image_table(path):
        return "table"
    return "records" if is_named_so(path.name) else "image"


def path_offer(path: Path, class_name: str | None, *, progress: Progress) -> Offer:
    """Return what is at `path`: a folder or an archive in any format the studio knows, or one file.

    A table of images offers those that it names, beside it or in the studio already. `class_name` is for
    what has no class of its own. A list of addresses is refused as a file: its images are not here. Raises
    SourceMissing when there is nothing, ArchiveRefused when an archive is broken, unsafe, too large or a
    project of something else than images.
    """
    class_name = class_name_of(class_name or "")
    match what_is(path):
        case "folder":
            return _offer(list(folder_offer(path).sources), path.name, "folder", class_name)
        case "archive":
            return archive_offer(path, class_name=class_name, progress=progress)
        case "addresses":
            return Offer(1, [_list_refused(path.name, "folder")])
        case "table":
            return _offer(table_files(path), path.name, "folder", class_name)
        case _:
            return _offer([file_source(path, path.name, None, "folder")], path.name, "folder", class_name)


def _offer(files: Sequence[Source], title: str, kind: str, class_name: str | None) -> Offer:
    """Return the offer of files, with the classes and provenance of their format."""
    layout = _layout(files, title)
    found = Offering(layout, kind=kind, class_name=class_name)

    def sources() -> Iterator[Source]:
        for file in files:
            yield from found.of(file.name, file.read, file.path)
        yield from found.rest()

    return Offer(found.total(file.name for file in files), sources(), layout.classes, layout.copies)


def _layout(files: Sequence[Source], title: str) -> Layout:
    notes = Notes()
    for file in files:
        notes.see(file.name, file.read, file.path)
    return notes.layout([file.name for file in files], title)


def _list_refused(name: str, kind: str) -> Source:
    reason = _("{name} is a list of addresses, not an image: give it under Addresses.")
    return refused_source(name, reason.format(name=name), kind, SkipReason.NOT_AN_IMAGE)


def ingest_path(
    database: Database,
    store: ImageStore,
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
    store: ImageStore,
    project_id: int,
    folder: Path,
    class_name: str | None,
    kind: str = "upload",
    **ingesting: Unpack[Ingesting],
) -> IngestReport:
    """Take in a folder of uploaded files: images, archives, folders in any format the studio knows.

    `class_name` is for what has no class of its own; `kind` is how the files came, for their provenance.
    An archive that cannot be read is refused as one file and costs the others nothing; so is a list of
    addresses.
    """
    class_name = class_name_of(class_name or "")
    files = list(folder_offer(folder, kind=kind).sources)
    layout = _layout(files, folder.name)
    offers: list[Offer] = []
    loose: list[Source] = []
    refused: list[Source] = []
    for file in files:
        known = file.name in layout.descriptions or file.name in layout.records
        what = "image" if known or file.path is None else what_is(file.path)
        if what == "addresses":
            refused.append(_list_refused(file.name, kind))
        elif what != "archive":
            loose.append(file)
        elif file.path is not None:
            try:
                offers.append(
                    archive_offer(
                        file.path,
                        kind=kind,
                        class_name=class_name,
                        prefix=f"{file.name}/",
                        progress=ingesting["progress"],
                    )
                )
            except ArchiveRefused as refusal:
                refused.append(refused_source(file.name, str(refusal), kind))
    found = Offering(layout, kind=kind, class_name=class_name)

    def sources() -> Iterator[Source]:
        yield from refused
        for file in loose:
            yield from found.of(file.name, file.read, file.path)
        yield from found.rest()
        for offer in offers:
            yield from offer.sources

    copies = dict(layout.copies)
    for offer in offers:
        copies |= offer.copies
    everything = Offer(
        found.total(file.name for file in loose) + len(refused) + sum(offer.total for offer in offers),
        sources(),
        merged((*layout.classes, *(look for offer in offers for look in offer.classes))),
        copies,
    )
    return _ingest(database, store, project_id, everything, ingesting)


def ingest_drawings(
    database: Database,
    store: ImageStore,
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
    store: ImageStore,
    project_id: int,
    downloads_dir: Path,
    address: str = sample_data.ADDRESS,
    **ingesting: Unpack[Ingesting],
) -> IngestReport:
    """Fetch the codelab's flower photographs, where that has not been done, and take them in.

    Raises DownloadFailed when they cannot be fetched; asking again goes on from there.
    """
    path = download(address, downloads_dir / "flower_photos.tgz", progress=ingesting["progress"])
    try:
        provenance_of = partial(sample_data.provenance_of, credit_by_file=sample_data.read_credits(path))
        offer = archive_offer(
            path, kind="download", provenance_of=provenance_of, progress=ingesting["progress"]
        )
    except ArchiveRefused:
        path.unlink()  # asking again fetches it anew
        raise
    return _ingest(database, store, project_id, offer, ingesting)


def _ingest(
    database: Database, store: ImageStore, project_id: int, offer: Offer, ingesting: Ingesting
) -> IngestReport:
    if offer.classes:
        with database.write() as session:
            settle(session, project_id, offer.classes)
    report = ingest(database, store, project_id, offer.sources, total=offer.total, **ingesting)
    if offer.copies:
        with database.write() as session:
            regroup(session, project_id, offer.copies)
    return report
