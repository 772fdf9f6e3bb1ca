"""Gain in test accuracy by fine-tuning over the head alone, on the same splits, and its time.

python tests/benchmarks/fine_tuning.py [folder of class folders] [backbone] [--seeds 20] [--first 0] [flags …]

Each seed has its own split; each run is a process of `python -m studio retrain` with the flags, including
the import of TensorFlow; the first starts with an empty data folder. The figures of
docs/decisions/0051-fine-tuning.md and the gain that the Retrain page shows come from here.
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
    """Train once; return test accuracies in percent, of the head alone and fine-tuned, and the seconds."""
    run_dir = home / f"run {seed}"
    command = [
        sys.executable,
        "-m",
        "studio",
        "retrain",
        "--image_dir",
        str(image_dir),
        "--architecture",
        backbone,
    ]
    command += [
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
        [*command, *flags],
        cwd=ROOT,
        env={**os.environ, "STUDIO_HOME": str(home)},
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr.decode(errors="replace").splitlines()[-1])
    taken_s = time.perf_counter() - start
    model_json = json.loads((run_dir / "model.json").read_text(encoding="utf-8"))
    seconds = ", ".join(f"{part} {value:.0f}" for part, value in model_json["facts"]["seconds"].items())
    plain, tuned = (
        model_json["facts"]["fine_tuning"]["plain_test_accuracy"],
        model_json["metrics"]["test_accuracy"],
    )
    print(
        f"seed {seed}: {plain:.1%} plain, {tuned:.1%} fine-tuned (N={model_json['metrics']['test_n']}), "
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
    arguments, flags = parser.parse_known_args()
    main(
        arguments.image_dir,
        arguments.backbone,
        range(arguments.first, arguments.first + arguments.seeds),
        flags,
    )
