"""Writes the reference pages of `docs/` from the code they describe: `make docs`."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import click

from schemas.settings import KAFKA_SECURITY_PREFIXES, PREFIX, Settings

DOCS = Path(__file__).parent.parent / "docs"


def settings_page() -> str:
    """Every setting with its default."""
    rows = []
    for setting in fields(Settings):
        if not setting.metadata:
            continue
        default = {True: "1", False: "0", "": ""}.get(setting.default, setting.default)
        shown = "`./var`" if setting.name == "data" else f"`{default}`" if default != "" else "–"
        rows.append(f"| `{PREFIX}{setting.name.upper()}` | {shown} | {setting.metadata['doc']} |")
    security = ", ".join(f"`{PREFIX}KAFKA_{prefix}…`" for prefix in KAFKA_SECURITY_PREFIXES)
    return f"""# Settings

Each is an environment variable; one that is empty counts as not set, and one that is not listed here is an error.

| variable | default | what it is |
| --- | --- | --- |
{chr(10).join(rows)}

## Logging in to Kafka

{security} are librdkafka's properties with `_` for `.`: `{PREFIX}KAFKA_SASL_USERNAME` is `sasl.username`. For a cluster
with TLS and passwords:

```sh
export {PREFIX}KAFKA_BOOTSTRAP=kafka1:9093,kafka2:9093
export {PREFIX}KAFKA_SECURITY_PROTOCOL=SASL_SSL
export {PREFIX}KAFKA_SASL_MECHANISM=SCRAM-SHA-512
export {PREFIX}KAFKA_SASL_USERNAME=krill-logger
export {PREFIX}KAFKA_SASL_PASSWORD=…
export {PREFIX}KAFKA_SSL_CA_LOCATION=/etc/ssl/certs/kafka.pem
```

What Krill itself installs is configured in its Django settings: see [Krill's side](django.md).
"""


def command_page() -> str:
    """Every command with its help, as `--help` prints it."""
    from deploy.cli import cli

    sections: list[str] = []

    def describe(command: click.Command, name: str, parent: click.Context | None) -> None:
        how = {**command.context_settings, "terminal_width": 100, "max_content_width": 100}
        context = click.Context(command, info_name=name, parent=parent, **how)
        level = "##" if parent is None or parent.parent is None else "###"
        sections.append(f"{level} {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n")
        if isinstance(command, click.Group):
            for child in command.list_commands(context):
                found = command.get_command(context, child)
                if found is not None:
                    describe(found, child, context)

    describe(cli, "krill-logger", None)
    return "# Command line\n\n" + "\n".join(sections)


def metrics_page() -> str:
    """Every metric of worker, dashboard and producers with its type and meaning."""
    from consumers.metrics import REGISTRY as WORKER
    from dashboard.metrics import REGISTRY as DASHBOARD
    from producers.metrics import CATALOGUE as PRODUCERS

    tables: dict[str, list[str]] = {}
    for title, registry in (("Worker: `KRILL_LOGGER_WORKER_PORT`", WORKER), ("Dashboard", DASHBOARD)):
        rows = tables[title] = []
        for metric in sorted(registry.collect(), key=lambda metric: metric.name):
            name = f"{metric.name}_total" if metric.type == "counter" else metric.name
            rows.append(f"| `{name}` | {metric.type} | {metric.documentation} |")
    tables["Krill's processes: [a view](django.md#when-kafka-does-not-answer) of Krill's own"] = [
        f"| `{metric.name}` | {metric.kind} | {metric.meaning} |" for metric in PRODUCERS
    ]
    head = "| metric | type | what it is |\n| --- | --- | --- |\n"
    sections = [f"## {title}\n\n{head}" + "\n".join(rows) for title, rows in tables.items()]
    text = "Worker and dashboard answer `GET /metrics` in Prometheus' text format. The end of a name is its unit."
    return f"# Metrics\n\n{text}\n\n" + "\n\n".join(sections) + "\n"


def pages() -> dict[str, str]:
    """File name to text of every generated page."""
    return {"settings.md": settings_page(), "command-line.md": command_page(), "metrics.md": metrics_page()}


def write() -> None:
    """Write the pages."""
    for name, text in pages().items():
        (DOCS / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
