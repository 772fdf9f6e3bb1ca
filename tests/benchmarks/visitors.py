"""Fifty simultaneous visitors of one share link: status codes, waiting times, and the server's memory.

    python tests/benchmarks/visitors.py [SECONDS]

Each has its own IP address (127.0.0.2, …, provided by Linux), opens the page, downloads the model, and then
uploads photographs one after the other; every tenth has the size of a telephone's photograph.
"""

import http.client
import io
import json
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from db.engine import Database
from db.migrate import migrate
from studio.share import links
from studio.web.state import now
from tests.e2e.conftest import run_server
from tests.retrain.material import FLOWERS, ROOM, drawings_run
from tests.share.links_material import Studio, studio

VISITORS = 50


@dataclass
class Visits:
    """Results of a visit. waits_s: of predictions; memory_bytes: of the server, before and the maximum."""

    statuses: Counter[str] = field(default_factory=Counter)
    answers: Counter[int] = field(default_factory=Counter)
    waits_s: list[float] = field(default_factory=list)
    memory_bytes: tuple[int, int] = (0, 0)

    def wait_s(self, share: float) -> float:
        """Return a quantile of the waits: `share` of them are not longer."""
        return sorted(self.waits_s)[min(len(self.waits_s) - 1, int(share * len(self.waits_s)))]


def photographs() -> list[bytes]:
    """Return photographs, the last one as large as a telephone's."""
    paths = sorted(FLOWERS.rglob("*.jpg"))[::40] or sorted((ROOM / "drawings").rglob("*.png"))[:9]
    large = io.BytesIO()
    Image.open(paths[0]).convert("RGB").resize((4032, 3024)).save(large, "JPEG", quality=92)
    return [*(path.read_bytes() for path in paths[:9]), large.getvalue()]


def visit(server: psutil.Process, port: int, token: str, seconds: float) -> Visits:
    """Run fifty visitors at once for some seconds, or until each has had a prediction."""
    found = Visits()
    images = photographs()
    lock, begun = threading.Lock(), time.monotonic()
    before = server.memory_info().rss

    def one(number: int) -> None:
        connection = http.client.HTTPConnection(
            "127.0.0.1", port, timeout=60, source_address=(f"127.0.0.{number + 2}", 0)
        )

        def ask(method: str, path: str, body: bytes | None = None) -> bytes:
            connection.request(method, f"/share/{token}{path}", body, {"Content-Type": "image/jpeg"})
            answer = connection.getresponse()
            content = answer.read()
            with lock:
                found.statuses[f"{method} {path or 'page'} {answer.status}"] += 1
            return content

        try:
            ask("GET", "")
            ask("GET", "/model.tflite")
            at = number
            while (
                found.answers[number] == 0 or time.monotonic() - begun < seconds
            ):  # at least one prediction each
                asked = time.monotonic()
                response = json.loads(ask("POST", "/answer", images[at % len(images)]))
                assert abs(sum(response["probabilities"]) - 1) < 1e-3
                with lock:
                    found.waits_s.append(time.monotonic() - asked)
                    found.answers[number] += 1
                at += 1
        except Exception as error:
            with lock:
                found.statuses[f"{type(error).__name__}: {error}"] += 1
        finally:
            connection.close()

    threads = [threading.Thread(target=one, args=(number,)) for number in range(VISITORS)]
    for thread in threads:
        thread.start()
    most = before
    while any(thread.is_alive() for thread in threads):
        most = max(most, server.memory_info().rss)
        time.sleep(0.05)
    found.memory_bytes = before, most
    return found


def shared(home: Path) -> tuple[Studio, str]:
    """Create a studio with one share link in a new folder; return it and the link's token."""
    home.mkdir()
    database = Database(f"sqlite:///{(home / 'studio.sqlite3').as_posix()}")
    migrate(database)
    made = studio(database, home)
    with database.write() as session:
        return made, links.create(session, made.run_id, "visited", now())[1]


def main() -> None:
    """Measure and print."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 30
    drawings_run()
    with tempfile.TemporaryDirectory() as folder:
        made, token = shared(Path(folder) / "home")
        with run_server(made.settings.home) as (address, server):
            found = visit(server, int(address.rpartition(":")[2]), token, seconds)
        made.database.close()
    for status, count in sorted(found.statuses.items()):
        print(f"{count:6} {status}")
    before, most = (size / 1e6 for size in found.memory_bytes)
    print(
        f"{len(found.waits_s) / seconds:.1f} predictions per second over {seconds:.0f} s, {VISITORS} visitors"
    )
    print(
        f"wait: half {found.wait_s(0.5):.2f} s, 95% {found.wait_s(0.95):.2f} s, most {found.wait_s(1):.2f} s"
    )
    print(f"predictions per visitor: {min(found.answers.values())} to {max(found.answers.values())}")
    print(f"memory of the server: {before:.0f} MB before, {most:.0f} MB at most")


if __name__ == "__main__":
    main()
