"""Fifty visitors of a link at once, for a few seconds: all are answered, and memory stays within bounds."""

import sys
from pathlib import Path

import pytest

from tests.benchmarks.visitors import VISITORS, shared, visit
from tests.e2e.conftest import serving


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux has so many addresses of its own"
)
def test_fifty_visitors_at_once_are_all_answered(tmp_path: Path) -> None:
    made, token = shared(tmp_path / "많은 home")
    with serving(made.settings.home) as (address, server):
        found = visit(server, int(address.rpartition(":")[2]), token, 4)
    made.database.close()
    assert set(found.statuses) == {"GET page 200", "GET /model.tflite 200", "POST /answer 200"}
    assert found.statuses["GET page 200"] == VISITORS
    assert len(found.answers) == VISITORS
    before, most = found.memory_bytes
    assert most - before < 400_000_000
    (link,) = (made.seen(number) for number in (1,))
    assert (link.opened, link.answered) == (VISITORS, found.statuses["POST /answer 200"])
