"""`/health` for people and probes, `/metrics` for Prometheus; both need no login and tell no secrets."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from typing import Any

import msgspec
from flask import Blueprint, Response, g, request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from dashboard import metrics
from dashboard.clickhouse import StoreError
from dashboard.state import state
from dashboard.store import Store

blueprint = Blueprint("health", __name__)

#: Longest that ClickHouse may take to answer before it counts as down.
SECONDS = 1.5

# Queries of probes run here, so that a ClickHouse that hangs does not hold up the answer.
_probes = ThreadPoolExecutor(max_workers=2, thread_name_prefix="health")


@blueprint.get("/health")
def show_health() -> Response:
    """Whether all parts work: 200 with `status` ok, else 503 with `degraded` or `down`."""
    parts = check(state().store)
    states = {part["status"] for part in parts.values()}
    status = "ok" if states == {"ok"} else "down" if parts["clickhouse"]["status"] != "ok" else "degraded"
    content = msgspec.json.encode({"status": status, **parts})
    return Response(content, 200 if status == "ok" else 503, content_type="application/json")


@blueprint.get("/metrics")
def show_metrics() -> Response:
    """The dashboard's metrics in Prometheus' text format."""
    said = _ask(state().store)
    metrics.LAG.clear()
    if said is None:
        metrics.DEAD_LETTERS.set(float("nan"))
    else:
        metrics.DEAD_LETTERS.set(said["dead_letters"])
        for partition in said["partitions"]:
            metrics.LAG.labels(partition["topic"]).inc(partition["lag"])
    return Response(generate_latest(metrics.REGISTRY), content_type=CONTENT_TYPE_LATEST)


@blueprint.before_app_request
def start_clock() -> None:
    """Note when the request came."""
    g.started = time.perf_counter()


@blueprint.after_app_request
def count(response: Response) -> Response:
    """Count the request and its time."""
    endpoint = request.endpoint or "none"
    metrics.REQUESTS.labels(endpoint, request.method, str(response.status_code)).inc()
    if "started" in g:
        metrics.REQUEST_SECONDS.labels(endpoint).observe(time.perf_counter() - g.started)
    return response


def check(store: Store) -> dict[str, dict[str, Any]]:
    """The parts and how they are: a dict with `status` (`ok` or `down`) per part. Takes less than 2 s."""
    said = _ask(store)
    dashboard = {"status": "ok"}
    if said is None:
        unknown = {"status": "down", "reason": "unknown while ClickHouse does not answer"}
        return {"clickhouse": {"status": "down"}, "kafka": unknown, "worker": unknown, "dashboard": dashboard}
    return {
        "clickhouse": {"status": "ok"},
        "kafka": {"status": said["kafka"]},
        "worker": {
            "status": said["worker"],
            "lag": said["lag"],
            "last_event_at": said["last_event_at"],
            "updated_at": said["updated_at"],
            "dead_letters": said["dead_letters"],
        },
        "dashboard": dashboard,
    }


def _ask(store: Store) -> dict[str, Any] | None:
    """`store.health()`, or None if there is no answer in time."""
    probe = _probes.submit(store.health)
    try:
        return probe.result(SECONDS)
    except (TooLate, StoreError):
        probe.cancel()
        return None
