"""What runs, how far behind the worker is, and what came last: from Kafka, ClickHouse and the dashboard themselves."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

import clickhouse_connect
from clickhouse_connect.driver.exceptions import ClickHouseError
from confluent_kafka import Consumer, KafkaException, TopicPartition

from deploy import reach
from deploy.embedded.errors import StartError
from deploy.schema import reason
from schemas.settings import Settings
from schemas.topics import ADMIN_CHANGES, API_REQUESTS

#: What the workers read.
TOPICS = (API_REQUESTS, ADMIN_CHANGES)

#: Seconds that one part may take to answer.
TIMEOUT = 5

#: Older than this, in seconds, the worker's last word does not count.
STALE = 15


def status(settings: Settings) -> dict[str, Any]:
    """The state of every part; none that is down keeps the others from being looked at.

    Returns:
        `status` (`ok`, `degraded`, or `down` when nothing runs), and per part (`kafka`, `clickhouse`, `worker`,
        `dashboard`) `ok` with an `error` or what is known of it. `lag` counts messages per topic, None if unknown;
        `last_event` is RFC 3339 or None.
    """
    # What fails is in the answer.
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)
    with ThreadPoolExecutor(3) as pool:
        parts = [pool.submit(look, settings) for look in (_kafka, _clickhouse, _dashboard)]
        kafka, clickhouse, dashboard = (part.result() for part in parts)
    worker = clickhouse.pop("worker", {"ok": False, "error": "unknown: ClickHouse does not answer"})
    last_event, dead_letters = clickhouse.pop("last_event", None), clickhouse.pop("dead_letters", None)
    found = {"kafka": kafka, "clickhouse": clickhouse, "worker": worker, "dashboard": dashboard}
    running = [part["ok"] for part in found.values()]
    return {
        "status": "ok" if all(running) else "degraded" if any(running) else "down",
        **found,
        "lag": kafka.pop("lag", dict.fromkeys(TOPICS)),
        "last_event": last_event,
        "dead_letters": dead_letters,
    }


def _kafka(settings: Settings) -> dict[str, Any]:
    try:
        known = reach.visible_topics(settings, TIMEOUT, absent=0)
        consumer = Consumer({**settings.kafka(group_id=settings.group), "log_level": 0})
    except StartError as error:
        return {"ok": False, "error": str(error)}
    except KafkaException as error:
        return {"ok": False, "error": reach.sentence(error.args[0], settings)}
    try:
        if missing := [name for name in TOPICS if name not in known]:
            return {"ok": False, "error": f"there is no topic {missing[0]}: run krill-logger migrate"}
        parts = [TopicPartition(name, number) for name in TOPICS for number in known[name]]
        lag = dict.fromkeys(TOPICS, 0)
        for part in consumer.committed(parts, timeout=TIMEOUT):
            begin, end = consumer.get_watermark_offsets(part, timeout=TIMEOUT)
            lag[part.topic] += end - max(part.offset, begin)
    except KafkaException as error:
        return {"ok": False, "error": reach.sentence(error.args[0], settings)}
    finally:
        consumer.close()
    return {"ok": True, "lag": lag}


def _clickhouse(settings: Settings) -> dict[str, Any]:
    try:
        client = clickhouse_connect.get_client(
            dsn=settings.clickhouse,
            autogenerate_session_id=False,
            connect_timeout=TIMEOUT,
            send_receive_timeout=TIMEOUT,
            query_retries=0,
        )
    except (ClickHouseError, OSError) as error:
        return {"ok": False, "error": reason(error, settings)}
    database = {"database": settings.clickhouse_database}

    def value(sql: str) -> Any:
        rows = client.query(sql, parameters=database).result_rows
        return rows[0][0] if rows else None

    try:
        return {
            "ok": True,
            "version": client.server_version,
            "worker": _worker(client, database),
            "last_event": value(
                "SELECT formatDateTime(greatest("
                "(SELECT max(requested_at) FROM {database:Identifier}.api_requests), "
                "(SELECT max(changed_at) FROM {database:Identifier}.admin_changes)) AS last, "
                "'%Y-%m-%dT%H:%i:%SZ', 'UTC') WHERE last > toDateTime64(0, 3)"
            ),
            "dead_letters": value("SELECT count() FROM {database:Identifier}.dead_letters"),
        }
    except (ClickHouseError, OSError) as error:
        return {"ok": False, "error": reason(error, settings), "version": client.server_version}
    finally:
        client.close()


def _worker(client: Any, database: dict[str, str]) -> dict[str, Any]:
    rows = client.query(
        "SELECT worker, groupUniqArray(state), max(kafka_error), dateDiff('second', max(updated_at), now64(3, 'UTC')) "
        "FROM {database:Identifier}.pipeline_status FINAL GROUP BY worker ORDER BY max(updated_at) DESC",
        parameters=database,
    ).result_rows
    live = [row for row in rows if row[3] <= STALE and row[1] != ["stopped"]]
    if not live:
        return {"ok": False, "error": f"silent for {rows[0][3]} s" if rows else "has never run"}
    trouble = next((row[2] for row in live if row[2]), "")
    paused = any("paused" in row[1] for row in live)
    flooded = any("stopped by flood" in row[1] for row in live)
    names = [row[0] for row in live]
    if trouble or paused or flooded:
        stopped = "a flood of dead letters stopped a topic: see krill-logger dead-letters list"
        # What Kafka said last passes; a topic that is stopped waits for somebody.
        said = [stopped if flooded else "", trouble or ("paused" if paused and not flooded else "")]
        return {"ok": False, "error": "; ".join(filter(None, said)), "workers": names}
    return {"ok": True, "workers": names}


def _dashboard(settings: Settings) -> dict[str, Any]:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.dashboard_host, settings.dashboard_host)  # noqa: S104
    url = f"http://{f'[{host}]' if ':' in host else host}:{settings.dashboard_port}/health"
    try:
        build_opener(ProxyHandler({})).open(url, timeout=TIMEOUT).close()
    except HTTPError as error:
        error.close()
        # It answers; what it says of the others is looked at here too.
        if error.code != 503:
            return {"ok": False, "error": f"answers with HTTP status {error.code}"}
    except (URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        return {"ok": False, "error": getattr(reason, "strerror", None) or str(reason)}
    return {"ok": True}
