"""The wheel: installed alone, it starts the studio, with pages, components, configuration and migrations."""

import os
import subprocess
import sys
import urllib.request
import venv
from pathlib import Path

import pytest

from tests.conftest import free_port, until

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `retrain-studio` command of the wheel, in an environment that has the dependencies of this one."""
    folder = tmp_path_factory.mktemp("wheel 휠")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT], check=True
    )
    (wheel,) = folder.glob("retrain_studio-*.whl")
    environment = folder / "environment"
    venv.create(environment, with_pip=False, symlinks=os.name != "nt")
    scripts = environment / ("Scripts" if os.name == "nt" else "bin")
    python = scripts / ("python.exe" if os.name == "nt" else "python")
    site = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    ours = next(path for path in sys.path if Path(path, "streamlit").is_dir())
    Path(site, "dependencies.pth").write_text(ours, encoding="utf-8")
    subprocess.run([*pip, "--python", python, "install", "--no-deps", "--no-index", wheel], check=True)
    return scripts / ("retrain-studio.exe" if os.name == "nt" else "retrain-studio")


def test_the_command_runs_without_a_checkout(command: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "STUDIO_HOME": str(tmp_path / "home")}
    listed = subprocess.run(
        [command, "runs"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert "No runs yet" in listed.stdout
    assert (tmp_path / "home" / "studio.sqlite3").is_file()


def test_the_studio_starts_with_its_pages_and_scripts(command: Path, tmp_path: Path) -> None:
    port = free_port()
    environment = {**os.environ, "STUDIO_HOME": str(tmp_path / "home"), "STUDIO_WARM": "no"}
    process = subprocess.Popen(
        [command, "serve", "--no-browser", "--port", str(port)], cwd=tmp_path, env=environment
    )
    try:
        until(lambda: process.poll() is not None or _status(port, "/_stcore/health") == 200)
        assert _status(port, "/curate") == 200
        assert (tmp_path / "home" / "logs" / "worker.log").is_file()
        installed = subprocess.run(
            [command.parent / "python", "-c", "import studio.files; print(studio.files.APP_DIR)"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        app = Path(installed.stdout.strip())
        assert {path.name for path in (ROOT / "pages").glob("*.py")} == {
            path.name for path in (app / "pages").glob("*.py")
        }
        assert (app / ".streamlit" / "config.toml").read_bytes() == (
            ROOT / ".streamlit" / "config.toml"
        ).read_bytes()
        scripts = {path.relative_to(ROOT) for path in (ROOT / "studio").rglob("*.js")}
        assert scripts == {path.relative_to(app.parents[1]) for path in app.parent.rglob("*.js")}
    finally:
        process.terminate()
        process.wait(60)


def _status(port: int, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
            return int(answer.status)
    except OSError:
        return 0
