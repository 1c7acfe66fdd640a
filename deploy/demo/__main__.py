"""`python -m deploy.demo serve` and `python -m deploy.demo traffic`."""

from __future__ import annotations

import socket
import sys

import click

from schemas.settings import Settings, SettingsError


def _settings() -> Settings:
    try:
        return Settings.from_environ()
    except SettingsError as error:
        raise click.ClickException(str(error)) from error


@click.group()
def main() -> None:
    """A small real Krill, and the traffic of those who work with it."""


@main.command()
def serve() -> None:
    """Prepare the demo Krill and serve it.

    Example: KRILL_LOGGER_DEMO_PORT=8001 python -m deploy.demo serve
    """
    settings = _settings()
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", settings.demo_port))
        except OSError as error:
            raise click.ClickException(
                f"Port {settings.demo_port} cannot be used ({error.strerror}); stop what listens there "
                "or set KRILL_LOGGER_DEMO_PORT."
            ) from error
    from deploy.demo.serve import serve as run

    sys.exit(run(settings))


@main.command()
def prepare() -> None:
    """Make the demo's database and its first data; `serve` does so by itself.

    Example: python -m deploy.demo prepare
    """
    settings = _settings()
    from django.db import DatabaseError

    from deploy.demo.serve import prepare as run

    try:
        run(settings)
    except (OSError, DatabaseError) as error:
        raise click.ClickException(f"The folder {settings.data / 'demo'} cannot be used: {error}.") from error


@main.command()
@click.option("--rate", default=5.0, show_default=True, type=click.FloatRange(0.1, 200), help="Requests per second.")
@click.option("--seed", default=1, show_default=True, help="The same seed makes the same requests.")
def traffic(rate: float, seed: int) -> None:
    """Work with the demo Krill over HTTP until stopped; it may be restarted meanwhile.

    Example: python -m deploy.demo traffic --rate 2
    """
    settings = _settings()
    from deploy.demo.traffic import run

    run(settings, rate, seed)


if __name__ == "__main__":
    main(prog_name="python -m deploy.demo")
