"""The producers below real servers: processes that fork, and a broker that goes away. The benchmarks, in short."""

from __future__ import annotations

import pytest

from deploy.topics import create_topics
from schemas.settings import Settings
from tests.benchmarks import preload, producer_down


@pytest.mark.parametrize("server", ["gunicorn", "uwsgi"])
def test_every_request_to_a_server_that_forks_arrives_once(server, kafka, tmp_path):
    create_topics(Settings(kafka_bootstrap=kafka))
    result = preload.run(kafka, tmp_path, 2000, server)
    del result["seconds"]
    assert result == {"answered": 2000, "failed": 0, "missing": 0, "twice": 0}, (tmp_path / "server.log").read_text()


@pytest.mark.timeout(300)
def test_a_broker_that_is_down_costs_no_request_and_no_event(tmp_path):
    one, result = producer_down.measure(tmp_path, down=8, rate=25, up=2)
    sent = one.sent["with logging"]
    assert (result["missing"], result["twice"], sent.failed) == (0, 0, 0), one.sites["with logging"].log.read_text()
    assert len(sent.ids) > 100
    # No request waits for Kafka: that would take a second at least. (The restart is not counted.)
    assert sent.quantile("down", 0.5) < one.sent["without"].quantile("down", 0.5) + 200, one.table()
