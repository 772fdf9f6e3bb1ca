"""Exporting: a run's model in one form, with its provenance, and the measure of how near it came."""

import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from studio.backbones import backbone_named
from studio.errors import JobFailed, OutputRefused
from studio.files import atomic_bytes, atomic_text
from studio.i18n import _
from studio.images.file_names import safe_name
from studio.predict.model import Model
from studio.retrain.confidence import SURENESS
from studio.retrain.run_folder import read_model_json, read_snapshot
from studio.retrain.snapshot import Snapshot
from studio.share.exports.documents import CARD, README, model_card, readme, write_provenance
from studio.share.exports.format import Context, Format
from studio.share.exports.formats import FORMATS
from studio.share.exports.parity import PARITY, Parity, measured

_ZIP = ".zip"
_LONG_AGO = (1980, 1, 1, 0, 0, 0)
_FILE_MODE = 0o100644 << 16


@dataclass(frozen=True)
class Exported:
    """What was written, and how near it is to the run's own model."""

    path: Path
    format: str
    parity: Parity


def export(run_dir: Path, format_name: str, output: Path, context: Context) -> Exported:
    """Write a finished run's model in a form of `FORMATS`, whole or not at all.

    output: a folder that is not there yet or is empty, or a .zip, which is replaced.
    Raises OutputRefused, ModelUnreadable, BackboneError, Stopped, and JobFailed when what was written does
    not answer as the run's model does.
    """
    form = FORMATS[format_name]
    check(output)
    card = read_model_json(run_dir)
    model = Model.open(run_dir)
    snapshot = read_snapshot(run_dir, card)
    with _beside(output) as room:
        inside = room / f"{safe_name(context.name, 'model')} {form.name}"
        inside.mkdir()
        form.write(run_dir, inside, context)
        parity = _compared(form, inside, model, card["backbone"]["name"], snapshot, context)
        parity.write(
            inside / PARITY,
            format=form.name,
            name=context.name,
            model_sha256=card["model_sha256"],
            snapshot=card["snapshot"],
        )
        if (run_dir / SURENESS).is_file():
            shutil.copyfile(run_dir / SURENESS, inside / SURENESS)
        write_provenance(run_dir, inside, snapshot)
        with atomic_text(inside / CARD) as file:
            file.write(model_card(run_dir, inside, context.name, snapshot))
        with atomic_text(inside / README) as file:
            file.write(readme(form, context.name, model.labels, model.preprocessing, parity, inside))
        _put(inside, output)
    return Exported(output, form.name, parity)


def check(output: Path) -> None:
    """Raise OutputRefused where an export cannot go, before anything is made."""
    in_the_way = output.is_dir() if output.suffix.lower() == _ZIP else _filled(output)
    if in_the_way:
        raise OutputRefused(
            _("expected a .zip, or a folder that is empty or new; {path} is not. Name another.").format(
                path=output
            )
        )


def _filled(output: Path) -> bool:
    return output.exists() and not (output.is_dir() and next(output.iterdir(), None) is None)


@contextmanager
def _beside(output: Path) -> Iterator[Path]:
    """Give a folder of our own on the same disk, and take it away again."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        room = Path(tempfile.mkdtemp(prefix=".export-", suffix=".part", dir=output.parent))
    except OSError as error:
        raise OutputRefused(
            _("{path} cannot be written: {why}. Name another place.").format(
                path=output, why=error.strerror or error
            )
        ) from error
    try:
        yield room
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _compared(
    form: Format, inside: Path, model: Model, backbone: str, snapshot: Snapshot, context: Context
) -> Parity:
    size_bytes = sum(path.stat().st_size for path in inside.rglob("*") if path.is_file())
    if form.answer is None:
        return Parity(size_bytes)
    parity = measured(
        model,
        form.answer(inside),
        snapshot.of_split("testing"),
        size_bytes=size_bytes,
        threads=context.threads,
        progress=context.progress,
    )
    side_px = model.preprocessing.width_px
    exact = not backbone_named(backbone).quantized and form.side_px in (None, side_px)
    apart = parity.largest_difference
    if exact and form.near is not None and apart is not None and not apart <= form.near:
        raise JobFailed(
            _("{format} answers otherwise than the model ({difference} apart): not written.").format(
                format=form.title, difference=f"{apart:.3g}"
            )
        )
    return parity


def _put(inside: Path, output: Path) -> None:
    try:
        if output.suffix.lower() == _ZIP:
            _pack(inside, output)
            return
        if output.is_dir():
            output.rmdir()  # an empty one: Windows renames over no folder
        inside.rename(output)
    except OSError as error:
        raise OutputRefused(
            _("{path} cannot be written: {why}. Name another place.").format(
                path=output, why=error.strerror or error
            )
        ) from error


def _pack(inside: Path, output: Path) -> None:
    """Write a .zip with one folder in it; the same files give the same bytes."""
    with atomic_bytes(output) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in inside.rglob("*") if path.is_file()):
            member = zipfile.ZipInfo(path.relative_to(inside.parent).as_posix(), _LONG_AGO)
            member.external_attr, member.compress_type = _FILE_MODE, zipfile.ZIP_DEFLATED
            with path.open("rb") as source, archive.open(member, "w", force_zip64=True) as target:
                shutil.copyfileobj(source, target)
