"""What a user keeps of the reports: saved views, which of them opens first, and a choice of columns.

All of it lies in the file of the accounts, and goes with its user.
"""

from __future__ import annotations

import sqlite3
import unicodedata
from dataclasses import dataclass

from dashboard.accounts import AccountError, Accounts

LONGEST_NAME = 80
#: Characters of a query; servers take no longer URLs.
LONGEST_QUERY = 3000
MOST_VIEWS = 200

_SCHEMA = """
CREATE TABLE IF NOT EXISTS views (
    id INTEGER PRIMARY KEY,
    owner TEXT NOT NULL COLLATE NOCASE REFERENCES users (name) ON DELETE CASCADE,
    report TEXT NOT NULL,
    name TEXT NOT NULL,
    query TEXT NOT NULL,
    shared INTEGER NOT NULL,
    UNIQUE (owner, report, name)
) STRICT;
CREATE TABLE IF NOT EXISTS default_views (
    user TEXT NOT NULL COLLATE NOCASE REFERENCES users (name) ON DELETE CASCADE,
    report TEXT NOT NULL,
    view INTEGER NOT NULL REFERENCES views (id) ON DELETE CASCADE,
    PRIMARY KEY (user, report)
) STRICT;
CREATE TABLE IF NOT EXISTS default_columns (
    user TEXT NOT NULL COLLATE NOCASE REFERENCES users (name) ON DELETE CASCADE,
    report TEXT NOT NULL,
    columns TEXT NOT NULL,
    PRIMARY KEY (user, report)
) STRICT;
"""


@dataclass(frozen=True, slots=True)
class View:
    """A report's URL parameters under a name. `default` is the asking user's, `shared` is for everybody."""

    id: int
    owner: str
    report: str
    name: str
    query: str
    shared: bool
    default: bool


class SavedViews:
    """The tables of the views in the accounts' file.

    Raises:
        AccountError: from every method, if the file cannot be used.
    """

    def __init__(self, accounts: Accounts) -> None:
        self._connect = accounts.connect
        with self._connect() as db:
            db.executescript(_SCHEMA)

    def visible(self, user: str, report: str | None = None) -> list[View]:
        """The user's own views and the shared ones, of one report or of all; own ones first, then by name."""
        with self._connect() as db:
            found = db.execute(
                "SELECT views.*, default_views.view IS NOT NULL AS first FROM views"
                " LEFT JOIN default_views ON default_views.view = views.id AND default_views.user = ?"
                " WHERE (owner = ? OR shared) AND coalesce(?, views.report) = views.report"
                " ORDER BY views.report DESC, owner <> ?, views.name COLLATE NOCASE, views.id",
                (user, user, report, user),
            )
            return [_view(row) for row in found]

    def default(self, user: str, report: str) -> View | None:
        """The view that opens when the user opens the report; None if it is no longer shared with them."""
        return next((view for view in self.visible(user, report) if view.default), None)

    def save(self, user: str, report: str, name: str, query: str, *, shared: bool) -> View:
        """Keep a view; one of the same user, report and name is replaced.

        Raises:
            AccountError: the name is malformed, the query too long, or there are too many views.
        """
        name = _checked(name)
        if len(query) > LONGEST_QUERY:
            raise AccountError("This view is too long to be saved: leave out some filters.")
        with self._connect() as db:
            (count,) = db.execute(
                "SELECT count(*) FROM views WHERE owner = ? AND NOT (report = ? AND name = ?)", (user, report, name)
            ).fetchone()
            if count >= MOST_VIEWS:
                raise AccountError("You have %(count)s views, and cannot have more: delete one.", count=count)
            row = db.execute(
                "INSERT INTO views (owner, report, name, query, shared) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (owner, report, name) DO UPDATE SET query = excluded.query, shared = excluded.shared"
                " RETURNING *, 0 AS first",
                (user, report, name, query, int(shared)),
            ).fetchone()
            return _view(row)

    def change(self, user: str, id: int, name: str, *, shared: bool) -> None:
        """Rename and share, or not any longer, a view of the user's own.

        Raises:
            AccountError: the name is malformed or taken, or it is no view of theirs.
        """
        name = _checked(name)
        try:
            with self._connect() as db:
                _require(
                    db.execute(
                        "UPDATE views SET name = ?, shared = ? WHERE id = ? AND owner = ?",
                        (name, int(shared), id, user),
                    )
                )
        except sqlite3.IntegrityError as error:
            raise AccountError("You already have a view named %(name)s.", name=name) from error

    def delete(self, user: str, id: int) -> None:
        """Remove a view of the user's own, for whomever it was the first, too.

        Raises:
            AccountError: it is no view of theirs.
        """
        with self._connect() as db:
            _require(db.execute("DELETE FROM views WHERE id = ? AND owner = ?", (id, user)))

    def set_default(self, user: str, report: str, id: int | None) -> None:
        """Which visible view opens with the report; None for the report as it is.

        Raises:
            AccountError: it is no view that the user can see.
        """
        with self._connect() as db:
            db.execute("DELETE FROM default_views WHERE user = ? AND report = ?", (user, report))
            if id is not None:
                _require(
                    db.execute(
                        "INSERT INTO default_views (user, report, view) SELECT ?, report, id FROM views"
                        " WHERE id = ? AND report = ? AND (owner = ? OR shared)",
                        (user, id, report, user),
                    )
                )

    def columns(self, user: str, report: str) -> tuple[str, ...]:
        """The columns that the user chose for a report; empty for the report's own."""
        with self._connect() as db:
            row = db.execute(
                "SELECT columns FROM default_columns WHERE user = ? AND report = ?", (user, report)
            ).fetchone()
        return tuple(row["columns"].split(",")) if row else ()

    def set_columns(self, user: str, report: str, columns: tuple[str, ...]) -> None:
        """Keep a choice of columns, which the caller has checked; none for the report's own."""
        with self._connect() as db:
            db.execute("DELETE FROM default_columns WHERE user = ? AND report = ?", (user, report))
            if columns:
                db.execute(
                    "INSERT INTO default_columns (user, report, columns) VALUES (?, ?, ?)",
                    (user, report, ",".join(columns)),
                )


def _checked(name: str) -> str:
    """The name on one line, without spaces around it."""
    name = unicodedata.normalize("NFC", name.strip())
    if not 1 <= len(name) <= LONGEST_NAME or any(
        unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") for sign in name
    ):
        raise AccountError("A view's name has 1 to %(most)s characters, on one line.", most=LONGEST_NAME)
    return name


def _require(cursor: sqlite3.Cursor) -> None:
    if cursor.rowcount == 0:
        raise AccountError("There is no such view, or it is not yours.")


def _view(row: sqlite3.Row) -> View:
    return View(
        row["id"], row["owner"], row["report"], row["name"], row["query"], bool(row["shared"]), bool(row["first"])
    )
