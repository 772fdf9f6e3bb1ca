"""LiteRT.js, the runtime that answers in a browser: fetched once as its packages, checked, kept unpacked.

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
from studio.images.download import download, hash_of
from studio.progress import Progress

VERSION = "2.5.3"
CORE, WASM_UTILS, WASM, LICENCE = "core.js", "wasm-utils.js", "wasm", "LICENSE.txt"
COMPAT = "litert_wasm_compat_internal"
"""The build that every browser with WebAssembly's SIMD runs; the others need more than iPhones have."""


@dataclass(frozen=True)
class Package:
    """A package as npm's registry serves it, and where in the runtime's folder its files go."""

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


def runtime_here(downloads_dir: Path) -> Path | None:
    """Return the runtime's folder if it is whole; None while something must be fetched."""
    folder = downloads_dir / f"litertjs-{VERSION}"
    wanted = [target for package in PACKAGES for _member, target in package.members]
    return folder if all((folder / target).is_file() for target in wanted) else None


def runtime(downloads_dir: Path, progress: Progress) -> Path:
    """Return the folder with `core.js`, `wasm-utils.js`, `wasm/…` and `LICENSE.txt`, fetched where missing.

    What has come is kept when it breaks off or is stopped, and the next call goes on from there.
    Raises DownloadFailed, which says what is missing, where from, and where to put it; and Stopped.
    """
    if here := runtime_here(downloads_dir):
        return here
    folder = downloads_dir / f"litertjs-{VERSION}"
    for package in PACKAGES:
        packed = _packed(package, downloads_dir, progress)
        with tarfile.open(packed) as archive:
            for member, target in package.members:
                source = archive.extractfile(member)
                assert source is not None  # noqa: S101 - the archive's hash says what is in it
                with source, atomic_bytes(folder / target) as file:
                    file.write(source.read())
        packed.unlink()
    licence = _licence_text()
    if licence:
        with atomic_bytes(folder / LICENCE) as file:
            file.write(licence)
    return folder


def _packed(package: Package, downloads_dir: Path, progress: Progress) -> Path:
    path = downloads_dir / package.file
    try:
        download(package.address, path, progress=progress, expected_hash=package.sha256)
    except DownloadFailed as error:
        raise DownloadFailed(
            _(
                "A page that answers in the browser needs {file}, and fetching it did not work: {why}. Ask "
                "again later and it goes on; or get {address} where there is internet "
                "(`npm pack {name}@{version}` does too) and put it at {path}."
            ).format(
                file=package.file,
                why=error.why,
                address=package.address,
                name=package.name,
                version=VERSION,
                path=path,
            ),
            error.why,
        ) from error
    if (found := hash_of(path, package.sha256)) != package.sha256:
        why = _("expected the SHA-256 {expected}, got {found}").format(expected=package.sha256, found=found)
        raise DownloadFailed(
            _("{path} is not the {file} that was published: {why}. Remove it to have it fetched.").format(
                path=path, file=package.file, why=why
            ),
            why,
        )
    return path


def _licence_text() -> bytes:
    """Return the Apache License as LiteRT's own Python package carries it; npm's packages only name it."""
    for file in files("ai-edge-litert") or ():
        if file.name == "LICENSE" and ".dist-info" in str(file):
            return Path(str(file.locate())).read_bytes()
    return b""
