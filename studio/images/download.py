"""Downloading one large file from the web, in as many attempts as it takes."""

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
_MAX_ATTEMPTS = 4
_OK, _PARTIAL, _OUT_OF_RANGE = 200, 206, 416
_MD5_DIGITS = 32


def download(address: str, path: Path, *, progress: Progress, expected_hash: str = "") -> Path:
    """Download `address` to `path`, where it appears when it is whole; an existing file is kept.

    An unfinished download is in `path` + `.part`. It is resumed from there, in this call or a later one, if
    the server can and its file is still the same; otherwise from the beginning. Progress is in bytes.
    expected_hash: MD5 or SHA-256, hexadecimal, that the file must have; without one it must have the MD5 that
    the server names (Google's storage does), where it names one.
    Raises DownloadFailed when the server refuses, cannot be reached, breaks off again and again, or sends
    another file.
    """
    if path.exists():
        return path
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _write_error(path.parent, error) from error
    failure: Exception | None = None
    attempts_left = _MAX_ATTEMPTS
    while attempts_left:
        before = _size(part)
        try:
            _download_rest(address, part, progress)
        except requests.RequestException as error:
            failure = error
            # A connection that breaks often but makes progress is worth another attempt.
            attempts_left = _MAX_ATTEMPTS if _size(part) > before else attempts_left - 1
            if before == _size(part) == 0 and isinstance(error, requests.ConnectionError):
                break
        except OSError as error:
            raise _write_error(part, error) from error
        else:
            _check_hash(address, part, expected_hash or _read_state(part, address, "md5"))
            part.replace(path)
            _state_path(part).unlink(missing_ok=True)
            return path
    raise DownloadFailed(
        _(
            "{address} cannot be downloaded ({reason}). Check the internet connection. What has come is "
            "kept: try again later and it goes on, or begin with your own images or the drawings."
        ).format(address=address, reason=_error_reason(failure)),
        _error_reason(failure),
    ) from failure


def file_hash(path: Path, like: str) -> str:
    """Return a file's MD5 or SHA-256, hexadecimal, as long as `like` is."""
    algorithm = "md5" if len(like) == _MD5_DIGITS else "sha256"
    with path.open("rb") as file:
        # MD5 is what is published; it finds damage, not forgery.
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def _write_error(path: Path, error: OSError) -> DownloadFailed:
    reason = _("{path} cannot be written: {reason}").format(path=path, reason=error.strerror or error)
    return DownloadFailed(
        _("{reason}. Free some disk space and try again: it goes on.").format(reason=reason), reason
    )


def _check_hash(address: str, part: Path, expected: str) -> None:
    if not expected or (found := file_hash(part, expected)) == expected:
        return
    part.unlink()
    _state_path(part).unlink(missing_ok=True)
    raise DownloadFailed(
        _(
            "{address} sent another file than was published: expected the hash {expected}, got {found}. "
            "Nothing was kept. Try again; if it sends the same file, get it elsewhere."
        ).format(address=address, expected=expected, found=found),
        _("another file came than was published: expected the hash {expected}, got {found}").format(
            expected=expected, found=found
        ),
    )


def _download_rest(address: str, part: Path, progress: Progress) -> None:
    """Download the rest. Raises RequestException when the connection breaks, DownloadFailed on refusal."""
    have, version = _size(part), _read_state(part, address, "version")
    headers = {"User-Agent": f"retrain-studio/{__version__}", "Accept-Encoding": "identity"}
    if have and version:
        headers |= {"Range": f"bytes={have}-", "If-Range": version}
    with requests.get(address, headers=headers, stream=True, timeout=_TIMEOUT_S) as answer:
        if answer.status_code == _OUT_OF_RANGE:  # the part belongs to another version of the file
            part.unlink(missing_ok=True)
            raise requests.ConnectionError(_("the file there has changed"))
        if answer.status_code not in (_OK, _PARTIAL):
            raise DownloadFailed(
                _("{address} answers {status} {reason}: expected a file. Check the address.").format(
                    address=address, status=answer.status_code, reason=answer.reason
                ),
                _("the answer was {status} {reason}").format(status=answer.status_code, reason=answer.reason),
            )
        start = have if _is_resumed(answer, have) else 0
        length = answer.headers.get("Content-Length")
        total = start + int(length) if length and length.isdecimal() else None
        if not start:
            _write_state(part, address, answer)
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


def _is_resumed(answer: requests.Response, have: int) -> bool:
    return answer.status_code == _PARTIAL and answer.headers.get("Content-Range", "").startswith(
        f"bytes {have}-"
    )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _state_path(part: Path) -> Path:
    """Return the file that names the URL and version that the part belongs to."""
    return part.with_name(part.name + ".json")


def _read_state(part: Path, address: str, key: str) -> str:
    try:
        state = json.loads(_state_path(part).read_text(encoding="utf-8"))
        return str(state[key]) if state["address"] == address else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _write_state(part: Path, address: str, answer: requests.Response) -> None:
    tag = answer.headers.get("ETag", "")
    # A weak tag promises only a similar file: parts of it do not fit together.
    version = tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified", "")
    part.unlink(missing_ok=True)  # before the state, which must never stand beside the part of another file
    state = {"address": address, "version": version, "md5": _google_md5(answer)}
    _state_path(part).write_text(json.dumps(state), encoding="utf-8")


def _google_md5(answer: requests.Response) -> str:
    """Return the MD5 that Google's storage names for the whole file, hexadecimal; empty for none.

    https://cloud.google.com/storage/docs/xml-api/reference-headers#xgooghash
    """
    named = re.search(r"\bmd5=([\w+/]{22}==)", answer.headers.get("x-goog-hash", ""))
    return base64.b64decode(named[1]).hex() if named else ""


def _error_reason(failure: Exception | None) -> str:
    if isinstance(failure, requests.Timeout):
        return _("no answer in time")
    if isinstance(failure, requests.ConnectionError):
        return _("the connection failed or broke off")
    return " ".join(str(failure).split())
