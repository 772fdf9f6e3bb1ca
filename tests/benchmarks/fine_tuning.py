"""What training the last blocks brings over the plain head, on the same splits, and how long it takes.

python tests/benchmarks/fine_tuning.py [folder of class folders] [backbone] [--seeds 20] [--first 0] [flags …]

Each seed is a split of its own, each run a process of `python -m studio retrain` with the flags, TensorFlow's
import included; the first finds an empty data folder. `docs/decisions/0051-fine-tuning.md` and the gain that
the page expects have their figures here.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from math import sqrt
from pathlib import Path
from statistics import mean, stdev

ROOT = Path(__file__).parents[2]


def run(
    image_dir: Path, home: Path, backbone: str, flags: list[str], seed: int
) -> tuple[float, float, float]:
    """Return test accuracies in percent, plain and fine-tuned, and seconds."""
    run_dir = home / f"run {seed}"
    words = [
        sys.executable,
        "-m",
        "studio",
        "retrain",
        "--image_dir",
        str(image_dir),
        "--architecture",
        backbone,
    ]
    words += [
        "--how_many_training_steps",
        "500",
        "--seed",
        str(seed),
        "--fine_tune",
        "--run_dir",
        str(run_dir),
    ]
    start = time.perf_counter()
    done = subprocess.run(
        [*words, *flags],
        cwd=ROOT,
        env={**os.environ, "STUDIO_HOME": str(home)},
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr.decode(errors="replace").splitlines()[-1])
    taken_s = time.perf_counter() - start
    card = json.loads((run_dir / "model.json").read_text(encoding="utf-8"))
    seconds = ", ".join(f"{part} {value:.0f}" for part, value in card["facts"]["seconds"].items())
    plain, tuned = card["facts"]["fine_tuning"]["plain_test_accuracy"], card["metrics"]["test_accuracy"]
    print(
        f"seed {seed}: {plain:.1%} plain, {tuned:.1%} fine-tuned (N={card['metrics']['test_n']}), "
        f"{taken_s:.0f} s ({seconds})",
        flush=True,
    )
    return 100 * plain, 100 * tuned, taken_s


def main(image_dir: Path, backbone: str, seeds: range, flags: list[str]) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as temporary:
        found = [run(image_dir, Path(temporary), backbone, flags, seed) for seed in seeds]
    plain, tuned = mean(row[0] for row in found), mean(row[1] for row in found)
    print(f"mean of {len(found)}: {plain:.1f}% plain, {tuned:.1f}% fine-tuned: {tuned - plain:+.1f} points")
    if len(found) > 1:
        print(f"standard error {stdev(row[1] - row[0] for row in found) / sqrt(len(found)):.1f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument(
        "image_dir", nargs="?", type=Path, default=ROOT.parent / "shared" / "data" / "flowers"
    )
    parser.add_argument("backbone", nargs="?", default="efficientnet_lite0")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    said, flags = parser.parse_known_args()
    main(said.image_dir, said.backbone, range(said.first, said.first + said.seeds), flags)
