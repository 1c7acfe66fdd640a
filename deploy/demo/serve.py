"""The demo's web server: prepare the database, then gunicorn."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from deploy.demo.keys import Keys
from deploy.embedded.death import die_with_parent
from deploy.embedded.serving import Server
from schemas.settings import Settings

SETTINGS_MODULE = "deploy.demo.settings"


def prepare(settings: Settings) -> None:
    """Make the demo's folder, texts, tables and first data; what is there already is kept."""
    import django
    from django.conf import settings as django_settings
    from django.core.management import call_command

    os.environ["DJANGO_SETTINGS_MODULE"] = SETTINGS_MODULE
    folder = settings.data / "demo"
    Keys.create(folder)
    compile_texts(folder / "locale")
    # Krill's first data is older than its logger: nobody is recorded as having made it.
    django_settings.KRILL_LOGGER["MODELS"] = []
    django.setup()
    call_command("migrate", verbosity=0)
    call_command("seed")


def compile_texts(target: Path) -> None:
    """Compile the Spanish texts into `target`, in the layout of Django's `LOCALE_PATHS`."""
    from babel.messages import mofile, pofile

    source = Path(__file__).parent / "webapp/isp/locale/es/LC_MESSAGES/django.po"
    compiled = target / "es/LC_MESSAGES/django.mo"
    compiled.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as texts, compiled.open("wb") as file:
        mofile.write_mo(file, pofile.read_po(texts))


def application() -> Any:
    """The WSGI application."""
    os.environ["DJANGO_SETTINGS_MODULE"] = SETTINGS_MODULE
    from django.core.wsgi import get_wsgi_application

    made = get_wsgi_application()
    from producers.django import relay

    # What a process before this one committed, and did not live to send.
    relay.wake("default")
    return made


def serve(settings: Settings) -> int:
    """Prepare, then serve on `settings.demo_port`, from two processes of eight threads, until SIGTERM.

    Returns:
        The exit code of a preparation that failed; otherwise gunicorn ends the process.
    """
    # In a process of its own: connections to SQLite and Kafka must not be carried across gunicorn's forks.
    command = [sys.executable, "-m", "deploy.demo", "prepare"]
    if code := subprocess.run(command, check=False, preexec_fn=die_with_parent).returncode:
        return code
    sys.argv = ["krill-demo"]
    Server(application, f"127.0.0.1:{settings.demo_port}", threads=8, seconds=3, workers=2, keepalive=5).run()
    return 0
