"""Sets the project up within a test process, and the fixtures of its tests."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path


def set_up(folder: str | None = None) -> None:
    """Configure Django with this project, and make its tables in new SQLite files. Does it once."""
    import django
    from django.apps import apps

    if apps.ready:
        return
    if folder is None:
        folder = tempfile.mkdtemp(prefix="krill-project-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["KRILL_PROJECT_FOLDER"] = folder
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.krill_project.settings")
    django.setup()


def migrate() -> None:
    """Make the tables."""
    from django.core.management import call_command

    for alias in ("default", "other"):
        # First what the project's tables refer to, since they are made without migrations.
        call_command("migrate", "auth", database=alias, verbosity=0)
        call_command("migrate", database=alias, run_syncdb=True, verbosity=0)


def environment(folder: Path, bootstrap: str = "127.0.0.1:1") -> dict[str, str]:
    """Environment of a process that runs the project by itself."""
    return os.environ | {
        "DJANGO_SETTINGS_MODULE": "tests.krill_project.settings",
        "KRILL_PROJECT_FOLDER": str(folder),
        "KRILL_PROJECT_BOOTSTRAP": bootstrap,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }


def events(using: str = "default") -> list[dict]:
    """Take the events out of the outbox, as they would go to Kafka."""
    import msgspec

    from producers.django.models import OutboxEvent

    rows = OutboxEvent.objects.using(using).order_by("pk")
    found = [msgspec.json.decode(bytes(row.value)) for row in rows]
    rows.delete()
    return found


def changed(event: dict) -> dict[str, tuple]:
    """`{field: (old, new)}` of an event."""
    return {item["field"]: (item.get("old"), item.get("new")) for item in event.get("changes") or ()}
