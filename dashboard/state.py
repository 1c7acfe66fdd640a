"""What every view needs, kept in `app.extensions["krill_logger"]`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from flask import current_app

from dashboard.accounts import Accounts
from dashboard.saved import SavedViews
from dashboard.store import Store
from schemas.settings import Settings

EXTENSION = "krill_logger"


@dataclass(frozen=True, slots=True)
class State:
    """The parts that live as long as the app."""

    settings: Settings
    store: Store
    accounts: Accounts
    saved: SavedViews


def state() -> State:
    """The current app's state."""
    return cast(State, current_app.extensions[EXTENSION])
