"""TensorBoard processes: started on a project's runs, read over HTTP, ended with the studio."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from studio.errors import ServerError
from studio.retrain.curve import CurvePoint
from studio.retrain.run_folder import SUMMARIES_DIR
from studio.retrain.tensorboard import SummaryWriter
from studio.settings import Settings
from studio.web.retrain.tensorboard import TensorBoards
from tests.conftest import NOW, until

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def awkward(tmp_path: Path) -> Settings:
    """Settings with a data folder whose path has the separators of --logdir_spec."""
    return Settings(home=tmp_path / "내 data, a,b studio")


@pytest.fixture
def boards(awkward: Settings) -> Iterator[TensorBoards]:
    made = TensorBoards(awkward)
    yield made
    made.stop()


def write(settings: Settings, folder: str) -> None:
    points = [
        CurvePoint(step, split, 0.5 + step / 100, 1 / step)
        for step in (1, 2, 3)
        for split in ("training", "validation")
    ]
    with SummaryWriter(settings.runs_dir / folder / SUMMARIES_DIR) as summaries:
        summaries.write(points)


def get_json(address: str, what: str) -> Any:
    with urllib.request.urlopen(address + what, timeout=60) as answer:
        return json.load(answer)


def runs_of(address: str, count: int) -> list[str]:
    """Return the runs that TensorBoard shows, once there are `count`."""
    until(lambda: len(get_json(address, "data/runs")) >= count)
    return sorted(get_json(address, "data/runs"))


def test_it_shows_only_the_given_runs_by_their_titles(awkward: Settings, boards: TensorBoards) -> None:
    folders = [f"{NOW:%Y%m%d-%H%M%S-%f}-1-{number}" for number in (1, 2, 3)]
    for folder in folders:
        write(awkward, folder)
    shown = [("Run 2 빠른, a:b/c", folders[1]), ("Run 1", folders[0])]
    address = boards.url(1, shown)
    assert address.startswith("http://127.0.0.1:")
    expected = [f"{run}/{part}" for run in ("Run 1", "Run 2 빠른 a b c") for part in ("train", "validation")]
    assert set(expected) <= set(runs_of(address, 4))
    assert not any(run.startswith("Run 3") for run in runs_of(address, 4))
    tags = get_json(address, "data/plugin/scalars/tags")
    assert all({"accuracy", "cross_entropy"} <= set(tags[run]) for run in expected)
    # The same runs: the same process; another run: a new process.
    assert boards.url(1, shown) == address
    (child,) = board_processes()
    more = boards.url(1, [("Run 3", folders[2])])
    assert {"Run 3/train", "Run 3/validation"} <= set(runs_of(more, 2))
    assert not any(run.startswith("Run 1") for run in runs_of(more, 2))
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    boards.stop()
    assert board_processes() == []


def test_without_a_run_it_does_not_start(boards: TensorBoards) -> None:
    with pytest.raises(ServerError, match="nothing"):
        boards.url(1, [])
    with pytest.raises(ServerError, match="nothing"):
        boards.url(1, [("Run 1", "not-there")])


def test_it_ends_when_the_studio_is_killed(awkward: Settings) -> None:
    write(awkward, "20260101-1-1")
    code = (
        "import sys, time; from pathlib import Path; from studio.settings import Settings;"
        "from studio.web.retrain.tensorboard import TensorBoards;"
        "boards = TensorBoards(Settings(home=Path(sys.argv[1])));"
        "print(boards.url(1, [('Run 1', '20260101-1-1')]), flush=True); time.sleep(600)"
    )
    studio = subprocess.Popen(
        [sys.executable, "-c", code, str(awkward.home)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    try:
        assert studio.stdout is not None
        assert studio.stdout.readline().startswith("http://127.0.0.1:")
        family = psutil.Process(studio.pid).children(recursive=True)
        assert family
    finally:
        studio.kill()
        studio.wait()
    _gone, alive = psutil.wait_procs(family, timeout=60)
    assert alive == []


def board_processes() -> list[psutil.Process]:
    """Return the child processes that run TensorBoard."""
    return [
        child
        for child in psutil.Process().children()
        if child.status() != psutil.STATUS_ZOMBIE
        and "studio.web.retrain.tensorboard_child" in child.cmdline()
    ]
