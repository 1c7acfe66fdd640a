"""`users` and `tokens`: who may log in to the dashboard, and which programs may use its API."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from deploy.embedded.checks import writable_folder
from schemas.settings import Settings

if TYPE_CHECKING:
    from dashboard.accounts import Accounts


def _accounts() -> Accounts:
    from dashboard.accounts import Accounts

    return Accounts(writable_folder(Settings.from_environ().data) / "dashboard.sqlite3")


def _read_password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return password


password_stdin = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input instead of asking."
)


@click.group()
def users() -> None:
    """Users of the dashboard: create, list, password, revoke.

    \b
    Example: krill-logger users create ana
    """


@users.command("create")
@click.argument("name")
@password_stdin
def create_user(name: str, password_stdin: bool) -> None:
    """Create the user NAME; the password is asked for.

    \b
    Example: krill-logger users create ana
    """
    accounts = _accounts()
    accounts.create_user(name, _read_password(password_stdin))
    click.echo(f"The user {name} can log in.", err=True)


@users.command("password")
@click.argument("name")
@password_stdin
def set_password(name: str, password_stdin: bool) -> None:
    """Set a new password for the user NAME; sessions that are open end.

    \b
    Example: krill-logger users password admin
    """
    accounts = _accounts()
    accounts.set_password(name, _read_password(password_stdin))
    click.echo(f"The user {name} has a new password.", err=True)


@users.command("list")
def list_users() -> None:
    """List the users, one name per line.

    \b
    Example: krill-logger users list
    """
    for user in _accounts().users():
        click.echo(user.name)


@users.command("revoke")
@click.argument("name")
def revoke_user(name: str) -> None:
    """Remove the user NAME; sessions that are open end.

    \b
    Example: krill-logger users revoke ana
    """
    _accounts().revoke_user(name)
    click.echo(f"The user {name} is gone.", err=True)


@click.group()
def tokens() -> None:
    """Tokens of the JSON API: create, list, revoke.

    \b
    Example: krill-logger tokens create reports
    """


@tokens.command("create")
@click.argument("name")
def create_token(name: str) -> None:
    """Create a token called NAME and print it, alone, on standard output; it is not kept and not shown again.

    \b
    Example: TOKEN=$(krill-logger tokens create reports)
    """
    click.echo(_accounts().create_token(name))


@tokens.command("list")
def list_tokens() -> None:
    """List the tokens' names, one per line.

    \b
    Example: krill-logger tokens list
    """
    for token in _accounts().tokens():
        click.echo(token.name)


@tokens.command("revoke")
@click.argument("name")
def revoke_token(name: str) -> None:
    """Revoke the token called NAME, at once.

    \b
    Example: krill-logger tokens revoke reports
    """
    _accounts().revoke_token(name)
    click.echo(f"The token {name} is revoked.", err=True)
