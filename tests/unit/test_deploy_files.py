"""The files for Docker: they parse strictly, agree with the code, and hold no secret."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from deploy.cli import cli
from deploy.embedded.jars import VERSION
from schemas.settings import Settings
from schemas.topics import TOPICS

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "deploy" / "compose.yaml"

#: What the services of the file may say; anything else is a typing error.
SERVICE_KEYS = {
    "image",
    "build",
    "restart",
    "read_only",
    "tmpfs",
    "cap_drop",
    "security_opt",
    "user",
    "environment",
    "ports",
    "volumes",
    "ulimits",
    "healthcheck",
    "command",
    "depends_on",
    "stop_grace_period",
}
HEALTH_KEYS = {"test", "interval", "timeout", "retries", "start_period"}
CONDITIONS = {"service_healthy", "service_completed_successfully", "service_started"}


class Strict(yaml.SafeLoader):
    """YAML in which a key stands once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        assert len(names) == len(set(names)), f"a key stands twice at {node.start_mark}"
        return super().construct_mapping(node, deep)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.load(COMPOSE.read_text(), Strict)


def test_docker_compose_takes_the_file(compose: dict[str, Any]) -> None:
    environment = {"CLICKHOUSE_PASSWORD": "x", "KRILL_LOGGER_ADMIN_PASSWORD": "x", "PATH": "/usr/bin:/usr/local/bin"}
    docker = shutil.which("docker")
    if docker and subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode == 0:
        command = [docker, "compose", "-f", str(COMPOSE), "config", "-q"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert {key for key in compose if not key.startswith("x-")} == {"name", "services", "volumes"}
    for name, service in compose["services"].items():
        assert set(service) <= SERVICE_KEYS, name
        assert set(service.get("healthcheck", {})) <= HEALTH_KEYS, name
        for other, how in service.get("depends_on", {}).items():
            assert other in compose["services"]
            assert how["condition"] in CONDITIONS
            if how["condition"] == "service_healthy":
                assert "healthcheck" in compose["services"][other]
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (COMPOSE.parent / source).exists() if source.startswith(".") else source in compose["volumes"]
        for variable, value in service["environment"].items():
            assert value is not None, variable


def test_it_runs_what_the_command_line_has(compose: dict[str, Any]) -> None:
    known = set(Settings.__dataclass_fields__)
    for name in ("migrate", "worker", "dashboard"):
        service = compose["services"][name]
        assert service["command"] == [name]
        assert name in cli.commands
        ours = [key for key in service["environment"] if key.startswith("KRILL_LOGGER_")]
        assert {key.removeprefix("KRILL_LOGGER_").lower() for key in ours} <= known


def test_versions_and_sizes_are_those_of_the_embedded_servers(compose: dict[str, Any]) -> None:
    kafka = compose["services"]["kafka"]
    assert kafka["image"] == f"apache/kafka:{VERSION}"
    assert kafka["environment"]["KAFKA_MESSAGE_MAX_BYTES"] >= max(TOPICS.values()) + 2**20


def test_nobody_is_root_and_everybody_is_looked_after(compose: dict[str, Any]) -> None:
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text()
    assert re.search(r"^USER krill$", dockerfile, re.MULTILINE)
    for name, service in compose["services"].items():
        assert service.get("user", "krill" if "build" in service else "root") not in ("root", "0"), name
        assert "healthcheck" in service or name == "migrate"
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), "published on this host only"


def test_secrets_come_from_a_file_that_is_not_in_git(compose: dict[str, Any]) -> None:
    text = COMPOSE.read_text()
    assert re.findall(r"PASSWORD: (?!\$\{)", text) == []
    for line in (ROOT / "deploy" / "env.example").read_text().splitlines():
        assert line.startswith("#") or line.endswith("="), "an example holds no value"
    ignored = subprocess.run(["git", "check-ignore", "-q", "deploy/.env"], cwd=ROOT, check=False)
    assert ignored.returncode == 0


def test_the_servers_settings_parse() -> None:
    root = ElementTree.parse(ROOT / "deploy" / "clickhouse" / "krill-logger.xml").getroot()
    assert root.tag == "clickhouse"


def test_everything_the_image_copies_exists() -> None:
    text = (ROOT / "deploy" / "Dockerfile").read_text()
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE)
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for name in " ".join(copied).split():
        assert name == "." or (ROOT / name).exists()
    assert all((ROOT / name).exists() for name in allowed)
