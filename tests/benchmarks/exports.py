"""Every form of export of one run, with its parity: `python tests/benchmarks/exports.py [RUN_DIR]`.

Without a folder a head is trained on the photographs of `../shared/data/flowers`, a fifth of them for
testing. Prints the table of docs/decisions/0061.
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
from studio.settings import settings
from studio.share.exports.export import export
from studio.share.exports.format import Context
from studio.share.exports.formats import FORMATS

FLOWERS = ROOT.parent / "shared" / "data" / "flowers"


def trained(folder: Path) -> Path:
    """Train a head and return the run's folder."""
    images = read_image_folder(FLOWERS, Silent()).images
    options = RunOptions(how_many_training_steps=500, testing_percentage=20)
    home = settings()
    retrain(
        Snapshot.of(images, testing_percentage=20),
        options,
        run_dir=folder,
        bottleneck_dir=home.bottleneck_dir,
        backbones_dir=home.backbones_dir,
        threads=home.threads_used,
        progress=Silent(),
        on_points=lambda _points: None,
    )
    return folder


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as room:
        run_dir = Path(sys.argv[1]) if len(sys.argv) > 1 else trained(Path(room) / "run")
        context = Context("flowers", settings().downloads_dir, Silent(), settings().threads_used)
        print("| form | agrees | largest difference | accuracy | MB | ms an image (run) | seconds to make |")
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
        tested = 0
        for name in FORMATS:
            began = time.perf_counter()
            try:
                parity = export(run_dir, name, Path(room) / name, context).parity
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
