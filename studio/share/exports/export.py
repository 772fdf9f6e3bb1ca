"""Export of a run's model in one format, with its documents and the measured parity."""

import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from studio.backbones import get_backbone
from studio.errors import JobFailed, OutputRefused
from studio.files import atomic_bytes, atomic_text
from studio.i18n import _
from studio.images.file_names import safe_name
from studio.predict.model import Model
from studio.retrain.confidence import CONFIDENCE_FILE
from studio.retrain.run_folder import read_model_json, read_snapshot
from studio.retrain.snapshot import Snapshot
from studio.share.exports.documents import MODEL_CARD, README, model_card, readme, write_attribution
from studio.share.exports.export_format import ExportContext, ExportFormat
from studio.share.exports.formats import EXPORT_FORMATS
from studio.share.exports.parity import PARITY_FILE, Parity, measure_parity

_ZIP_SUFFIX = ".zip"
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every member, so that the same files give the same bytes."""
_FILE_MODE = 0o100644 << 16


@dataclass(frozen=True)
class ExportResult:
    """A finished export: its folder or .zip, its format's name and its parity with the run's own model."""

    path: Path
    format: str
    parity: Parity


def export_run(run_dir: Path, format_name: str, output: Path, context: ExportContext) -> ExportResult:
    """Write a finished run's model in a format of `EXPORT_FORMATS`, completely or not at all.

    output: a folder that does not exist or is empty, or a .zip, which is replaced.
    Raises OutputRefused, ModelUnreadable, BackboneError, Stopped, and JobFailed when the written model's
    probabilities differ from the run's by more than the format allows.
    """
    export_format = EXPORT_FORMATS[format_name]
    check_output(output)
    card = read_model_json(run_dir)
    model = Model.open(run_dir)
    snapshot = read_snapshot(run_dir, card)
    with _staging_dir(output) as staging_dir:
        folder = staging_dir / f"{safe_name(context.name, 'model')} {export_format.name}"
        folder.mkdir()
        export_format.write(run_dir, folder, context)
        parity = _measure(export_format, folder, model, card["backbone"]["name"], snapshot, context)
        parity.write(
            folder / PARITY_FILE,
            format=export_format.name,
            name=context.name,
            model_sha256=card["model_sha256"],
            snapshot=card["snapshot"],
        )
        if (run_dir / CONFIDENCE_FILE).is_file():
            shutil.copyfile(run_dir / CONFIDENCE_FILE, folder / CONFIDENCE_FILE)
        write_attribution(run_dir, folder, snapshot)
        with atomic_text(folder / MODEL_CARD) as file:
            file.write(model_card(run_dir, folder, context.name, snapshot))
        with atomic_text(folder / README) as file:
            file.write(readme(export_format, context.name, model, parity, folder))
        _publish(folder, output)
    return ExportResult(output, export_format.name, parity)


def check_output(output: Path) -> None:
    """Raise OutputRefused if an export cannot be written to `output`; called before any work is done."""
    occupied = output.is_dir() if output.suffix.lower() == _ZIP_SUFFIX else _is_occupied(output)
    if occupied:
        raise OutputRefused(
            _("expected a .zip, or a folder that is empty or new; {path} is neither. Choose another.").format(
                path=output
            )
        )


def _is_occupied(output: Path) -> bool:
    return output.exists() and not (output.is_dir() and next(output.iterdir(), None) is None)


@contextmanager
def _staging_dir(output: Path) -> Iterator[Path]:
    """Make a temporary folder beside `output`, on the same disk, and remove it at the end."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        staging_dir = Path(tempfile.mkdtemp(prefix=".export-", suffix=".part", dir=output.parent))
    except OSError as error:
        raise OutputRefused(
            _("{path} cannot be written: {reason}. Choose another place.").format(
                path=output, reason=error.strerror or error
            )
        ) from error
    try:
        yield staging_dir
    finally:
        shutil.rmtree(staging_dir, ignore_errors=True)


def _measure(
    export_format: ExportFormat,
    folder: Path,
    model: Model,
    backbone: str,
    snapshot: Snapshot,
    context: ExportContext,
) -> Parity:
    """Return the parity of a written folder. Raises JobFailed beyond the format's `max_difference`."""
    size_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if export_format.load_predictor is None:
        return Parity(size_bytes)
    parity = measure_parity(
        model,
        export_format.load_predictor(folder),
        snapshot.of_split("testing"),
        size_bytes=size_bytes,
        threads=context.threads,
        progress=context.progress,
    )
    input_side_px = model.preprocessing.width_px
    exact = not get_backbone(backbone).quantized and export_format.input_side_px in (None, input_side_px)
    limit, difference = export_format.max_difference, parity.largest_difference
    if exact and limit is not None and difference is not None and not difference <= limit:
        raise JobFailed(
            _(
                "{format}: a probability differs from the model's by {difference}; at most {limit} was "
                "expected. The export was not written. Choose another format."
            ).format(format=export_format.title, difference=f"{difference:.3g}", limit=limit)
        )
    return parity


def _publish(folder: Path, output: Path) -> None:
    """Move the finished folder to `output`, or pack it into the .zip there."""
    try:
        if output.suffix.lower() == _ZIP_SUFFIX:
            _write_zip(folder, output)
            return
        if output.is_dir():
            output.rmdir()  # empty; Windows does not rename over an existing folder
        folder.rename(output)
    except OSError as error:
        raise OutputRefused(
            _("{path} cannot be written: {reason}. Choose another place.").format(
                path=output, reason=error.strerror or error
            )
        ) from error


def _write_zip(folder: Path, output: Path) -> None:
    """Write a .zip that contains the folder; the same files give the same bytes."""
    with atomic_bytes(output) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            member = zipfile.ZipInfo(path.relative_to(folder.parent).as_posix(), _ZIP_EPOCH)
            member.external_attr, member.compress_type = _FILE_MODE, zipfile.ZIP_DEFLATED
            with path.open("rb") as source, archive.open(member, "w", force_zip64=True) as target:
                shutil.copyfileobj(source, target)
