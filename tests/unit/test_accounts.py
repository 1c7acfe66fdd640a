"""Users, passwords and tokens of the dashboard, in the real SQLite file."""

from __future__ import annotations

import multiprocessing
import sqlite3
import stat
import threading
import time
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from dashboard import accounts as module
from dashboard.accounts import AccountError, Accounts, Preferences

PASSWORD = "correct horse"


@pytest.fixture
def accounts(tmp_path: Path) -> Accounts:
    return Accounts(tmp_path / "data" / "dashboard.sqlite3")


def test_a_user_logs_in_with_the_right_password_only(accounts: Accounts) -> None:
    accounts.create_user("ana", PASSWORD)
    user = accounts.check_password("ana", PASSWORD)
    assert user
    assert user.name == "ana"
    assert accounts.check_password("ana", PASSWORD + " ") is None
    assert accounts.check_password("ana", "") is None
    assert accounts.check_password("nobody", PASSWORD) is None
    assert accounts.users()[0].last_login_at is not None


@pytest.mark.parametrize("name", ["", "a b", "x" * 101, "<b>", "a\nb", "ana'--"])
def test_a_malformed_name_is_refused(accounts: Accounts, name: str) -> None:
    with pytest.raises(AccountError, match="A name has"):
        accounts.create_user(name, PASSWORD)
    with pytest.raises(AccountError, match="A name has"):
        accounts.create_token(name)


@pytest.mark.parametrize("password", ["", "short", "aaaaaaaaaaaa", "Ana.Lopez", "x" * 1025])
def test_a_weak_password_is_refused(accounts: Accounts, password: str) -> None:
    with pytest.raises(AccountError):
        accounts.create_user("ana.lopez", password)
    accounts.create_user("ana.lopez", PASSWORD)
    with pytest.raises(AccountError):
        accounts.set_password("ana.lopez", password)
    assert accounts.check_password("ana.lopez", PASSWORD)


def test_names_are_taken_once_whatever_their_case(accounts: Accounts) -> None:
    accounts.create_user("ana", PASSWORD)
    accounts.create_token("crm")
    with pytest.raises(AccountError, match="already is a user named Ana"):
        accounts.create_user("Ana", PASSWORD)
    with pytest.raises(AccountError, match="already is a token named CRM"):
        accounts.create_token("CRM")


def test_what_does_not_exist_cannot_be_changed(accounts: Accounts) -> None:
    for attempt in (
        lambda: accounts.set_password("nobody", PASSWORD),
        lambda: accounts.revoke_user("nobody"),
        lambda: accounts.revoke_token("nothing"),
        lambda: accounts.set_preferences("nobody", language="en"),
    ):
        with pytest.raises(AccountError, match="There is no"):
            attempt()


def test_a_new_password_changes_the_stamp(accounts: Accounts) -> None:
    accounts.create_user("ana", PASSWORD)
    before = accounts.user("ana")
    accounts.set_password("ana", "another one")
    after = accounts.user("ana")
    assert before
    assert after
    assert before.stamp != after.stamp
    assert accounts.check_password("ana", PASSWORD) is None
    assert accounts.check_password("ana", "another one")


def test_a_revoked_user_takes_tokens_along_and_leaves_those_of_others(accounts: Accounts) -> None:
    accounts.create_user("ana", PASSWORD)
    own, other = accounts.create_token("own", owner="ana"), accounts.create_token("other")
    accounts.revoke_user("ana")
    assert accounts.user("ana") is None
    assert accounts.check_password("ana", PASSWORD) is None
    assert accounts.check_token(own) is None
    assert accounts.check_token(other) == "other"


def test_tokens_are_checked_and_their_use_is_noted(accounts: Accounts) -> None:
    token = accounts.create_token("crm")
    assert accounts.tokens()[0].last_used_at is None
    assert accounts.check_token(token) == "crm"
    assert accounts.tokens()[0].last_used_at is not None
    assert accounts.check_token(token[:-1]) is None
    assert accounts.check_token("") is None
    accounts.revoke_token("crm")
    assert accounts.check_token(token) is None


def test_no_secret_is_in_the_files_and_nobody_else_can_read_them(accounts: Accounts) -> None:
    accounts.create_user("ana", PASSWORD)
    token = accounts.create_token("crm")
    with sqlite3.connect(accounts.path) as reader:
        assert reader.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        files = list(accounts.path.parent.iterdir())
        content = b"".join(file.read_bytes() for file in files)
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    reader.close()
    assert len(files) > 1
    assert b"ana" in content
    assert PASSWORD.encode() not in content
    assert token.encode() not in content
    assert token.removeprefix("krl_").encode() not in content


def test_an_unknown_name_costs_as_much_as_a_wrong_password(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_HASHER", PasswordHasher())
    # The hash that stands in for nobody's is as expensive as the others.
    assert not PasswordHasher().check_needs_rehash(module._NOBODY)
    accounts.create_user("ana", PASSWORD)

    def fastest(name: str) -> float:
        times = []
        for _ in range(5):
            start = time.perf_counter()
            accounts.check_password(name, "wrong password")
            times.append(time.perf_counter() - start)
        return min(times)

    assert 0.5 < fastest("nobody") / fastest("ana") < 2


def test_the_first_admin_gets_the_given_or_a_random_password(tmp_path: Path) -> None:
    given = Accounts(tmp_path / "given.sqlite3")
    assert given.ensure_admin("from-the-operator") is None
    assert given.check_password("admin", "from-the-operator")
    random = Accounts(tmp_path / "random.sqlite3")
    password = random.ensure_admin("")
    assert password
    assert random.check_password("admin", password)
    assert random.ensure_admin("too late") is None
    assert random.check_password("admin", password)


def test_preferences_are_kept_one_by_one(accounts: Accounts) -> None:
    accounts.create_user("ana", PASSWORD)
    assert accounts.preferences("ana") == Preferences(None, None, "auto")
    accounts.set_preferences("ana", language="en")
    accounts.set_preferences("ana", timezone="America/Lima", theme="dark")
    assert accounts.preferences("ana") == Preferences("en", "America/Lima", "dark")
    assert accounts.preferences("nobody") == Preferences()
    with pytest.raises(AccountError):
        accounts.set_preferences("ana", language="xx")


def test_threads_and_instances_share_a_file(accounts: Accounts) -> None:
    errors: list[Exception] = []

    def work(number: int) -> None:
        try:
            mine = Accounts(accounts.path)
            token = mine.create_token(f"t{number}")
            assert accounts.check_token(token) == f"t{number}"
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(accounts.tokens()) == 12


def _first(path: Path) -> str | None:
    return Accounts(path).ensure_admin("")


def test_one_of_several_processes_makes_the_admin(tmp_path: Path) -> None:
    path = tmp_path / "new" / "dashboard.sqlite3"
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        passwords = [password for password in pool.map(_first, [path] * 4) if password]
    assert len(passwords) == 1
    assert Accounts(path).check_password("admin", passwords[0])


def test_a_file_of_another_kind_is_named_in_the_error(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("nothing of ours " * 100)
    with pytest.raises(AccountError, match=r"notes\.txt"):
        Accounts(path)
    with pytest.raises(AccountError, match="cannot be opened"):
        Accounts(path / "below" / "a-file")
