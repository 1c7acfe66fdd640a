"""The embedded Apache Kafka, which sends its clients to a proxy: `python -m tests.faults.broker PORT [NAME=VALUE…]`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from deploy.embedded import kafka
from schemas.settings import Settings

write = kafka.write_properties


def write_properties(*arguments: Any, **named: Any) -> Path:
    """The broker's own configuration, with the proxy's address as its own."""
    path = write(*arguments, **named)
    with path.open("a") as file:
        file.write(f"advertised.listeners=PLAINTEXT://127.0.0.1:{sys.argv[1]}\n")
        file.writelines(f"{line}\n" for line in sys.argv[2:])
    return path


if __name__ == "__main__":
    kafka.write_properties = write_properties
    kafka.serve(Settings.from_environ())
