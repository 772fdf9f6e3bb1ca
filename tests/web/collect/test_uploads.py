"""Upload routes on a real socket: parts, resuming, completeness, memory use, refused requests."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import psutil
import pytest
import uvicorn
from starlette.applications import Starlette

from db.engine import Database
from db.models import JobRow, ProjectRow
from studio.settings import Settings
from studio.web.collect import uploads
from studio.web.collect.uploads import remove_unfinished, safe_paths
from studio.web.routes import routes
from tests.conftest import NOW, until

OWN_PAGE = {"X-Studio-Upload": "1"}


class Server:
    """The routes on a real socket, with the requests that a browser sends."""

    def __init__(self, database: Database, settings: Settings, port: int) -> None:
        self.database, self.dir, self.port = database, settings.uploads_dir, port

    def ask(
        self, method: str, path: str, body: Any = b"", headers: dict[str, str] = OWN_PAGE
    ) -> tuple[int, dict[str, Any]]:
        """Return the status, and the JSON body or the offset of the header."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, f"/studio/uploads/{path}", body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        have = answer.headers["Upload-Offset"]
        if have is not None:
            assert content == b""  # two packets would make each file wait 40 ms
            return answer.status, {"offset": int(have)}
        is_json = answer.headers["Content-Type"] == "application/json"
        return answer.status, json.loads(content) if is_json else {}

    def put(
        self, batch: str, number: int | str, data: bytes, at: int = 0, size: int | None = None
    ) -> tuple[int, dict[str, Any]]:
        size = at + len(data) if size is None else size
        return self.ask("PUT", f"{batch}/{number}?at={at}&size={size}", data)

    def finish(self, batch: str, files: list[tuple[str, int]], **more: Any) -> tuple[int, dict[str, Any]]:
        listed = [{"bundle": at, "name": name, "size": size} for at, (name, size) in enumerate(files)]
        return self.ask("POST", f"{batch}/finish", json.dumps({"project": 1, "files": listed} | more))

    def jobs(self) -> list[JobRow]:
        with self.database.read() as session:
            return session.query(JobRow).all()


@pytest.fixture
def server(database: Database, home: Path) -> Iterator[Server]:
    with database.write() as session:
        session.add(ProjectRow(id=1, name="꽃", created_at=NOW))
    settings = Settings(home=home, database_url=database.url.render_as_string(hide_password=False))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        running = uvicorn.Server(
            uvicorn.Config(Starlette(routes=routes(settings)), log_level="error", lifespan="off")
        )
        thread = threading.Thread(target=running.run, args=([listening],))
        thread.start()
        yield Server(database, settings, listening.getsockname()[1])
        running.should_exit = True
        thread.join()


@pytest.fixture
def batch() -> str:
    return uuid4().hex


def test_parts_become_a_file_and_a_job(server: Server, batch: str) -> None:
    assert server.put(batch, 0, b"abc", size=5) == (204, {"offset": 3})
    assert server.put(batch, 0, b"de", at=3) == (204, {"offset": 5})
    assert server.put(batch, 1, b"") == (204, {"offset": 0})  # an empty file is one too: ingest says why not
    assert not (server.dir / batch).exists()  # where a job would look there is nothing before the end
    status, content = server.finish(
        batch, [("장미/꽃 1.jpg", 5), ("empty.jpg", 0)], class_name=" 새  반\n", kind="camera"
    )
    assert status == 200
    assert (server.dir / batch / "장미" / "꽃 1.jpg").read_bytes() == b"abcde"
    assert (server.dir / batch / "empty.jpg").read_bytes() == b""
    (job,) = server.jobs()
    assert content == {"job": job.id}
    assert (job.kind, job.project_id) == ("ingest_uploads", 1)
    assert job.arguments == {"folder": batch, "class_name": "새 반", "kind": "camera"}
    assert list((server.dir / "arriving").iterdir()) == []


def test_a_part_at_a_wrong_offset_gets_the_right_offset(server: Server, batch: str) -> None:
    server.put(batch, 0, b"x" * 3_000_000, size=9_000_000)
    again = server.put(batch, 0, b"y" * 3_000_000, size=9_000_000)
    early = server.put(batch, 0, b"y" * 10, at=4_000_000, size=9_000_000)
    assert again == early == (409, {"offset": 3_000_000})
    assert server.ask("HEAD", f"{batch}/0") == (204, {"offset": 3_000_000})
    assert (server.dir / "arriving" / batch / "0").read_bytes() == b"x" * 3_000_000
    assert server.ask("HEAD", f"{batch}/7") == (204, {"offset": 0})


def test_a_lost_connection_keeps_what_was_received(server: Server, batch: str) -> None:
    data = bytes(range(256)) * 20_000
    came = 3_000_123
    with socket.create_connection(("127.0.0.1", server.port)) as sender:
        head = f"PUT /studio/uploads/{batch}/0?at=0&size={len(data)} HTTP/1.1\r\nHost: x\r\n"
        more = f"X-Studio-Upload: 1\r\nContent-Length: {len(data)}\r\n\r\n"
        sender.sendall((head + more).encode() + data[:came])
    until(lambda: server.ask("HEAD", f"{batch}/0")[1]["offset"] == came)
    assert server.finish(batch, [("a.zip", len(data))]) == (409, {"incomplete": [0]})
    assert server.jobs() == []
    assert server.put(batch, 0, data[came:], at=came) == (204, {"offset": len(data)})
    assert server.finish(batch, [("a.zip", len(data))])[0] == 200
    assert (server.dir / batch / "a.zip").read_bytes() == data


def test_finish_is_idempotent_even_after_the_job(server: Server, batch: str) -> None:
    server.put(batch, 0, b"abc")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _n: server.finish(batch, [("a.jpg", 3)]), range(4)))
    assert len({(status, content["job"]) for status, content in answers}) == 1
    assert answers[0][0] == 200
    for path in (server.dir / batch).iterdir():
        path.unlink()
    (server.dir / batch).rmdir()  # as the job does at its end
    assert server.finish(batch, [("a.jpg", 3)]) == answers[0]
    assert len(server.jobs()) == 1


def test_small_files_in_one_bundle(server: Server, batch: str) -> None:
    inside = [("a/1.jpg", b"one"), ("b/leer.jpg", b""), ("a/1.jpg", b"two!"), ("b/3.jpg", b"3" * 2_500_000)]
    server.put(batch, 7, b"".join(data for _name, data in inside))
    listed = [{"bundle": 7, "name": name, "size": len(data)} for name, data in inside]
    short = json.dumps({"project": 1, "files": listed[:2]})
    assert server.ask("POST", f"{batch}/finish", short) == (409, {"incomplete": [7]})
    status, _message = server.ask("POST", f"{batch}/finish", json.dumps({"project": 1, "files": listed}))
    assert status == 200
    found = {p.relative_to(server.dir / batch).as_posix(): p for p in (server.dir / batch).rglob("*.jpg")}
    assert found.keys() == {"a/1.jpg", "a/1 (2).jpg", "b/leer.jpg", "b/3.jpg"}
    assert found["a/1.jpg"].read_bytes() == b"one"
    assert found["a/1 (2).jpg"].read_bytes() == b"two!"
    assert found["b/3.jpg"].read_bytes() == inside[3][1]


def test_an_interrupted_finish_is_continued(server: Server, batch: str) -> None:
    for number in range(3):
        server.put(batch, number, b"abc")
    tree = server.dir / "arriving" / batch / "tree" / "꽃"
    tree.mkdir(parents=True)
    (server.dir / "arriving" / batch / "1").rename(tree / "a (2).jpg")
    assert server.finish(batch, [("꽃/a.jpg", 3)] * 3)[0] == 200
    assert sorted(p.name for p in (server.dir / batch / "꽃").iterdir()) == [
        "a (2).jpg",
        "a (3).jpg",
        "a.jpg",
    ]


def test_files_that_are_not_listed_are_dropped(server: Server, batch: str) -> None:
    server.put(batch, 0, b"abc")
    server.put(batch, 1, b"half", size=8)
    assert server.finish(batch, [("a.jpg", 3)])[0] == 200
    assert [path.name for path in (server.dir / batch).rglob("*")] == ["a.jpg"]


def test_incomplete_and_invalid_lists_are_refused(server: Server, batch: str) -> None:
    server.put(batch, 0, b"abc")
    assert server.finish(batch, [("a.jpg", 3), ("b.jpg", 3)]) == (409, {"incomplete": [1]})
    assert server.finish(batch, [("a.jpg", 4)]) == (409, {"incomplete": [0]})
    assert server.finish(uuid4().hex, [("a.jpg", 3)]) == (409, {"incomplete": [0]})
    status, content = server.finish(batch, [("a.jpg", 3)], project=77)
    assert status == 404
    assert "no such project" in content["error"]
    for body in ("", "{", "[]", json.dumps({"project": 1, "files": []})):
        assert server.ask("POST", f"{batch}/finish", body)[0] == 400
    assert server.finish(batch, [("a.jpg", 3)], kind="folder")[0] == 400
    assert server.finish(batch, [("a.jpg", 3)], project=2**40)[0] == 400
    assert server.jobs() == []


def test_invalid_paths_are_refused(server: Server, batch: str) -> None:
    for path in (
        "short/0?at=0&size=3",
        f"{batch}/-1?at=0&size=3",
        f"{batch}/1.5?at=0&size=3",
        f"{batch}/tree?at=0&size=3",
        f"{batch}/{quote('٣')}?at=0&size=3",
        f"{batch}/..%2f..%2fevil?at=0&size=3",
        f"..%2f{batch}/0?at=0&size=3",
        f"{batch.upper()}/0?at=0&size=3",
        f"{batch}/0?at=-1&size=3",
        f"{batch}/0?at=0&size=2",
        f"{batch}/0?at=1&size=3",
        f"{batch}/0?at=0",
        f"{batch}/0?at=a&size=3",
    ):
        assert server.ask("PUT", path, b"abc")[0] in {400, 404}
    assert [p for p in server.dir.parent.rglob("*") if p.is_file() and p.read_bytes() == b"abc"] == []


def test_requests_from_other_sites_are_refused(server: Server, batch: str) -> None:
    place = f"{batch}/0?at=0&size=3"
    host = f"127.0.0.1:{server.port}"
    foreign_headers: list[dict[str, str]] = [
        {},
        {"Sec-Fetch-Site": "same-origin"},
        OWN_PAGE | {"Sec-Fetch-Site": "cross-site"},
        OWN_PAGE | {"Sec-Fetch-Site": "same-site"},
        OWN_PAGE | {"Origin": "https://evil.example"},
        OWN_PAGE | {"Origin": "http://127.0.0.1:1"},
        OWN_PAGE | {"Origin": "null"},
    ]
    for headers in foreign_headers:
        assert server.ask("PUT", place, b"abc", headers)[0] == 403
        assert server.ask("POST", f"{batch}/finish", b"{}", headers)[0] == 403
        assert server.ask("DELETE", batch, headers=headers)[0] == 403
    assert server.ask("OPTIONS", place, headers={"Origin": "https://evil.example"})[0] == 405
    assert not server.dir.exists()
    for headers in (OWN_PAGE | {"Origin": f"http://{host}"}, OWN_PAGE | {"Sec-Fetch-Site": "same-origin"}):
        assert server.ask("PUT", f"{uuid4().hex}/0?at=0&size=3", b"abc", headers)[0] == 204


def test_too_large_files_and_a_full_disk_are_reported(
    server: Server, batch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, content = server.put(batch, 0, b"abc", size=60 * 10**9)
    assert status == 413
    assert "50 GB" in content["error"]
    assert "60.0 GB" in content["error"]
    monkeypatch.setattr(uploads, "_RESERVED_BYTES", 10**18)  # more than any disk has
    status, content = server.put(batch, 0, b"abc" * 2_000_000)
    assert status == 507
    assert "Free some space" in content["error"]
    assert server.ask("HEAD", f"{batch}/0") == (204, {"offset": 0})


def test_cancelling_removes_the_files(server: Server, batch: str) -> None:
    server.put(batch, 0, b"abc", size=9)
    assert server.ask("DELETE", batch)[0] == 204
    assert server.ask("DELETE", batch)[0] == 204
    assert list((server.dir / "arriving").iterdir()) == []


def test_memory_does_not_grow_with_the_file(server: Server, batch: str) -> None:
    server.put(uuid4().hex, 0, bytes(4 << 20))  # whatever is needed once
    me, block, blocks = psutil.Process(), bytes(1 << 20), 300
    before = me.memory_info().rss
    highest: list[int] = []

    def body() -> Iterator[bytes]:
        for _block in range(blocks):
            highest.append(me.memory_info().rss)
            yield block

    size = blocks << 20
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request(
        "PUT",
        f"/studio/uploads/{batch}/0?at=0&size={size}",
        body(),
        OWN_PAGE | {"Content-Length": str(size)},
    )
    assert connection.getresponse().headers["Upload-Offset"] == str(size)
    connection.close()
    assert max(highest) - before < 50 << 20


def test_safe_paths_stay_inside_and_are_unique() -> None:
    names = [
        "../../evil.jpg",
        "/etc/passwd",
        "C:\\x\\y.jpg",
        "a/../../b.jpg",
        "bad|<>?\x00\ud800.jpg",
        "장미/꽃 1.jpg",
        "..",
        ".",
        "",
        "A/same.jpg",
        "a/SAME.jpg",
        "A/same.jpg",
        "A",  # beside a folder of the same name
        "n" * 300 + ".jpg",
        "꽃" * 300 + ".jpg",
        "d/" * 3000 + "deep.jpg",
        "aux.jpg",
        "silicon.jpg",
        *["cam.jpg"] * 3000,
    ]
    found = safe_paths(names)
    assert len({path.as_posix().casefold() for path in found}) == len(names)
    for path in found:
        assert not path.is_absolute()
        assert not {"..", "."} & set(path.parts)
        assert len(path.parts) <= 8
        assert all(0 < len(part.encode()) < 255 for part in path.parts)
    assert found[5] == Path("장미", "꽃 1.jpg")
    assert found[9:13] == [Path("A/same.jpg"), Path("a/SAME (2).jpg"), Path("A/same (3).jpg"), Path("A (2)")]
    assert found[13].name.endswith("nn.jpg")
    assert found[15] == Path(*"d" * 7, "deep.jpg")
    assert found[16:18] == [Path("aux_.jpg"), Path("silicon.jpg")]


def test_abandoned_uploads_are_removed(server: Server, batch: str) -> None:
    server.put(batch, 0, b"abc", size=9)
    whole = uuid4().hex
    server.put(whole, 0, b"abc")
    server.finish(whole, [("a.jpg", 3)])
    remove_unfinished(server.dir, datetime.now(UTC) + timedelta(days=6))
    assert server.ask("HEAD", f"{batch}/0")[1]["offset"] == 3
    remove_unfinished(server.dir, datetime.now(UTC) + timedelta(days=8))
    assert server.ask("HEAD", f"{batch}/0")[1]["offset"] == 0
    assert (server.dir / whole / "a.jpg").is_file()  # that one has a job
    remove_unfinished(server.dir / "nothing", datetime.now(UTC))
