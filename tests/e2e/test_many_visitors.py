"""Fifty visitors of a link at once, for a few seconds: all are answered, and memory stays within bounds."""

import sys
from pathlib import Path

import pytest

from tests.benchmarks.visitors import VISITORS, shared, visit
from tests.e2e.conftest import run_server


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux has so many addresses of its own"
)
def test_fifty_concurrent_visitors_are_answered(tmp_path: Path) -> None:
    made, token = shared(tmp_path / "많은 home")
    with run_server(made.settings.home) as (address, server):
        found = visit(server, int(address.rpartition(":")[2]), token, 4)
    made.database.close()
    assert set(found.statuses) == {"GET page 200", "GET /model.tflite 200", "POST /answer 200"}
    assert found.statuses["GET page 200"] == VISITORS
    assert len(found.answers) == VISITORS
    before, most = found.memory_bytes
    assert most - before < 400_000_000
    (link,) = (made.find_link(number) for number in (1,))
    assert (link.page_views, link.server_predictions) == (VISITORS, found.statuses["POST /answer 200"])
