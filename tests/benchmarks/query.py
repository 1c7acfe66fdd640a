"""The dashboard's queries on a year of requests, and the same questions put to drf-tracking's table in PostgreSQL.

python -m tests.benchmarks.query [--rows 10000000] [--rounds 12] [--folder var/bench] [--no-peer] [--only NAME]

Bias. Both run on the same machine, one after the other, with warm caches, and are asked through what their users have:
the dashboard's `Store` over HTTP, Django's ORM over psycopg. A page reads the columns that it shows, the peer all of
its. PostgreSQL has drf-tracking's own indexes and as much memory as its manual advises, and is freshly analysed and
vacuumed. The text search looks into every text column of either. The peer's history of an object, its facets, and its
failures and addresses of an integration are what can be asked of its columns; two views it has nothing for.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import clickhouse_connect

from dashboard.store import Store
from schemas.settings import Settings
from tests.benchmarks import rows
from tests.benchmarks.load import goal, report
from tests.benchmarks.views import VIEWS, Facts, View

MOST_MS = 100.0
TIMES_FASTER = 10.0
#: Of a query of the peer that takes long, so many rounds are enough; seconds.
PATIENCE = 20.0


def facts(settings: Settings) -> Facts:
    """Values of the rows to ask for."""
    client = clickhouse_connect.get_client(dsn=settings.clickhouse, database=settings.clickhouse_database)

    def column(sql: str) -> list[Any]:
        return [row[0] for row in client.query(sql).result_rows]

    found = Facts(
        column("SELECT count() FROM api_requests")[0],
        column("SELECT user FROM api_requests GROUP BY user ORDER BY count() DESC"),
        column(
            "SELECT object_id FROM api_requests WHERE route LIKE '%/cpes/{id}/' AND object_id != '' "
            "ORDER BY requested_at LIMIT 1000"
        ),
        column(
            "SELECT extract(response, '[0-9]+(?:[.][0-9]+){3}') AS address FROM api_requests WHERE address != '' "
            "ORDER BY requested_at LIMIT 200"
        ),
        [str(value) for value in column("SELECT event_id FROM api_requests ORDER BY cityHash64(event_id) LIMIT 200")],
    )
    client.close()
    return found


def timed(ask: Callable[[dict[str, Any]], Any], drawn: list[dict[str, Any]]) -> list[float]:
    """Milliseconds of each question, behind one that is not counted; fewer if they take long."""
    ask(drawn[0])
    times: list[float] = []
    for params in drawn[1:]:
        started = time.perf_counter()
        ask(params)
        times.append((time.perf_counter() - started) * 1000)
        if sum(times) > PATIENCE * 1000:
            break
    return times


def p95(times: list[float]) -> float:
    """Between the two nearest; of few, nearly the largest."""
    return statistics.quantiles(times, n=20, method="inclusive")[-1] if len(times) > 1 else times[0]


def ask_all(views: list[View], settings: Settings, known: Facts, rounds: int, log: Any = None) -> list[dict[str, Any]]:
    """Time every view: ours, then the peer's with the same parameters. `log` is the peer's model, None without."""
    store, results = Store(settings), []
    for view in views:
        chance = random.Random(view.name)
        drawn = [view.draw(chance, known) for _ in range(rounds + 1)]
        ours = timed(lambda params, view=view: view.ours(store, params), drawn)  # type: ignore[misc]
        result = {"name": view.name, "p50": statistics.median(ours), "p95": p95(ours), "wide": view.wide}
        if log is not None and view.peer is not None:
            theirs = timed(lambda params, view=view: view.peer(log, params), drawn)  # type: ignore[misc]
            result |= {"peer_p50": statistics.median(theirs), "peer_p95": p95(theirs)}
        results.append(result)
        show(result)
    return results


def show(result: dict[str, Any]) -> None:
    peer = f"{result['peer_p50']:>10,.1f} {result['peer_p95']:>10,.1f}" if "peer_p50" in result else ""
    print(f"{result['name']:<42} {result['p50']:>8,.1f} {result['p95']:>8,.1f} {peer}", flush=True)


def size(settings: Settings) -> float:
    """Bytes that an API request takes on disk, with its indexes and projections."""
    client = clickhouse_connect.get_client(dsn=settings.clickhouse)
    found = client.query(
        "SELECT sum(bytes_on_disk) / sum(rows) FROM system.parts WHERE active "
        "AND database = {name:String} AND table = 'api_requests'",
        parameters={"name": settings.clickhouse_database},
    ).result_rows[0][0]
    client.close()
    return float(found)


def goals(results: list[dict[str, Any]], size_ours: float, size_peer: float | None) -> list[dict[str, object]]:
    made: list[dict[str, object]] = []
    for result in results:
        peer = round(result["peer_p95"], 1) if "peer_p95" in result else None
        made.append({**goal(f"{result['name']}, p95 ms", result["p95"], MOST_MS), "peer": peer})
        if peer is not None:
            least = TIMES_FASTER if result["wide"] else 1.0
            faster = result["peer_p50"] / result["p50"]
            made.append(
                {"name": f"{result['name']}, times faster", "value": round(faster, 2), "goal": f">= {least:g}",
                 "peer": round(result["peer_p50"], 1), "met": faster >= least}
            )  # fmt: skip
    if size_peer is not None:
        made.append({**goal("bytes per event", size_ours, size_peer / 10), "peer": round(size_peer, 1)})
    return made


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--folder", type=Path, default=Path("var/bench"))
    parser.add_argument("--no-peer", action="store_true", help="leave PostgreSQL out")
    parser.add_argument("--only", default="", help="views whose name holds this")
    given = parser.parse_args(arguments)
    views = [view for view in VIEWS if given.only in view.name]
    with rows.clickhouse(given.folder.absolute(), given.rows) as settings:
        known = facts(settings)
        ours = size(settings)
        print(f"{given.rows:,} requests, {ours:.0f} bytes each")
        print(f"{'milliseconds':<42} {'p50':>8} {'p95':>8} {'peer p50':>10} {'peer p95':>10}")
        if given.no_peer:
            results, theirs = ask_all(views, settings, known, given.rounds), None
        else:
            from tests.benchmarks.peer import tracking

            with tracking(settings) as (log, theirs):
                print(f"{'':<42} bytes per event of the peer: {theirs:.0f}")
                results = ask_all(views, settings, known, given.rounds, log)
    return report(
        goals(results, ours, theirs),
        rows=given.rows, bytes_per_event=round(ours, 1), views=[
            {name: round(value, 2) if isinstance(value, float) else value for name, value in result.items()}
            for result in results
        ],
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
