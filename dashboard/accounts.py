"""The dashboard's users and API tokens, in one SQLite file.

Every call opens its own connection, so threads and processes may share an `Accounts` or a file without care.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from dashboard.looks import DENSITIES, TIMES

PASSWORD_LENGTH = 8
LONGEST_PASSWORD = 1024
TOKEN_PREFIX = "krl_"  # noqa: S105 - what a token starts with, so that a leaked one is recognised
LANGUAGES = ("es", "en")
THEMES = ("auto", "light", "dark")
CHOICES = {"language": LANGUAGES, "theme": THEMES, "density": DENSITIES, "times": TIMES}

_NAME = re.compile(r"[\w.@+-]{1,100}")
_HASHER = PasswordHasher()
# Verified when the name is unknown, so that the answer takes as long as for a known one.
_NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$3XzzL6o9RuPugF7ojSvVUQ$oY3vQMJWaDP4i3gAtw3EQLjmHCl+/Jm51Sn46p4hD5M"
_LAST_USED_EVERY = timedelta(minutes=1)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS users (
    name TEXT PRIMARY KEY COLLATE NOCASE,
    password TEXT NOT NULL,
    stamp TEXT NOT NULL,
    language TEXT,
    timezone TEXT,
    theme TEXT NOT NULL DEFAULT 'auto',
    created_at TEXT NOT NULL,
    last_login_at TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS tokens (
    name TEXT PRIMARY KEY COLLATE NOCASE,
    hash TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL DEFAULT '' COLLATE NOCASE,
    created_at TEXT NOT NULL,
    last_used_at TEXT
) STRICT;
"""
# Columns of `users` that older files have not got.
_ADDED = {"density": "TEXT NOT NULL DEFAULT 'comfortable'", "times": "TEXT NOT NULL DEFAULT 'absolute'"}


class AccountError(ValueError):
    """What was asked cannot be done, in one English sentence.

    `message` and `params` are kept apart so that a page can translate the sentence.
    """

    def __init__(self, message: str, **params: object) -> None:
        super().__init__(message % params)
        self.message = message
        self.params = params


@dataclass(frozen=True, slots=True)
class User:
    """Who may log in. `stamp` changes with the password, and with it every session of the user ends."""

    name: str
    stamp: str
    created_at: datetime
    last_login_at: datetime | None


@dataclass(frozen=True, slots=True)
class Token:
    """An API token, without its secret. `owner` is the user who made it, or empty for the command line."""

    name: str
    owner: str
    created_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a user chose; None is the installation's default."""

    language: str | None = None
    timezone: str | None = None
    theme: str = "auto"
    density: str = "comfortable"
    times: str = "absolute"


class Accounts:
    """The file at `path`, made with mode 0600 when it does not exist.

    Raises:
        AccountError: from every method, if the file cannot be opened or is no account file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            path.chmod(0o600)
        except OSError as error:
            raise AccountError("%(path)s: cannot be opened (%(error)s).", path=path, error=error.strerror) from error
        with self.connect() as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.executescript(_SCHEMA)
        with self.connect() as db:
            # Another process may be at it, too.
            db.execute("BEGIN IMMEDIATE")
            present = {row["name"] for row in db.execute("PRAGMA table_info(users)")}
            for name, definition in _ADDED.items():
                if name not in present:
                    db.execute(f"ALTER TABLE users ADD COLUMN {name} {definition}")

    def create_user(self, name: str, password: str) -> None:
        """Add a user.

        Raises:
            AccountError: the name is taken or malformed, or the password too weak.
        """
        _check_name(name)
        _check_password(name, password)
        self._insert_user(name, password)

    def set_password(self, name: str, password: str) -> None:
        """Change the password; every session of the user ends.

        Raises:
            AccountError: no such user, or the password is too weak.
        """
        _check_password(name, password)
        with self.connect() as db:
            changed = db.execute(
                "UPDATE users SET password = ?, stamp = ? WHERE name = ?",
                (_HASHER.hash(password), secrets.token_hex(8), name),
            )
            _require_user(changed, name)

    def revoke_user(self, name: str) -> None:
        """Remove a user: sessions end and the tokens that the user made stop working.

        Raises:
            AccountError: no such user.
        """
        with self.connect() as db:
            _require_user(db.execute("DELETE FROM users WHERE name = ?", (name,)), name)
            db.execute("DELETE FROM tokens WHERE owner = ?", (name,))

    def users(self) -> list[User]:
        """All users by name."""
        with self.connect() as db:
            return [_user(row) for row in db.execute("SELECT * FROM users ORDER BY name")]

    def user(self, name: str) -> User | None:
        """One user, or None."""
        with self.connect() as db:
            row = db.execute("SELECT * FROM users WHERE name = ?", (name,)).fetchone()
        return _user(row) if row else None

    def ensure_admin(self, password: str = "") -> str | None:
        """Create the user `admin` if there is no user yet.

        Returns:
            The password if a random one was made (it is kept nowhere in clear), else None.
        """
        if self.users():
            return None
        chosen = password or secrets.token_urlsafe(12)
        try:
            self._insert_user("admin", chosen)
        except AccountError:  # another process was first
            return None
        return None if password else chosen

    def check_password(self, name: str, password: str) -> User | None:
        """The user if name and password are right. Takes as long for an unknown name as for a wrong password."""
        with self.connect() as db:
            row = db.execute("SELECT * FROM users WHERE name = ?", (name,)).fetchone()
        known = row["password"] if row else _NOBODY
        try:
            _HASHER.verify(known, password[:LONGEST_PASSWORD])
        except (VerifyMismatchError, InvalidHashError):
            return None
        if row is None:
            return None
        with self.connect() as db:
            db.execute("UPDATE users SET last_login_at = ? WHERE name = ?", (_now(), name))
            if _HASHER.check_needs_rehash(known):
                db.execute(
                    "UPDATE users SET password = ? WHERE name = ? AND password = ?",
                    (_HASHER.hash(password), name, known),
                )
        return _user(row)

    def preferences(self, name: str) -> Preferences:
        """What the user chose; the defaults for a user who does not exist."""
        with self.connect() as db:
            row = db.execute(
                "SELECT language, timezone, theme, density, times FROM users WHERE name = ?", (name,)
            ).fetchone()
        return Preferences(*row) if row else Preferences()

    def set_preferences(
        self,
        name: str,
        *,
        language: str | None = None,
        timezone: str | None = None,
        theme: str | None = None,
        density: str | None = None,
        times: str | None = None,
    ) -> None:
        """Keep what is given and leave the rest. `timezone` is an IANA name that the caller has checked.

        Raises:
            AccountError: no such user, or a choice that there is not.
        """
        given = {"language": language, "theme": theme, "density": density, "times": times}
        if any(value not in (None, *CHOICES[what]) for what, value in given.items()):
            raise AccountError("There is no such language, theme, density or style of times.")
        with self.connect() as db:
            changed = db.execute(
                "UPDATE users SET language = coalesce(?, language), timezone = coalesce(?, timezone),"
                " theme = coalesce(?, theme), density = coalesce(?, density), times = coalesce(?, times)"
                " WHERE name = ?",
                (language, timezone, theme, density, times, name),
            )
            _require_user(changed, name)

    def create_token(self, name: str, owner: str = "") -> str:
        """Make a token for the JSON API and return it; only its SHA-256 is kept.

        Raises:
            AccountError: the name is taken or malformed.
        """
        _check_name(name)
        token = TOKEN_PREFIX + secrets.token_urlsafe(32)
        try:
            with self.connect() as db:
                db.execute(
                    "INSERT INTO tokens (name, hash, owner, created_at) VALUES (?, ?, ?, ?)",
                    (name, _hash(token), owner, _now()),
                )
        except sqlite3.IntegrityError as error:
            raise AccountError("There already is a token named %(name)s.", name=name) from error
        return token

    def tokens(self) -> list[Token]:
        """All tokens by name."""
        with self.connect() as db:
            return [
                Token(row["name"], row["owner"], _time(row["created_at"]), _optional_time(row["last_used_at"]))
                for row in db.execute("SELECT * FROM tokens ORDER BY name")
            ]

    def revoke_token(self, name: str) -> None:
        """Make a token stop working at once.

        Raises:
            AccountError: no such token.
        """
        with self.connect() as db:
            if db.execute("DELETE FROM tokens WHERE name = ?", (name,)).rowcount == 0:
                raise AccountError("There is no token named %(name)s.", name=name)

    def check_token(self, token: str) -> str | None:
        """The name of the token, or None if there is none such. Notes the use, to the minute."""
        with self.connect() as db:
            row = db.execute("SELECT name, last_used_at FROM tokens WHERE hash = ?", (_hash(token),)).fetchone()
            if row is None:
                return None
            used = _optional_time(row["last_used_at"])
            if used is None or datetime.now(UTC) - used > _LAST_USED_EVERY:
                db.execute("UPDATE tokens SET last_used_at = ? WHERE name = ?", (_now(), row["name"]))
            return str(row["name"])

    def _insert_user(self, name: str, password: str) -> None:
        try:
            with self.connect() as db:
                db.execute(
                    "INSERT INTO users (name, password, stamp, created_at) VALUES (?, ?, ?, ?)",
                    (name, _HASHER.hash(password), secrets.token_hex(8), _now()),
                )
        except sqlite3.IntegrityError as error:
            raise AccountError("There already is a user named %(name)s.", name=name) from error

    @contextmanager
    def connect(self) -> Iterator[sqlite3.Connection]:
        """A connection whose work is committed at the end, or rolled back if something is raised."""
        connection = sqlite3.connect(self.path, timeout=10)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        try:
            with connection:
                yield connection
        except sqlite3.IntegrityError:
            raise
        except sqlite3.DatabaseError as error:
            raise AccountError(
                "%(path)s: the accounts cannot be read or written (%(error)s).", path=self.path, error=error
            ) from error
        finally:
            connection.close()


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise AccountError("A name has 1 to 100 letters, digits or the characters . @ + - _")


def _check_password(name: str, password: str) -> None:
    if not PASSWORD_LENGTH <= len(password) <= LONGEST_PASSWORD:
        raise AccountError(
            "A password has %(least)s to %(most)s characters.", least=PASSWORD_LENGTH, most=LONGEST_PASSWORD
        )
    if password.lower() == name.lower() or len(set(password)) < 4:
        raise AccountError("That password is too easy to guess: take a longer one, and not the name.")


def _require_user(cursor: sqlite3.Cursor, name: str) -> None:
    if cursor.rowcount == 0:
        raise AccountError("There is no user named %(name)s.", name=name)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _optional_time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _user(row: sqlite3.Row) -> User:
    return User(row["name"], row["stamp"], _time(row["created_at"]), _optional_time(row["last_login_at"]))
