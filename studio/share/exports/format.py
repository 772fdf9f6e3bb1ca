"""What a form of export is: how it is written, and how what was written is asked."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from studio.arrays import Uint8Array
from studio.progress import Progress

Answer = Callable[[Uint8Array], npt.NDArray[np.float32]]
"""From one image to float32, (classes,): probabilities, in the order of the run's labels."""


@dataclass(frozen=True)
class Context:
    """What a form may need besides the run's folder.

    name: what the model is called, for people. downloads_dir: where runtimes that are fetched are kept.
    """

    name: str
    downloads_dir: Path
    progress: Progress
    threads: int = 1


@dataclass(frozen=True)
class Format:
    """A form of export.

    name: on the command line. title, what_for: on the page; what_for is one sentence.
    write(run_dir, output_dir, context): fills a folder that is there and empty. The README, the model card,
    the provenance, `sureness.json` and `parity.json` are put beside by `export`; its size is that of what this
    writes. Raises StudioError.
    usage: Markdown for the README, how it is used: `$name`, `$height_px`, `$width_px`, `$classes` and
    `$first_label` stand for the model's.
    answer: opens a written folder and returns what asks the model in it; None where only a browser or a
    server can, and no parity is measured. Called with one thread; times are taken around it.
    near: the largest difference in probability that still is the same model, where anything further apart is
    a broken file and the export fails; None where whole numbers stand for floats. Not asked of a model whose
    network computes in whole numbers itself.
    side_px: the height and width of the images that the form takes, where it fixes them.
    """

    name: str
    title: str
    what_for: str
    write: Callable[[Path, Path, Context], None]
    usage: str
    answer: Callable[[Path], Answer] | None = None
    near: float | None = None
    side_px: int | None = None
