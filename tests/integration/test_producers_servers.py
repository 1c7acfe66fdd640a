"""The producers below real servers that fork. The benchmark, in short."""

from __future__ import annotations

from deploy.topics import create_topics
from schemas.settings import Settings
from tests.benchmarks import preload


def test_every_request_to_a_server_that_forks_arrives_once(kafka, tmp_path):
    create_topics(Settings(kafka_bootstrap=kafka))
    result = preload.run(kafka, tmp_path, 2000, "gunicorn")
    del result["seconds"]
    assert result == {"answered": 2000, "failed": 0, "missing": 0, "twice": 0}, (tmp_path / "server.log").read_text()
