"""Fifty visitors of one link at once: what they get, how long they wait, how much memory the server takes.

    python tests/benchmarks/visitors.py [SECONDS]

Each has an address of its own (127.0.0.2, …, as Linux gives them), opens the page, fetches the model, and
then shows one photograph after the other to the server, every tenth of a telephone's size.
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
from tests.e2e.conftest import serving
from tests.retrain.material import FLOWERS, ROOM, drawings_run
from tests.share.links_material import Studio, studio

VISITORS = 50


@dataclass
class Visits:
    """What visitors got. waits_s: of the answers; memory_bytes: the server's, before and at most."""

    statuses: Counter[str] = field(default_factory=Counter)
    answers: Counter[int] = field(default_factory=Counter)
    waits_s: list[float] = field(default_factory=list)
    memory_bytes: tuple[int, int] = (0, 0)

    def wait_s(self, share: float) -> float:
        """Return the wait that a share of the answers did not exceed."""
        return sorted(self.waits_s)[min(len(self.waits_s) - 1, int(share * len(self.waits_s)))]


def photographs() -> list[bytes]:
    """Photographs, and a large one as a telephone takes it."""
    paths = sorted(FLOWERS.rglob("*.jpg"))[::40] or sorted((ROOM / "drawings").rglob("*.png"))[:9]
    large = io.BytesIO()
    Image.open(paths[0]).convert("RGB").resize((4032, 3024)).save(large, "JPEG", quality=92)
    return [*(path.read_bytes() for path in paths[:9]), large.getvalue()]


def visit(server: psutil.Process, port: int, token: str, seconds: float) -> Visits:
    """Have fifty visitors at once for so long, or until each has had an answer."""
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
            while found.answers[number] == 0 or time.monotonic() - begun < seconds:  # each once, however slow
                asked = time.monotonic()
                told = json.loads(ask("POST", "/answer", images[at % len(images)]))
                assert abs(sum(told["probabilities"]) - 1) < 1e-3
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
    """Return a studio with one link, in a folder that is not there yet, and the link's token."""
    home.mkdir()
    database = Database(f"sqlite:///{(home / 'studio.sqlite3').as_posix()}")
    migrate(database)
    made = studio(database, home)
    with database.write() as session:
        return made, links.create(session, made.run_id, "visited", now())[1]


def main() -> None:
    """Print what fifty visitors got."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 30
    drawings_run()
    with tempfile.TemporaryDirectory() as folder:
        made, token = shared(Path(folder) / "home")
        with serving(made.settings.home) as (address, server):
            found = visit(server, int(address.rpartition(":")[2]), token, seconds)
        made.database.close()
    for status, count in sorted(found.statuses.items()):
        print(f"{count:6} {status}")
    before, most = (size / 1e6 for size in found.memory_bytes)
    print(f"{len(found.waits_s) / seconds:.1f} answers a second over {seconds:.0f} s, {VISITORS} visitors")
    print(
        f"wait: half {found.wait_s(0.5):.2f} s, 95% {found.wait_s(0.95):.2f} s, most {found.wait_s(1):.2f} s"
    )
    print(f"answers a visitor: {min(found.answers.values())} to {max(found.answers.values())}")
    print(f"memory of the server: {before:.0f} MB before, {most:.0f} MB at most")


if __name__ == "__main__":
    main()
