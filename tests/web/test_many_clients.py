"""Eight clients that label at once over a real server: each operation is recorded exactly once."""

import http.client
import json
import os
import random
import threading
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any

from sqlalchemy import select

from db.engine import Database
from db.models import LabelChangeRow, LabelOperationRow, LabelRow
from tests.curate.material import small
from tests.e2e.conftest import run_server

SECONDS = 12
"""The time that they label; `STUDIO_TEST_SECONDS` overrides it."""
CLIENTS = 8
LEAST = 30
"""Operations of each client at least, whatever the time: to compare their waiting times."""
IMAGES = 2_000


@dataclass
class Client:
    """One browser: it sends batches, repeats some, polls for changes, and requests tiles."""

    address: str
    number: int
    until: float
    project: int
    acknowledged: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The result of each operation by its id."""
    latencies_s: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def run(self) -> None:
        chance = random.Random(self.number)
        host = self.address.removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=60)
        seen, at = 1, 0
        old: list[list[dict[str, Any]]] = []
        while (monotonic() < self.until or len(self.acknowledged) < LEAST) and not self.errors:
            operations = [self.operation(chance, f"{self.number}-{at}-{n}", seen) for n in range(3)]
            at += 1
            old.append(operations)
            if chance.random() < 0.2:
                operations = chance.choice(old)
            batch = {"author": f"browser-{self.number}", "operations": operations}
            answer = self.ask(connection, "POST", "labels", batch)
            if chance.random() < 0.1:  # the answer was lost: asked again on another line
                connection.close()
                answer = self.ask(connection, "POST", "labels", batch)
            for result in answer.get("results", ()):
                known = self.acknowledged.setdefault(result["id"], result)
                if (known["number"], known["about"], known["error"]) != (
                    result["number"],
                    result["about"],
                    result["error"],
                ):
                    self.errors.append(f"{known} was {result} the second time")
            changes = self.ask(connection, "GET", f"changes?after={seen}")
            seen = changes.get("number", seen)
            if chance.random() < 0.2:
                self.ask(connection, "GET", "walk?state=unlabelled&limit=500")
                self.ask(connection, "GET", f"items?ids={','.join(map(str, range(1, 60)))}")
                self.ask(connection, "GET", "classes")
                self.ask(connection, "GET", "history")
        connection.close()

    def operation(self, chance: random.Random, name: str, seen: int) -> dict[str, Any]:
        if chance.random() < 0.2:
            return {"id": name, "kind": chance.choice(["undo", "undo", "redo"])}
        first = chance.randrange(1, IMAGES - 60)
        images = f"{first}-{first + chance.choice((0, 0, 5, 50))}"
        target: dict[str, Any] = chance.choice([
            {"state": "labelled", "class": 1},
            {"state": "labelled", "class": 2},
            {"state": "rejected"},
            {"state": "labelled", "class_name": f"class {chance.randrange(5)}"},
        ])  # fmt: skip
        return {"id": name, "kind": "set", "seen": seen, "sets": [{"images": images, **target}]}

    def ask(
        self, connection: http.client.HTTPConnection, method: str, what: str, body: Any = None
    ) -> dict[str, Any]:
        begun = perf_counter()
        connection.request(
            method,
            f"/studio/projects/{self.project}/{what}",
            None if body is None else json.dumps(body),
            {"X-Studio-Curate": "1"},
        )
        response = connection.getresponse()
        text = response.read()
        self.latencies_s.append(perf_counter() - begun)
        if response.status != 200:
            self.errors.append(f"{method} {what}: {response.status} {text[:300]!r}")
            return {}
        content: dict[str, Any] = json.loads(text)
        return content


def test_eight_label_at_once(database: Database, home: Path) -> None:
    project = small(database, IMAGES)
    seconds = float(os.environ.get("STUDIO_TEST_SECONDS", SECONDS))
    url = database.url.render_as_string(hide_password=False)
    with run_server(home, STUDIO_DATABASE_URL=url) as (address, _process):
        clients = [Client(address, number, monotonic() + seconds, project) for number in range(CLIENTS)]
        threads = [threading.Thread(target=client.run) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [error for client in clients for error in client.errors] == []
    acknowledged = {name: result for client in clients for name, result in client.acknowledged.items()}
    latencies = sorted(latency for client in clients for latency in client.latencies_s)
    print(
        f"\n{database.engine.dialect.name}: {len(acknowledged) / seconds:.0f} operations/s, "
        f"{len(latencies) / seconds:.0f} requests/s, median {latencies[len(latencies) // 2] * 1e3:.0f} ms, "
        f"worst {latencies[-1] * 1e3:.0f} ms"
    )
    # Nobody starved.
    counts = [len(client.acknowledged) for client in clients]
    assert min(counts) > max(counts) / 8, counts
    check(database, project, acknowledged)


def check(database: Database, project: int, acknowledged: dict[str, dict[str, Any]]) -> None:
    """Compare the history with the acknowledged results, and the labels with a replay of the history."""
    with database.read() as session:
        operations = session.scalars(select(LabelOperationRow).order_by(LabelOperationRow.number)).all()
        changes: dict[str, list[LabelChangeRow]] = {}
        for change in session.scalars(select(LabelChangeRow)):
            changes.setdefault(change.operation_id, []).append(change)
        rows = session.execute(
            select(LabelRow.image_id, LabelRow.state, LabelRow.class_id, LabelRow.operation_number).where(
                LabelRow.project_id == project
            )
        ).all()
    assert [operation.number for operation in operations] == list(range(1, len(operations) + 1))
    found = {operation.id: operation for operation in operations}
    assert set(acknowledged) <= set(found)
    for name, result in acknowledged.items():
        assert result["error"] is None
        assert result["number"] in (0, found[name].number)
        assert (result["number"] == 0) == (found[name].direction != "do" and found[name].undoes is None)
    replay: dict[int, tuple[Any, ...]] = {}
    for operation in operations:
        for change in changes.get(operation.id, ()):
            before = replay.get(change.image_id, (None, None))
            assert before[:2] == (change.state_before, change.class_id_before)
            replay[change.image_id] = (change.state_after, change.class_id_after, operation.number)
    assert replay == {image: (state, class_id, number) for image, state, class_id, number in rows}
