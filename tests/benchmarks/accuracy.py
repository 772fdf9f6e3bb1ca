"""Test accuracy over five seeds and splits, and the time of a run whose bottlenecks are cached.

python tests/benchmarks/accuracy.py [folder of class folders]

Each run is a process of the command line; the time includes the import of TensorFlow.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean

ROOT = Path(__file__).parents[2]
_SEEDS = range(5)


def run(image_dir: Path, home: Path, seed: int) -> tuple[float, float]:
    """Train once; return the test accuracy in percent, and the seconds."""
    command = [sys.executable, "-m", "studio", "retrain", "--image_dir", str(image_dir)]
    command += ["--how_many_training_steps", "500", "--seed", str(seed)]
    start = time.perf_counter()
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "STUDIO_HOME": str(home)}, capture_output=True, check=True
    )
    last_line = done.stdout.decode().splitlines()[-1]
    match = re.fullmatch(r"Final test accuracy = ([\d.]+)% \(N=\d+\)", last_line)
    if match is None:
        raise SystemExit(f"expected the test accuracy; got {last_line}")
    return float(match[1]), time.perf_counter() - start


def main(image_dir: Path) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as temporary:
        accuracies = []
        for seed in _SEEDS:
            accuracy, taken_s = run(image_dir, Path(temporary), seed)
            accuracies.append(accuracy)
            kind = "cached" if seed else "first, converting and embedding"
            print(f"seed {seed}: {accuracy:.1f}%, {taken_s:.1f} s ({kind})", flush=True)
    print(f"mean of {len(_SEEDS)}: {mean(accuracies):.1f}%")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT.parent / "shared" / "data" / "flowers")
