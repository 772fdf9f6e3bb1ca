"""Images per second of a crawl over twenty hosts, beside img2dataset fetching the same URLs.

    python -m venv VENV
    VENV/bin/pip install img2dataset
    python tests/benchmarks/crawl.py VENV/bin/img2dataset

Both run at full speed, alternating, each time in an empty folder. The studio checks URLs and robots.txt,
decodes each image, searches for near-duplicates, and writes provenance, thumbnails and labels; img2dataset
decodes and resizes, as by default, or keeps the bytes without decoding ("bytes only").
"""

import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.image_hosts import HOSTS, address

ROOT = Path(__file__).resolve().parents[2]
IMAGES = 2_000
FEW = 20
"""Few enough that a command that fetches them shows its start-up time."""
ROUNDS = 3


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.2", 0))
        return int(listening.getsockname()[1])


def studio_command(images: int, port: int) -> list[str]:
    """Return the command that crawls the page of every host."""
    pages = [f"http://{host}:{port}/{images}" for host in HOSTS]
    limits = ["--depth", "0", "--max-pictures", str(images), "--min-size", "100"]
    return [sys.executable, "-m", "studio", "crawl", *pages, "--project", "Bench", "--class", "a", *limits]


def img2dataset_command(program: str, images: int, port: int, folder: Path, *more: str) -> list[str]:
    """Return the command of img2dataset for the same URLs."""
    url_list = folder / "addresses.txt"
    url_list.write_text("\n".join(address(number, port) for number in range(images)), encoding="utf-8")
    where = ["--url_list", str(url_list), "--output_folder", str(folder / "out")]
    work = ["--processes_count", "2", "--thread_count", "64"]
    return [program, *where, *work, "--output_format", "files", "--enable_wandb", "False", *more]


def seconds(name: str, program: str, images: int, port: int) -> float:
    """Run one command in an empty folder and return its seconds; exits unless it has fetched all images."""
    folder = Path(tempfile.mkdtemp())
    environment = {
        **os.environ,
        "STUDIO_HOME": str(folder),
        "STUDIO_SITE_DELAY_S": "0",
        "STUDIO_SITE_CONNECTIONS": "16",
        "STUDIO_ALLOW_HOSTS": ",".join(HOSTS),
        "NO_ALBUMENTATIONS_UPDATE": "1",
    }
    command = {
        "studio": lambda: studio_command(images, port),
        "img2dataset": lambda: img2dataset_command(program, images, port, folder),
        "bytes only": lambda: img2dataset_command(
            program, images, port, folder, "--disable_all_reencoding", "True"
        ),
    }[name]()
    began = time.monotonic()
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    took = time.monotonic() - began
    pattern = "pictures/originals/*/*.*" if name == "studio" else "out/*/*.jpg"
    originals = [*folder.glob(pattern)]
    if ended.returncode or len(originals) != images:
        sys.exit(f"{name}: {len(originals)} of {images} images\n{ended.stdout}\n{ended.stderr}")
    shutil.rmtree(folder)
    return took


def main(program: str) -> None:
    """Serve the images, run the three commands alternately, and print the times."""
    port = free_port()
    hosts = subprocess.Popen(
        [sys.executable, str(ROOT / "tests/benchmarks/image_hosts.py"), str(IMAGES), str(port)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert hosts.stdout is not None
        ready = hosts.stdout.readline().split()
        each_kb = int(ready[1]) / IMAGES / 1000
        print(f"{IMAGES} images of {each_kb:.0f} kB on {len(HOSTS)} hosts, {ROUNDS} rounds")
        whole: dict[str, list[float]] = {name: [] for name in ("studio", "img2dataset", "bytes only")}
        start: dict[str, list[float]] = {name: [] for name in whole}
        for _ in range(ROUNDS):
            for name, times in whole.items():
                start[name].append(seconds(name, program, FEW, port))
                times.append(seconds(name, program, IMAGES, port))
        for name, times in whole.items():
            took, began = statistics.median(times), statistics.median(start[name])
            running = (IMAGES - FEW) / (took - began)
            print(
                f"{name:<12} {took:5.1f} s in all, {IMAGES / took:4.0f} images/s;"
                f" {began:4.1f} s for {FEW}, then {running:4.0f} images/s"
            )
    finally:
        hosts.kill()


if __name__ == "__main__":
    main(*sys.argv[1:2])
