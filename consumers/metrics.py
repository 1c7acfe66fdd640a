"""The catalogue of the worker's metrics, as its `/metrics` shows them to Prometheus.

Every metric is declared here with its name, type, unit (the end of its name) and meaning.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry()

CONSUMED = Counter(
    "krill_logger_worker_consumed_messages",
    "Messages taken from Kafka, those that were read again included.",
    ("topic",),
    registry=REGISTRY,
)
STORED = Counter(
    "krill_logger_worker_stored_rows",
    "Rows that ClickHouse has acknowledged.",
    ("table",),
    registry=REGISTRY,
)
RESTORED = Counter(
    "krill_logger_worker_restored_rows",
    "Rows that were missing after an insert of uncertain outcome, and were put in.",
    ("table",),
    registry=REGISTRY,
)
DEAD_LETTERS = Counter(
    "krill_logger_worker_dead_letters",
    "Messages that could not become a row and are in the dead letters.",
    ("topic", "reason"),
    registry=REGISTRY,
)
RETRIES = Counter(
    "krill_logger_worker_retries",
    "Attempts that failed and were made again, by what was attempted: look, dead-letters, insert or check.",
    ("attempt",),
    registry=REGISTRY,
)
BATCH_ROWS = Histogram(
    "krill_logger_worker_batch_rows",
    "Rows of a batch.",
    ("table",),
    buckets=(1, 10, 100, 1_000, 5_000, 10_000, 25_000, 50_000, 100_000),
    registry=REGISTRY,
)
BATCH_SECONDS = Histogram(
    "krill_logger_worker_batch_seconds",
    "Time to convert and store a batch, waiting for ClickHouse included.",
    ("table",),
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
    registry=REGISTRY,
)
DELETED = Counter(
    "krill_logger_worker_deleted_messages",
    "Messages that are lost: Kafka deleted them, by retention or by hand, before a worker had read them.",
    ("topic",),
    registry=REGISTRY,
)
REJOINS = Counter(
    "krill_logger_worker_rejoins",
    "Times the worker left the group and joined it again: a commit failed or was slow, or others' rows came first.",
    registry=REGISTRY,
)
LAG = Gauge(
    "krill_logger_worker_lag_messages",
    "Messages of an owned partition that are not stored yet.",
    ("topic", "partition"),
    registry=REGISTRY,
)
PAUSED = Gauge(
    "krill_logger_worker_paused",
    "1 while an owned partition is not read: storage is behind, or a flood stopped its topic.",
    ("topic", "partition"),
    registry=REGISTRY,
)
HELD = Gauge(
    "krill_logger_worker_held_bytes",
    "Messages in memory that are not stored yet.",
    registry=REGISTRY,
)
