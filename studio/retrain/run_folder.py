"""The folder that a run leaves, whole once `model.json` is there: that file is written last.

model.tflite    backbone and head; uint8 pixels in, probabilities out
labels.txt      a class a line, in the order of the probabilities
model.json      all else: see `write_card`
snapshot.csv    what was trained on
tuned.npz       weights of the backbone that were trained too; of a fine-tuned run only
summaries/      TensorBoard event files
ATTRIBUTION.csv where its images were found, by whom they are and under which licence; of a project only
ATTRIBUTION.txt the credits, ready to be put beside what is made of the model; of a project only
"""

import hashlib
import json
import platform
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from studio.errors import ModelUnreadable
from studio.files import atomic_bytes, atomic_text
from studio.i18n import _
from studio.retrain.snapshot import Snapshot

FORMAT_VERSION = 1
MODEL, LABELS, CARD, SNAPSHOT, SUMMARIES = (
    "model.tflite",
    "labels.txt",
    "model.json",
    "snapshot.csv",
    "summaries",
)
TUNED = "tuned.npz"
ATTRIBUTION_TABLE, ATTRIBUTION_TEXT = "ATTRIBUTION.csv", "ATTRIBUTION.txt"
_LIBRARIES = ("retrain-studio", "tensorflow", "keras", "ai-edge-litert", "numpy", "pillow")


def write_model_json(run_dir: Path, card: dict[str, Any]) -> None:
    """Write `model.json`, with the versions of the format and of the libraries.

    card: `model_sha256`, `classes` and `preprocessing` are what `read_model`, `read_labels` and a model
    need; the rest is the run's own.
    """
    with atomic_text(run_dir / CARD) as file:
        json.dump(
            {"format_version": FORMAT_VERSION, **card, "versions": versions()},
            file,
            ensure_ascii=False,
            indent=1,
            allow_nan=False,
        )


def read_model_json(run_dir: Path) -> dict[str, Any]:
    """Return what `write_card` wrote. Raises ModelUnreadable."""
    path = run_dir / CARD
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelUnreadable(
            _(
                "expected a finished run's folder; {path} is not there. Retrain again, or name another."
            ).format(path=path)
        ) from error
    except (OSError, ValueError) as error:
        raise altered(path, error) from error
    found = card.get("format_version") if isinstance(card, dict) else None
    if found != FORMAT_VERSION:
        raise ModelUnreadable(
            _("{path} is of format {found}; this studio reads format {known}. Retrain, or update.").format(
                path=path, found=found, known=FORMAT_VERSION
            )
        )
    checked: dict[str, Any] = card
    return checked


def read_model(run_dir: Path, card: dict[str, Any]) -> bytes:
    """Return the bytes of `model.tflite`. Raises ModelUnreadable if they are not those the run wrote."""
    path = run_dir / MODEL
    try:
        content = path.read_bytes()
    except OSError as error:
        raise altered(path, error) from error
    if hashlib.sha256(content).hexdigest() != card.get("model_sha256"):
        raise altered(path, _("its SHA-256 is not the one in model.json"))
    return content


def write_tuned(run_dir: Path, tuned: dict[str, npt.NDArray[np.float32]]) -> None:
    """Write `tuned.npz`: float32 arrays by layer and variable, as `tune` of a tuned network takes them."""
    with atomic_bytes(run_dir / TUNED) as file:
        np.savez(file, **tuned)  # type: ignore[arg-type]


def read_tuned(run_dir: Path, card: dict[str, Any]) -> dict[str, npt.NDArray[np.float32]]:
    """Return what `write_tuned` wrote; nothing where only a head was trained. Raises ModelUnreadable."""
    if not card.get("facts", {}).get("fine_tuning"):
        return {}
    path = run_dir / TUNED
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise altered(path, error) from error


def read_labels(run_dir: Path, card: dict[str, Any]) -> tuple[str, ...]:
    """Return the classes. Raises ModelUnreadable if `labels.txt` does not agree with `model.json`."""
    path = run_dir / LABELS
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise altered(path, error) from error
    labels = tuple(card.get("classes", ()))
    if not labels or text != labels_text(labels):
        raise altered(path, _("its classes are not those in model.json"))
    return labels


def read_snapshot(run_dir: Path, card: dict[str, Any]) -> Snapshot:
    """Return what a run was trained on. Raises ModelUnreadable if it is not the one named in `model.json`."""
    path = run_dir / SNAPSHOT
    try:
        snapshot = Snapshot.read(path, read_labels(run_dir, card), int(card["options"]["seed"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise altered(path, error) from error
    if snapshot.hash != card.get("snapshot"):
        raise altered(path, _("it is not the snapshot named in model.json"))
    return snapshot


def labels_text(labels: tuple[str, ...]) -> str:
    """Return what `labels.txt` holds: a class a line."""
    return "".join(f"{label}\n" for label in labels)


def altered(path: Path, problem: object) -> ModelUnreadable:
    """Return the error of a file that is not as the run left it."""
    return ModelUnreadable(
        _("{path} is not as the run left it: {problem}. Retrain, or bring back the whole folder.").format(
            path=path, problem=problem
        )
    )


def versions() -> dict[str, str]:
    """Return the versions of what figures hang on: libraries, Python, the kind of machine."""
    found = {
        "python": platform.python_version(),
        # Machines of another kind round otherwise.
        "machine": f"{platform.system()} {platform.machine()}",
    }
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:  # the studio itself, run from its folder
            continue
    return found
