"""The catalogue of the dashboard's own metrics, as `/metrics` shows them to Prometheus.

Every metric is declared here with its name, type, unit (the end of its name) and meaning.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry()

REQUESTS = Counter(
    "krill_logger_dashboard_requests",
    "HTTP requests answered, by endpoint, method and status.",
    ("endpoint", "method", "status"),
    registry=REGISTRY,
)
REQUEST_SECONDS = Histogram(
    "krill_logger_dashboard_request_seconds",
    "Time to answer an HTTP request, without the streaming of an export.",
    ("endpoint",),
    registry=REGISTRY,
)
QUERY_SECONDS = Histogram(
    "krill_logger_dashboard_query_seconds",
    "Time of a ClickHouse query, transfer included.",
    registry=REGISTRY,
)
QUERY_ERRORS = Counter(
    "krill_logger_dashboard_query_errors",
    "ClickHouse queries that brought no answer.",
    registry=REGISTRY,
)
EXPORTED_ROWS = Counter(
    "krill_logger_dashboard_exported_rows",
    "Rows written to exported files.",
    ("report",),
    registry=REGISTRY,
)
EXPORTS_ABORTED = Counter(
    "krill_logger_dashboard_exports_aborted",
    "Exported files that broke off because of an error.",
    ("report",),
    registry=REGISTRY,
)
LAG = Gauge(
    "krill_logger_lag_events",
    "Messages that are on a topic and not yet in ClickHouse, as the worker last said.",
    ("topic",),
    registry=REGISTRY,
)
DEAD_LETTERS = Gauge(
    "krill_logger_dead_letters",
    "Messages that could not become a row.",
    registry=REGISTRY,
)
