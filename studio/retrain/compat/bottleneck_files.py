"""Bottlenecks as `retrain.py` keeps them: a text file for each picture, in a folder for each class."""

from collections.abc import Callable, Sequence
from pathlib import Path

from studio.arrays import Float32Array
from studio.atomic import atomic_bytes
from studio.language import _
from studio.progress import Progress
from studio.retrain.snapshot import Example

_AT_ONCE = 256


def write_bottleneck_files(
    bottleneck_dir: Path,
    examples: Sequence[Example],
    vectors: Callable[[Sequence[str]], Float32Array],
    architecture: str,
    progress: Progress,
) -> None:
    """Write `<folder>/<file>_<architecture>.txt` for each example: its values, with commas between.

    vectors: from SHA-256s to their bottlenecks, float32, (N, features). The files are for others to read; we
    never read one, for it keeps its values when the picture under its name is another.
    """
    phase = _("Writing bottleneck files")
    for start in range(0, len(examples), _AT_ONCE):
        progress.report(phase, start, len(examples))
        some = examples[start : start + _AT_ONCE]
        for example, vector in zip(some, vectors([e.sha256 for e in some]), strict=True):
            folder = bottleneck_dir / example.path.parent.name
            # Not flushed: each run writes them anew.
            with atomic_bytes(folder / f"{example.path.name}_{architecture}.txt", flushed=False) as file:
                file.write(",".join(map(str, vector)).encode("ascii"))
    progress.report(phase, len(examples), len(examples))
