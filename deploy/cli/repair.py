"""`verify` and `replay`: whether everything is stored once, and what puts it right."""

from __future__ import annotations

import datetime as dt
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import click

from deploy.cli.failures import in_one_sentence
from schemas import topics
from schemas.settings import Settings

if TYPE_CHECKING:
    from consumers.verify import Finding

FOUND = {
    "missing": "messages are in no table",
    "gone": "messages are in no table, and Kafka no longer has them",
    "double": "rows too many",
    "both": "messages are rows and dead letters at once",
}


class Time(click.ParamType):
    """ISO 8601; without an offset it is UTC."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> dt.datetime:
        """Raises: click.BadParameter."""
        try:
            parsed = dt.datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no time; expected one like 2026-01-30T09:55:36Z", param, ctx)
        return parsed if parsed.tzinfo else parsed.replace(tzinfo=dt.UTC)


def progress_line() -> Callable[[str], None]:
    """What shows a line of progress on standard error, at most every half second, on a terminal in place."""
    place = "\r\033[K" if sys.stderr.isatty() else ""
    last = 0.0

    def show(text: str) -> None:
        nonlocal last
        if time.monotonic() - last > 0.5:
            last = time.monotonic()
            click.echo(f"{place}{text}", err=True, nl=not place)

    return show


@click.command()
@click.option("--repair", is_flag=True, help="Mend what is found.")
@click.option("--from", "since", type=Time(), help="Only what was stored since then (ISO 8601).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for scripts.")
def verify(repair: bool, since: dt.datetime | None, as_json: bool) -> None:
    """Compare rows with Kafka's offsets.

    It looks at what is committed, so workers may run. With --repair, what is missing is read from Kafka again if it is
    still there, and what is double is removed.

    Exit codes: 0 all is right, or was repaired; 1 something is wrong.

    \b
    Example: krill-logger verify --from 2026-01-30
    """
    settings = Settings.from_environ()
    from consumers.storage import Storage
    from consumers.verify import Verifier
    from deploy import reach

    found = []
    with in_one_sentence(settings):
        reach.check_topics(settings)
        verifier = Verifier(settings, Storage(settings), since=since, repair=repair, progress=progress_line())
        try:
            for finding in verifier.run():
                found.append(finding)
                click.echo(_sentence(finding), err=as_json)
        finally:
            verifier.close()
    wrong = [finding for finding in found if not finding.repaired]
    if as_json:
        click.echo(json.dumps({"right": not wrong, "findings": [asdict(finding) for finding in found]}))
    elif not found:
        click.echo("Every message is stored once.")
    sys.exit(1 if wrong else 0)


def _sentence(finding: Finding) -> str:
    where = f"offsets {finding.start} to {finding.end - 1}"
    mended = " (repaired)" if finding.repaired else ""
    return f"{finding.topic} [{finding.partition}], {where}: {finding.count} {FOUND[finding.kind]}{mended}"


@click.command()
@click.argument("topic", type=click.Choice([topics.API_REQUESTS, topics.ADMIN_CHANGES]))
@click.option("--from-offset", type=click.IntRange(0), help="First offset of each partition.")
@click.option("--from-time", type=Time(), help="Begin at the first message of that time (ISO 8601).")
@click.option("--to-offset", type=click.IntRange(0), help="First offset that is not read any more.")
@click.option("--to-time", type=Time(), help="End before the first message of that time (ISO 8601).")
@click.option("--partition", type=click.IntRange(0), help="This partition only.")
def replay(
    topic: str,
    from_offset: int | None,
    from_time: dt.datetime | None,
    to_offset: int | None,
    to_time: dt.datetime | None,
    partition: int | None,
) -> None:
    """Put a range of TOPIC into its table again; only what is missing there is inserted.

    Without an end it goes on to what the workers have committed; the rest is theirs.

    \b
    Example: krill-logger replay krill.api.requests --from-time 2026-01-30T09:00:00Z
    """
    if (from_offset is None) == (from_time is None):
        raise click.UsageError("Give one of --from-offset and --from-time.")
    if to_offset is not None and to_time is not None:
        raise click.UsageError("Give one of --to-offset and --to-time.")
    settings = Settings.from_environ()
    from consumers import kafka
    from consumers import replay as replaying
    from consumers.storage import Storage
    from deploy import reach

    with in_one_sentence(settings):
        reach.check_topics(settings)
        reader = kafka.Reader(settings)
        try:
            ranges = []
            for one in replaying.committed(settings, topic):
                start, end = from_offset or 0, one.end if to_offset is None else to_offset
                if from_time is not None:
                    start = reader.at(topic, one.partition, int(from_time.timestamp() * 1000))
                if to_time is not None:
                    end = reader.at(topic, one.partition, int(to_time.timestamp() * 1000))
                if partition in (None, one.partition):
                    ranges.append(replace(one, start=max(one.start, start), end=min(one.end, end)))
            total, show = sum(map(len, ranges)), progress_line()
            read, missing = replaying.replay(
                Storage(settings),
                reader,
                [one for one in ranges if len(one)],
                lambda read, missing: show(f"{read} of {total} messages read, {missing} were missing"),
            )
        finally:
            reader.close()
    click.echo(f"{read} messages read, {missing} were missing and are stored now.")
