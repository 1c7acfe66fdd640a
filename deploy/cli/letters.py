"""`dead-letters`: messages that could not become a row, and topics that a flood of them stopped."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any, NoReturn

import click

from deploy.cli.failures import in_one_sentence
from deploy.cli.repair import Time, progress_line
from schemas import topics
from schemas.settings import Settings


def _selecting(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--since", type=Time(), help="Only those that failed since then (ISO 8601)."),
        click.option("--reason", default="", help="Only this kind of failure, such as not-json."),
        click.option("--topic", default="", help="Only messages of this topic."),
    ):
        command = option(command)
    return command


@click.group("dead-letters")
def dead_letters() -> None:
    """Messages that could not become a row: list, show, replay, drop, resume.

    \b
    Example: krill-logger dead-letters list --reason invalid-field
    """


@dead_letters.command("list")
@_selecting
@click.option("--limit", default=50, type=click.IntRange(1), show_default=True, help="At most so many.")
def list_letters(topic: str, reason: str, since: dt.datetime | None, limit: int) -> None:
    """List the newest dead letters, one per line: time, place, reason, error.

    \b
    Example: krill-logger dead-letters list --topic krill.api.requests --limit 10
    """
    settings = Settings.from_environ()
    from consumers import letters
    from consumers.database import Database

    selection = letters.Selection(topic, reason, since=since)
    with in_one_sentence(settings):
        database = Database(settings)
        found = letters.find(database, selection, limit)
        total = letters.count(database, selection)
        stopped = database.rows("SELECT topic, reason FROM floods FINAL WHERE state = 'stopped' ORDER BY topic")
    for letter in found:
        error = " ".join(letter.error.split())
        click.echo(f"{letter.failed_at:%Y-%m-%dT%H:%M:%SZ}  {_plain(letter.place)}  {letter.reason}  {_plain(error)}")
    click.echo(f"{len(found)} of {total} dead letters.", err=True)
    for name, why in stopped:
        click.echo(f"{name} is stopped: {why}. `krill-logger dead-letters resume {name}` goes on.", err=True)


@dead_letters.command("show")
@click.argument("place")
def show_letter(place: str) -> None:
    """Print the dead letter at PLACE (topic/partition/offset) as JSON, with its headers and value.

    \b
    Example: krill-logger dead-letters show krill.api.requests/0/4711
    """
    settings = Settings.from_environ()
    from consumers import letters
    from consumers.database import Database

    topic, _, numbers = place.partition("/")
    partition, _, offset = numbers.partition("/")
    if not (partition.isdecimal() and offset.isdecimal()):
        raise click.BadParameter(f"{place!r} is no place; expected topic/partition/offset", param_hint="PLACE")
    with in_one_sentence(settings):
        selection = letters.Selection(topic, partition=int(partition), offset=int(offset))
        found = letters.find(Database(settings), selection, 10)
    if not found:
        _fail(f"There is no dead letter at {place}.")
    for letter in found:
        shown = {
            "topic": letter.topic,
            "topic_id": letter.topic_id,
            "partition": letter.partition,
            "offset": letter.offset,
            "failed_at": letter.failed_at.isoformat(),
            "reason": letter.reason,
            "error": letter.error,
            "key": letter.key,
            "headers": letter.headers,
            "value": letter.value.decode(errors="backslashreplace"),
        }
        click.echo(json.dumps(shown, indent=2))


@dead_letters.command("replay")
@_selecting
def replay_letters(topic: str, reason: str, since: dt.datetime | None) -> None:
    """Make rows of the dead letters that can be rows now, each once; they are dead letters no more.

    \b
    Example: krill-logger dead-letters replay --reason invalid-field
    """
    settings = Settings.from_environ()
    from consumers import letters
    from consumers.database import Database

    selection = letters.Selection(topic, reason, since=since)
    with in_one_sentence(settings):
        database, show = Database(settings), progress_line()
        total = letters.count(database, selection)
        looked, became = letters.replay(
            database, selection, lambda looked, became: show(f"{looked} of {total} looked at, {became} became rows")
        )
    click.echo(f"{looked} dead letters looked at, {became} became rows.")


@dead_letters.command("drop")
@_selecting
@click.option("--yes", is_flag=True, help="Do not ask.")
def drop_letters(topic: str, reason: str, since: dt.datetime | None, yes: bool) -> None:
    """Remove dead letters for good; only their places are kept, so that `verify` does not miss them.

    \b
    Example: krill-logger dead-letters drop --reason empty
    """
    settings = Settings.from_environ()
    from consumers import letters
    from consumers.database import Database

    selection = letters.Selection(topic, reason, since=since)
    with in_one_sentence(settings):
        database, show = Database(settings), progress_line()
        total = letters.count(database, selection)
        if total and not yes:
            click.confirm(f"Drop {total} dead letters for good?", abort=True, err=True)
        dropped = letters.drop(database, selection, lambda dropped: show(f"{dropped} of {total} dropped"))
    click.echo(f"{dropped} dead letters dropped.")


@dead_letters.command("resume")
@click.argument("topic", type=click.Choice([topics.API_REQUESTS, topics.ADMIN_CHANGES]))
@click.option(
    "--accept",
    type=click.IntRange(1),
    metavar="MINUTES",
    help="Let the bad messages go to the dead letters for so long, however many they are.",
)
def resume(topic: str, accept: int | None) -> None:
    """Go on with TOPIC after a flood of dead letters stopped it; workers hear of it within seconds.

    Without --accept it is stopped again if nearly all messages still fail.

    \b
    Example: krill-logger dead-letters resume krill.api.requests
    """
    settings = Settings.from_environ()
    from consumers import flood
    from consumers.database import Database

    with in_one_sentence(settings):
        if accept is None:
            flood.say(Database(settings), topic, flood.RESUMED, "")
        else:
            until = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=accept)
            flood.say(Database(settings), topic, flood.ACCEPTED, "", until)
    click.echo(f"{topic} goes on.")


def _plain(text: str) -> str:
    """No control characters: what is listed may be an attack on a terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def _fail(text: str) -> NoReturn:
    raise click.ClickException(text)
