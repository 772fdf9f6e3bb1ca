"""Importers: local paths, uploads, and the sample datasets.

Each may be called again with the same job id: files that are finished are not imported twice. Each raises
what `ingest` raises.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from studio.collect import sample_data
from studio.collect.archives import is_archive, sources_in_archive
from studio.collect.ingest import ImportContext, IngestReport, ingest
from studio.collect.sample_data import SHAPES_PER_CLASS, sample_shapes
from studio.collect.url_lists import is_url_list
from studio.datasets.class_styles import apply_class_styles, merge_class_styles
from studio.datasets.csv_table import is_image_table, table_sources
from studio.datasets.formats import FormatDetector
from studio.datasets.layout import Layout
from studio.datasets.names import clean_class_name
from studio.datasets.source_reader import SourceReader
from studio.datasets.sources import ImportSources, Source, file_source, folder_sources, refused_source
from studio.datasets.studio_export import restore_duplicate_groups
from studio.datasets.tfrecord import is_tfrecord_name
from studio.errors import ArchiveRefused, SourceMissing
from studio.i18n import _
from studio.images.download import download
from studio.images.skip_reasons import SkipReason
from studio.progress import Progress


def input_kind(path: Path) -> Literal["folder", "archive", "urls", "table", "records", "image"]:
    """Return the kind of input at `path`, detected by content; any other file counts as an image.

    Raises SourceMissing when `path` does not exist.
    """
    if path.is_dir():
        return "folder"
    if not path.exists():
        raise SourceMissing(
            _(
                "expected a folder, an archive, an image or a list of URLs; there is nothing at {path}."
            ).format(path=path)
        )
    if is_archive(path):
        return "archive"
    if is_url_list(path):
        return "urls"
    if is_image_table(path):
        return "table"
    return "records" if is_tfrecord_name(path.name) else "image"


def sources_at_path(path: Path, class_name: str | None, *, progress: Progress) -> ImportSources:
    """Return the sources at `path`: a folder or an archive in any supported format, or one file.

    A table of images gives the images it names, beside it or in the studio already. A list of URLs is
    skipped as a file, since its images are not on this machine. class_name: for images without a class of
    their own. Raises SourceMissing when `path` does not exist, ArchiveRefused when an archive is broken,
    unsafe, too large or a project of something other than images.
    """
    class_name = clean_class_name(class_name or "")
    match input_kind(path):
        case "folder":
            return _sources_in_files(list(folder_sources(path).sources), path.name, "folder", class_name)
        case "archive":
            return sources_in_archive(path, class_name=class_name, progress=progress)
        case "urls":
            return ImportSources(1, [_skipped_url_list(path.name, "folder")])
        case "table":
            return _sources_in_files(table_sources(path), path.name, "folder", class_name)
        case _:
            return _sources_in_files(
                [file_source(path, path.name, None, "folder")], path.name, "folder", class_name
            )


def _sources_in_files(
    files: Sequence[Source], title: str, kind: str, class_name: str | None
) -> ImportSources:
    """Return the sources in files, with the classes and provenance of their format."""
    layout = _detect_layout(files, title)
    reader = SourceReader(layout, kind=kind, class_name=class_name)

    def sources() -> Iterator[Source]:
        for file in files:
            yield from reader.sources_of(file.name, file.read, file.path)
        yield from reader.remaining_sources()

    return ImportSources(
        reader.total(file.name for file in files), sources(), layout.classes, layout.duplicate_groups
    )


def _detect_layout(files: Sequence[Source], title: str) -> Layout:
    detector = FormatDetector()
    for file in files:
        detector.add(file.name, file.read, file.path)
    return detector.layout([file.name for file in files], title)


def _skipped_url_list(name: str, kind: str) -> Source:
    message = _("{name} is a list of URLs, not an image. Add it under URLs.")
    return refused_source(name, message.format(name=name), kind, SkipReason.NOT_AN_IMAGE)


def ingest_path(context: ImportContext, path: Path, class_name: str | None = None) -> IngestReport:
    """Import the images at `path`; see `sources_at_path`."""
    found = sources_at_path(path, class_name, progress=context.progress)
    return _ingest_sources(context, found)


def ingest_uploads(
    context: ImportContext, folder: Path, class_name: str | None, kind: str = "upload"
) -> IngestReport:
    """Import a folder of uploaded files: images, archives, and folders in any supported format.

    class_name: for images without a class of their own. kind: provenance kind, upload or camera. An archive
    that cannot be read and a list of URLs are each skipped as one file; the other files are imported.
    """
    class_name = clean_class_name(class_name or "")
    files = list(folder_sources(folder, kind=kind).sources)
    layout = _detect_layout(files, folder.name)
    archives: list[ImportSources] = []
    loose: list[Source] = []
    skipped: list[Source] = []
    for file in files:
        is_known = file.name in layout.sidecars or file.name in layout.record_files
        file_kind = "image" if is_known or file.path is None else input_kind(file.path)
        if file_kind == "urls":
            skipped.append(_skipped_url_list(file.name, kind))
        elif file_kind != "archive":
            loose.append(file)
        elif file.path is not None:
            try:
                archives.append(
                    sources_in_archive(
                        file.path,
                        kind=kind,
                        class_name=class_name,
                        prefix=f"{file.name}/",
                        progress=context.progress,
                    )
                )
            except ArchiveRefused as error:
                skipped.append(refused_source(file.name, str(error), kind))
    reader = SourceReader(layout, kind=kind, class_name=class_name)

    def sources() -> Iterator[Source]:
        yield from skipped
        for file in loose:
            yield from reader.sources_of(file.name, file.read, file.path)
        yield from reader.remaining_sources()
        for archive in archives:
            yield from archive.sources

    near_duplicates = dict(layout.duplicate_groups)
    for archive in archives:
        near_duplicates |= archive.duplicate_groups
    found = ImportSources(
        reader.total(file.name for file in loose) + len(skipped) + sum(archive.total for archive in archives),
        sources(),
        merge_class_styles((*layout.classes, *(style for archive in archives for style in archive.classes))),
        near_duplicates,
    )
    return _ingest_sources(context, found)


def ingest_sample_shapes(
    context: ImportContext, seed: int, per_class: int = SHAPES_PER_CLASS
) -> IngestReport:
    """Import drawn sample shapes; the same `seed` gives the same images."""
    return _ingest_sources(context, sample_shapes(np.random.default_rng(seed), per_class))


def ingest_flower_photos(
    context: ImportContext, downloads_dir: Path, url: str = sample_data.FLOWER_PHOTOS_URL
) -> IngestReport:
    """Download the flower photographs, unless they are in `downloads_dir` already, and import them.

    Raises DownloadFailed when the download fails; a repeated call resumes it.
    """
    path = download(url, downloads_dir / "flower_photos.tgz", progress=context.progress)
    try:
        provenance_of = partial(
            sample_data.flower_provenance, credit_by_file=sample_data.read_flower_credits(path)
        )
        found = sources_in_archive(
            path, kind="download", provenance_of=provenance_of, progress=context.progress
        )
    except ArchiveRefused:
        path.unlink()  # so that a repeated call downloads it again
        raise
    return _ingest_sources(context, found)


def _ingest_sources(context: ImportContext, found: ImportSources) -> IngestReport:
    if found.classes:
        with context.database.write() as session:
            apply_class_styles(session, context.project_id, found.classes)
    report = ingest(context, found.sources, total=found.total)
    if found.duplicate_groups:
        with context.database.write() as session:
            restore_duplicate_groups(session, context.project_id, found.duplicate_groups)
    return report
