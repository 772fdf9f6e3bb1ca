"""LiteRT.js's packages, downloaded with npm and put into the studio's folder of downloads."""

import shutil
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from studio.share.web_demo.runtime import PACKAGES, VERSION

_download_dir = TemporaryDirectory(prefix="retrain-runtime-", ignore_cleanup_errors=True)


@cache
def packages() -> Path:
    """Return a folder with the packages, or skip the test with the reason."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed; these tests download LiteRT.js with it")
    for package in PACKAGES:
        packed = subprocess.run(
            [npm, "pack", "--silent", "--prefer-offline", f"{package.name}@{VERSION}"],
            cwd=_download_dir.name,
            capture_output=True,
            text=True,
            check=False,
        )
        if packed.returncode:
            pytest.skip(f"npm cannot download {package.name}: {packed.stderr.strip()[-200:]}")
    return Path(_download_dir.name)


def pack_into(downloads_dir: Path) -> None:
    """Copy the packages into a folder of downloads."""
    downloads_dir.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        shutil.copy(packages() / package.file, downloads_dir)
