"""LiteRT.js' packages as npm fetches them, put where the studio looks for those brought by hand."""

import shutil
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from studio.share.web_demo.runtime import PACKAGES, VERSION

_room = TemporaryDirectory(prefix="retrain-runtime-", ignore_cleanup_errors=True)


@cache
def packages() -> Path:
    """Return a folder with the packages, or skip the test with the reason."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed, which brings LiteRT.js to these tests")
    for package in PACKAGES:
        packed = subprocess.run(
            [npm, "pack", "--silent", "--prefer-offline", f"{package.name}@{VERSION}"],
            cwd=_room.name,
            capture_output=True,
            text=True,
            check=False,
        )
        if packed.returncode:
            pytest.skip(f"npm brings no {package.name}: {packed.stderr.strip()[-200:]}")
    return Path(_room.name)


def pack_into(downloads_dir: Path) -> None:
    """Put the packages where the studio keeps what it fetches."""
    downloads_dir.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        shutil.copy(packages() / package.file, downloads_dir)
