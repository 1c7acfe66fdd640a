"""The catalogue of the producers' metrics, and their text for Prometheus: `producers.kafka.metrics()`.

Each process counts for itself, and Prometheus asks one of them. So each writes its counters down in the spool's folder
now and then, and whichever is asked shows those of all.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from producers import spool
from producers.counting import counters

#: How often a process writes its counters down, in seconds.
WRITE_SECONDS = 5.0
#: The counters of a process that has ended are shown for so long, in seconds.
KEEP_SECONDS = 3600.0

_ENDING = ".counters"


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric; the end of its name is its unit.

    Attributes:
        counters: the counters of `producers.counting` that it shows, each with the value of `label`.
    """

    name: str
    kind: Literal["counter", "gauge"]
    meaning: str
    label: str = ""
    counters: Mapping[str, str] = field(default_factory=dict)


SPOOL_BYTES = Metric(
    "krill_logger_producer_spool_bytes", "gauge", "Events that wait for Kafka on the disk of this machine."
)
SPOOL_LIMIT = Metric("krill_logger_producer_spool_limit_bytes", "gauge", "Most that may wait there; 0: no spool.")

CATALOGUE = (
    Metric(
        "krill_logger_producer_queued_events_total",
        "counter",
        "Events that were taken to be sent.",
        counters={"queued": ""},
    ),
    Metric(
        "krill_logger_producer_delivered_events_total",
        "counter",
        "Events that Kafka has acknowledged.",
        counters={"delivered": ""},
    ),
    Metric(
        "krill_logger_producer_spooled_events_total",
        "counter",
        "Events that were written to the disk, since Kafka did not take them at once.",
        counters={"spooled": ""},
    ),
    Metric(
        "krill_logger_producer_spool_sent_events_total",
        "counter",
        "Events from the disk that Kafka has acknowledged.",
        counters={"sent_from_spool": ""},
    ),
    Metric(
        "krill_logger_producer_dropped_events_total",
        "counter",
        "Events that are lost, by reason.",
        "reason",
        {
            "dropped_at_exit": "at_exit",
            "dropped_error": "error",
            "dropped_queue_full": "queue_full",
            "dropped_refused": "refused",
            "dropped_spool_busy": "spool_busy",
            "dropped_spool_full": "spool_full",
            "dropped_too_large": "too_large",
        },
    ),
    Metric(
        "krill_logger_producer_failures_total",
        "counter",
        "What went wrong without an event being lost by it, by kind; the log says more.",
        "kind",
        {
            name: name
            for name in (
                "broker_errors",
                "capture_errors",
                "delivery_failed",
                "relay_errors",
                "resent_unchecked",
                "spool_errors",
                "spool_foreign",
                "spool_full",
                "spool_torn",
                "spool_waits",
                "threads_stalled",
            )
        },
    ),
    SPOOL_BYTES,
    SPOOL_LIMIT,
)


def write(folder: Path) -> None:
    """Write this process's counters down where the others find them. Raises: OSError."""
    spool.open_folder(folder)
    path = folder / f"{_me()}{_ENDING}"
    unfinished = path.with_suffix(".new")
    unfinished.write_bytes(msgspec.json.encode(counters()))
    unfinished.replace(path)


def text(folder: Path | None, limit: int) -> str:
    """The metrics of all processes that share the spool `folder`, as Prometheus reads them; of this one without it."""
    processes = {**_written(folder), _me(): counters()}
    gauges = {SPOOL_BYTES.name: _size(folder), SPOOL_LIMIT.name: limit}
    lines = []
    for metric in CATALOGUE:
        lines += [f"# HELP {metric.name} {metric.meaning}", f"# TYPE {metric.name} {metric.kind}"]
        if metric.kind == "gauge":
            lines.append(f"{metric.name} {gauges[metric.name]}")
        for process, counted in processes.items():
            for name, value in metric.counters.items():
                label = f',{metric.label}="{value}"' if metric.label else ""
                lines.append(f'{metric.name}{{process="{process}"{label}}} {counted.get(name, 0)}')
    return "\n".join(lines) + "\n"


def _me() -> str:
    """This process among those that may share a spool, which containers may do too."""
    return f"{socket.gethostname()}-{os.getpid()}"


def _written(folder: Path | None) -> dict[str, dict[str, int]]:
    return dict(_read(folder)) if folder is not None else {}


def _read(folder: Path) -> Iterator[tuple[str, dict[str, int]]]:
    for path in sorted(folder.glob(f"*{_ENDING}")):
        with suppress(OSError, msgspec.MsgspecError):
            if time.time() - path.stat().st_mtime > KEEP_SECONDS:
                path.unlink()
            else:
                yield path.stem, msgspec.json.decode(path.read_bytes(), type=dict[str, int])


def _size(folder: Path | None) -> int:
    with suppress(OSError):
        return spool.used(folder) if folder is not None else 0
    return 0
