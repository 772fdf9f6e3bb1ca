"""Reading and writing a run's folder. It is complete once `model.json` exists, which is written last.

model.tflite    backbone and head; uint8 pixels in, probabilities out
labels.txt      one class per line, in the order of the probabilities
model.json      everything else: see `write_model_json`
snapshot.csv    the images, labels and splits of the run
tuned.npz       trained backbone weights; fine-tuned runs only
summaries/      TensorBoard event files
ATTRIBUTION.csv where the images were found, their authors and licences; runs of a project only
ATTRIBUTION.txt the same as a text to publish with the model; runs of a project only
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
MODEL_FILE, LABELS_FILE, MODEL_JSON, SNAPSHOT_FILE, SUMMARIES_DIR = (
    "model.tflite",
    "labels.txt",
    "model.json",
    "snapshot.csv",
    "summaries",
)
TUNED_WEIGHTS = "tuned.npz"
ATTRIBUTION_TABLE, ATTRIBUTION_TEXT = "ATTRIBUTION.csv", "ATTRIBUTION.txt"
_LIBRARIES = ("retrain-studio", "tensorflow", "keras", "ai-edge-litert", "numpy", "pillow")


def write_model_json(run_dir: Path, values: dict[str, Any]) -> None:
    """Write `model.json`, with the versions of the format and of the libraries.

    values: `model_sha256`, `classes` and `preprocessing` are required by `read_model`, `read_labels` and
    `studio.predict.model.Model`; the others are read by `studio.retrain.run.read_run` only.
    """
    with atomic_text(run_dir / MODEL_JSON) as file:
        json.dump(
            {"format_version": FORMAT_VERSION, **values, "versions": library_versions()},
            file,
            ensure_ascii=False,
            indent=1,
            allow_nan=False,
        )


def read_model_json(run_dir: Path) -> dict[str, Any]:
    """Return the contents of `model.json`. Raises ModelUnreadable."""
    path = run_dir / MODEL_JSON
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelUnreadable(
            _(
                "expected a finished run's folder; {path} is not there. Retrain, or choose another folder."
            ).format(path=path)
        ) from error
    except (OSError, ValueError) as error:
        raise altered_file_error(path, error) from error
    version_found = values.get("format_version") if isinstance(values, dict) else None
    if version_found != FORMAT_VERSION:
        raise ModelUnreadable(
            _(
                "{path} has format {found}; this studio reads format {known}. Retrain, or update the studio."
            ).format(path=path, found=version_found, known=FORMAT_VERSION)
        )
    checked: dict[str, Any] = values
    return checked


def read_model(run_dir: Path, model_json: dict[str, Any]) -> bytes:
    """Return the bytes of `model.tflite`. Raises ModelUnreadable if their SHA-256 is not in `model.json`."""
    path = run_dir / MODEL_FILE
    try:
        content = path.read_bytes()
    except OSError as error:
        raise altered_file_error(path, error) from error
    if hashlib.sha256(content).hexdigest() != model_json.get("model_sha256"):
        raise altered_file_error(path, _("its SHA-256 is not the one in model.json"))
    return content


def write_tuned_weights(run_dir: Path, weights: dict[str, npt.NDArray[np.float32]]) -> None:
    """Write `tuned.npz`: float32 arrays of the trained backbone blocks, by layer and variable."""
    with atomic_bytes(run_dir / TUNED_WEIGHTS) as file:
        np.savez(file, **weights)  # type: ignore[arg-type]


def read_tuned_weights(run_dir: Path, model_json: dict[str, Any]) -> dict[str, npt.NDArray[np.float32]]:
    """Return the arrays of `tuned.npz`; empty for a run without fine-tuning. Raises ModelUnreadable."""
    if not model_json.get("facts", {}).get("fine_tuning"):
        return {}
    path = run_dir / TUNED_WEIGHTS
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise altered_file_error(path, error) from error


def read_labels(run_dir: Path, model_json: dict[str, Any]) -> tuple[str, ...]:
    """Return the classes. Raises ModelUnreadable if `labels.txt` and `model.json` differ."""
    path = run_dir / LABELS_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise altered_file_error(path, error) from error
    labels = tuple(model_json.get("classes", ()))
    if not labels or text != format_labels(labels):
        raise altered_file_error(path, _("its classes are not those in model.json"))
    return labels


def read_snapshot(run_dir: Path, model_json: dict[str, Any]) -> Snapshot:
    """Return the snapshot of a run. Raises ModelUnreadable if its hash is not the one in `model.json`."""
    path = run_dir / SNAPSHOT_FILE
    try:
        snapshot = Snapshot.read(path, read_labels(run_dir, model_json), int(model_json["options"]["seed"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise altered_file_error(path, error) from error
    if snapshot.hash != model_json.get("snapshot"):
        raise altered_file_error(path, _("it is not the snapshot named in model.json"))
    return snapshot


def format_labels(labels: tuple[str, ...]) -> str:
    """Return the text of `labels.txt`: one class per line."""
    return "".join(f"{label}\n" for label in labels)


def altered_file_error(path: Path, problem: object) -> ModelUnreadable:
    """Return the error for a file that is missing or differs from what the run wrote."""
    return ModelUnreadable(
        _("{path} is missing or was changed: {problem}. Retrain, or restore the whole folder.").format(
            path=path, problem=problem
        )
    )


def library_versions() -> dict[str, str]:
    """Return what results depend on: versions of the libraries and of Python, and the kind of machine."""
    versions = {
        "python": platform.python_version(),
        # Other kinds of machines round differently.
        "machine": f"{platform.system()} {platform.machine()}",
    }
    for library in _LIBRARIES:
        try:
            versions[library] = version(library)
        except PackageNotFoundError:  # the studio itself, when run from its source folder
            continue
    return versions
