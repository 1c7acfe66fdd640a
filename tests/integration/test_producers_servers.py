"""The producers below real servers that fork. The benchmark, in short."""

from __future__ import annotations

import pytest

from deploy.topics import create_topics
from schemas.settings import Settings
from tests.benchmarks import preload


@pytest.mark.parametrize("server", preload.SERVERS)
def test_every_answered_request_to_a_server_that_forks_arrives_once(kafka, tmp_path, server):
    create_topics(Settings(kafka_bootstrap=kafka))
    result = preload.run(kafka, tmp_path, 2000, server)
    log = (tmp_path / "server.log").read_text()
    assert result["answered"] >= 2000, log
    assert {name: result[name] for name in ("failed", "missing", "twice")} == dict.fromkeys(
        ("failed", "missing", "twice"), 0
    ), log
