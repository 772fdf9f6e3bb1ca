"""Fetching one large file from the web into a folder, in as many goes as it takes."""

import base64
import hashlib
import json
import os
import re
from pathlib import Path

import requests

from studio import __version__
from studio.errors import DownloadFailed
from studio.i18n import _
from studio.progress import Progress

_CHUNK_BYTES = 1 << 16
_TIMEOUT_S = (10, 30)
_GOES = 4
_OK, _PARTIAL, _OUT_OF_RANGE = 200, 206, 416
_MD5_DIGITS = 32


def download(address: str, path: Path, *, progress: Progress, expected_hash: str = "") -> Path:
    """Fetch `address` to `path`, where it appears only when it is whole; a file that is there is kept.

    What has come lies in `path` + `.part`. After a break it goes on from there, in this call or a later one,
    if the other side can and its file is still the same; otherwise from the beginning. Progress is in bytes.
    expected_hash: MD5 or SHA-256, hexadecimal, that the file must have; without one it must have the MD5 that
    the other side names (Google's storage does), where it names one.
    Raises DownloadFailed when the other side refuses, cannot be reached, breaks off time after time, or sends
    another file.
    """
    if path.exists():
        return path
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path.parent, error) from error
    fault: Exception | None = None
    goes = _GOES
    while goes:
        before = _size(part)
        try:
            _go(address, part, progress)
        except requests.RequestException as error:
            fault = error
            # A line that breaks often but moves on is worth another go; one that stands still is not.
            goes = _GOES if _size(part) > before else goes - 1
            if before == _size(part) == 0 and isinstance(error, requests.ConnectionError):
                break
        except OSError as error:
            raise _unwritable(part, error) from error
        else:
            _check(address, part, expected_hash or _seal_read(part, address, "md5"))
            part.replace(path)
            _seal(part).unlink(missing_ok=True)
            return path
    raise DownloadFailed(
        _(
            "{address} cannot be fetched ({why}). Is there internet? What has come is kept: ask again later "
            "and it goes on, or begin with images of your own or with the drawings."
        ).format(address=address, why=_reason(fault)),
        _reason(fault),
    ) from fault


def hash_of(path: Path, like: str) -> str:
    """Return a file's MD5 or SHA-256, hexadecimal, as long as `like` is."""
    algorithm = "md5" if len(like) == _MD5_DIGITS else "sha256"
    with path.open("rb") as file:
        # MD5 is what is published; it finds what broke, not what was forged.
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def _unwritable(path: Path, error: OSError) -> DownloadFailed:
    why = _("{path} cannot be written: {why}").format(path=path, why=error.strerror or error)
    return DownloadFailed(_("{why}. Make room on the disk, and ask again: it goes on.").format(why=why), why)


def _check(address: str, part: Path, expected: str) -> None:
    if not expected or (found := hash_of(part, expected)) == expected:
        return
    part.unlink()
    _seal(part).unlink(missing_ok=True)
    raise DownloadFailed(
        _(
            "{address} sent another file than was published: expected the hash {expected}, got {found}. "
            "Nothing was kept. Ask again; if it stays so, get the file elsewhere."
        ).format(address=address, expected=expected, found=found),
        _("another file came than was published: expected the hash {expected}, got {found}").format(
            expected=expected, found=found
        ),
    )


def _go(address: str, part: Path, progress: Progress) -> None:
    """Fetch what is missing. Raises RequestException when the line breaks, DownloadFailed on refusal."""
    have, seal = _size(part), _seal_read(part, address, "version")
    headers = {"User-Agent": f"retrain-studio/{__version__}", "Accept-Encoding": "identity"}
    if have and seal:
        headers |= {"Range": f"bytes={have}-", "If-Range": seal}
    with requests.get(address, headers=headers, stream=True, timeout=_TIMEOUT_S) as answer:
        if answer.status_code == _OUT_OF_RANGE:  # what we have is no part of what is there now
            part.unlink(missing_ok=True)
            raise requests.ConnectionError(_("the file there has changed"))
        if answer.status_code not in (_OK, _PARTIAL):
            raise DownloadFailed(
                _("{address} answers {status} {reason}: expected a file. Check the address.").format(
                    address=address, status=answer.status_code, reason=answer.reason
                ),
                _("the answer was {status} {reason}").format(status=answer.status_code, reason=answer.reason),
            )
        start = have if _goes_on(answer, have) else 0
        length = answer.headers.get("Content-Length")
        total = start + int(length) if length and length.isdecimal() else None
        if not start:
            _seal_write(part, address, answer)
        with part.open("r+b" if start else "wb") as file:
            file.seek(start)
            file.truncate()
            progress.report(_("Downloading"), start, total)
            for chunk in answer.iter_content(_CHUNK_BYTES):
                file.write(chunk)
                progress.report(_("Downloading"), file.tell(), total)
            file.flush()
            os.fsync(file.fileno())
        if total is not None and _size(part) != total:
            raise requests.ConnectionError(_("it broke off"))


def _goes_on(answer: requests.Response, have: int) -> bool:
    return answer.status_code == _PARTIAL and answer.headers.get("Content-Range", "").startswith(
        f"bytes {have}-"
    )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _seal(part: Path) -> Path:
    """Return the file that says which version of which file the part belongs to."""
    return part.with_name(part.name + ".json")


def _seal_read(part: Path, address: str, what: str) -> str:
    try:
        seal = json.loads(_seal(part).read_text(encoding="utf-8"))
        return str(seal[what]) if seal["address"] == address else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _seal_write(part: Path, address: str, answer: requests.Response) -> None:
    tag = answer.headers.get("ETag", "")
    # A weak tag promises only a similar file, and does not serve to put parts together.
    version = tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified", "")
    part.unlink(missing_ok=True)  # before the seal, so that none ever stands beside another file's part
    seal = {"address": address, "version": version, "md5": _md5_named(answer)}
    _seal(part).write_text(json.dumps(seal), encoding="utf-8")


def _md5_named(answer: requests.Response) -> str:
    """Return the MD5 that Google's storage names for the whole file, hexadecimal; empty where none is named.

    https://cloud.google.com/storage/docs/xml-api/reference-headers#xgooghash
    """
    named = re.search(r"\bmd5=([\w+/]{22}==)", answer.headers.get("x-goog-hash", ""))
    return base64.b64decode(named[1]).hex() if named else ""


def _reason(fault: Exception | None) -> str:
    if isinstance(fault, requests.Timeout):
        return _("no answer in time")
    if isinstance(fault, requests.ConnectionError):
        return _("the connection failed or broke off")
    return " ".join(str(fault).split())
