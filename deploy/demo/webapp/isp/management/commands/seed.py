"""`seed`: Krill's first users and data."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand
from django.db import transaction

from ...seeding import seed_data, seed_users


class Command(BaseCommand):
    """Fill an empty Krill, all or nothing."""

    help = "Fills an empty Krill with users, customers, CPEs and POTSes; one that has users is left as it is."

    def handle(self, *args: Any, **options: Any) -> None:
        """Seed in one transaction, so that a start that is broken off starts over."""
        with transaction.atomic():
            if not User.objects.exists():
                seed_users(settings.KEYS)
                seed_data(settings.KEYS)
