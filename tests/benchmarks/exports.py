"""Every export format of one run, with its parity: `python tests/benchmarks/exports.py [RUN_DIR]`.

Without a folder, a head is trained on the photographs in `../shared/data/flowers`, with a fifth of them as
test images. Prints the table of docs/decisions/0061-export-formats.md.
"""

import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from studio.errors import StudioError
from studio.progress import Silent
from studio.retrain.image_folder import read_image_folder
from studio.retrain.options import RunOptions
from studio.retrain.run import retrain
from studio.retrain.snapshot import Snapshot
from studio.retrain.train_head import RunContext
from studio.settings import settings
from studio.share.exports.export import export_run
from studio.share.exports.export_format import ExportContext
from studio.share.exports.formats import EXPORT_FORMATS

FLOWERS = ROOT.parent / "shared" / "data" / "flowers"


def train(run_dir: Path) -> Path:
    """Train a head and return the run's folder."""
    images = read_image_folder(FLOWERS, Silent()).images
    options = RunOptions(how_many_training_steps=500, testing_percentage=20)
    home = settings()
    context = RunContext(run_dir, home.bottleneck_dir, home.backbones_dir, home.threads_used, Silent())
    retrain(Snapshot.of(images, testing_percentage=20), options, context)
    return run_dir


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        run_dir = Path(sys.argv[1]) if len(sys.argv) > 1 else train(Path(folder) / "run")
        context = ExportContext("flowers", settings().downloads_dir, Silent(), settings().threads_used)
        print("| format | agreement | max difference | accuracy | MB | ms per image (run) | export s |")
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
        tested = 0
        for name in EXPORT_FORMATS:
            began = time.perf_counter()
            try:
                parity = export_run(run_dir, name, Path(folder) / name, context).parity
            except StudioError as error:
                print(f"| `{name}` | {error} |", flush=True)
                continue
            tested = max(tested, parity.n)
            took = time.perf_counter() - began
            if parity.agreement is None or parity.ms is None:
                print(f"| `{name}` | | | | {parity.size_bytes / 1e6:.1f} | | {took:.0f} |", flush=True)
                continue
            print(
                f"| `{name}` | {parity.agreement:.1%} | {parity.largest_difference:.2g} |"
                f" {parity.accuracy_before:.1%} → {parity.accuracy_after:.1%} |"
                f" {parity.size_bytes / 1e6:.1f} | {parity.ms:.1f} ({parity.ms_before:.1f}) | {took:.0f} |",
                flush=True,
            )
        print(f"\n{tested} test images")


if __name__ == "__main__":
    main()
