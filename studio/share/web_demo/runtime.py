"""LiteRT.js, the runtime that runs models in a browser: downloaded once, checked by hash, kept unpacked.

https://www.npmjs.com/package/@litertjs/core and https://www.npmjs.com/package/@litertjs/wasm-utils, both
Copyright Google LLC, Apache License 2.0.
"""

import tarfile
from dataclasses import dataclass
from importlib.metadata import files
from pathlib import Path

from studio.errors import DownloadFailed
from studio.files import atomic_bytes
from studio.i18n import _
from studio.images.download import download, file_hash
from studio.progress import Progress

VERSION = "2.5.3"
CORE, WASM_UTILS, WASM, LICENCE = "core.js", "wasm-utils.js", "wasm", "LICENSE.txt"
COMPAT = "litert_wasm_compat_internal"
"""The build for every browser with WebAssembly SIMD; the others need features that iPhones lack."""


@dataclass(frozen=True)
class Package:
    """A package of the npm registry. members: pairs of a file in it and its path in the runtime's folder."""

    name: str
    file: str
    address: str
    sha256: str
    members: tuple[tuple[str, str], ...]


PACKAGES = (
    Package(
        "@litertjs/core",
        f"litertjs-core-{VERSION}.tgz",
        f"https://registry.npmjs.org/@litertjs/core/-/core-{VERSION}.tgz",
        "a97660833e9e7e1063c95e12016718881240b14f7438728a2f62785e912d30fd",
        (
            ("package/dist/index.js", CORE),
            *((f"package/wasm/{COMPAT}.{kind}", f"{WASM}/{COMPAT}.{kind}") for kind in ("js", "wasm")),
        ),
    ),
    Package(
        "@litertjs/wasm-utils",
        f"litertjs-wasm-utils-{VERSION}.tgz",
        f"https://registry.npmjs.org/@litertjs/wasm-utils/-/wasm-utils-{VERSION}.tgz",
        "ce2a1f8379c067be49e59752e5a7f40db6be09f6e497f0f11e59f17b515366a7",
        (("package/dist/index.js", WASM_UTILS),),
    ),
)


def installed_runtime(downloads_dir: Path) -> Path | None:
    """Return the runtime's folder if it is complete; None if something must be downloaded."""
    folder = downloads_dir / f"litertjs-{VERSION}"
    wanted = [target for package in PACKAGES for _member, target in package.members]
    return folder if all((folder / target).is_file() for target in wanted) else None


def ensure_runtime(downloads_dir: Path, progress: Progress) -> Path:
    """Download the runtime if it is missing; return its folder.

    It has `core.js`, `wasm-utils.js`, `wasm/…` and `LICENSE.txt`. The next call resumes an interrupted
    download. Raises Stopped, and DownloadFailed, whose message names the file, its URL and where to put it.
    """
    if installed := installed_runtime(downloads_dir):
        return installed
    folder = downloads_dir / f"litertjs-{VERSION}"
    for package in PACKAGES:
        archive_path = _download_package(package, downloads_dir, progress)
        with tarfile.open(archive_path) as archive:
            for member, target in package.members:
                source = archive.extractfile(member)
                assert source is not None  # noqa: S101 - the archive's hash has been checked
                with source, atomic_bytes(folder / target) as file:
                    file.write(source.read())
        archive_path.unlink()
    licence = _licence_text()
    if licence:
        with atomic_bytes(folder / LICENCE) as file:
            file.write(licence)
    return folder


def _download_package(package: Package, downloads_dir: Path, progress: Progress) -> Path:
    path = downloads_dir / package.file
    try:
        download(package.address, path, progress=progress, expected_hash=package.sha256)
    except DownloadFailed as error:
        raise DownloadFailed(
            _(
                "The web demo needs {file}, which could not be downloaded: {reason}. Try again later to "
                "resume; or download {url} on a machine with internet (or run `npm pack {name}@{version}`) "
                "and put it at {path}."
            ).format(
                file=package.file,
                reason=error.cause,
                url=package.address,
                name=package.name,
                version=VERSION,
                path=path,
            ),
            error.cause,
        ) from error
    if (actual := file_hash(path, package.sha256)) != package.sha256:
        reason = _("expected the SHA-256 {expected}, got {actual}").format(
            expected=package.sha256, actual=actual
        )
        raise DownloadFailed(
            _("{path} is not the published {file}: {reason}. Remove it, then try again.").format(
                path=path, file=package.file, reason=reason
            ),
            reason,
        )
    return path


def _licence_text() -> bytes:
    """Return the Apache License from LiteRT's Python package; the npm packages only name it."""
    for file in files("ai-edge-litert") or ():
        if file.name == "LICENSE" and ".dist-info" in str(file):
            return Path(str(file.locate())).read_bytes()
    return b""
