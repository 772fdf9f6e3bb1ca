"""The type of an export format: how a model is written, and how the written files are loaded for parity."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from studio.arrays import Uint8Array
from studio.progress import Progress

PredictFunction = Callable[[Uint8Array], npt.NDArray[np.float32]]
"""From one image, uint8, (height, width, 3), to probabilities, float32, (classes,), ordered as the labels."""


@dataclass(frozen=True)
class ExportContext:
    """Inputs of an export besides the run's folder.

    name: of the model, for people. downloads_dir: of downloaded runtimes. threads: for reading images.
    """

    name: str
    downloads_dir: Path
    progress: Progress
    threads: int = 1


@dataclass(frozen=True)
class ExportFormat:
    """An export format: one entry in `EXPORT_FORMATS`.

    name: on the command line and in file names. title: on the page. purpose: one sentence, on the page, in
    the README and in `export --help`.
    write(run_dir, output_dir, context): write the model into an existing empty folder. `export_run` adds the
    README, the model card, the attribution, `sureness.json` and `parity.json`; the reported size is of what
    `write` writes. Raises StudioError.
    usage: the README's section on how to use the files, in Markdown; `$name`, `$height_px`, `$width_px`,
    `$classes` and `$first_label` are filled in.
    load_predictor: load a written folder and return its predict function, for parity; None where the files
    run only in a browser or on a server, so that no parity is measured. The predict function is timed and is
    called from one thread.
    max_difference: the largest difference in probability that is accepted; the export fails beyond it, since
    the file must be broken. None for quantized formats, where differences are expected. Not applied to a
    backbone that is quantized itself.
    input_side_px: height and width of the input, where the format fixes them.
    """

    name: str
    title: str
    purpose: str
    write: Callable[[Path, Path, ExportContext], None]
    usage: str
    load_predictor: Callable[[Path], PredictFunction] | None = None
    max_difference: float | None = None
    input_side_px: int | None = None
