"""One random secret in the demo's folder; every key, password and token of the demo is derived from it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from pathlib import Path

FILE_NAME = "secret.key"


class Keys:
    """What is derived from one secret, so that no password has to be stored anywhere."""

    def __init__(self, secret: str) -> None:
        self.secret = secret

    @classmethod
    def read(cls, folder: Path) -> Keys:
        """The keys of a demo that has been started before.

        Raises:
            FileNotFoundError: the demo has not been started in this folder yet.
        """
        return cls((folder / FILE_NAME).read_text(encoding="ascii").strip())

    @classmethod
    def create(cls, folder: Path) -> Keys:
        """The keys of the folder (made with mode 0700), with a new secret (mode 0600) if there is none."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = folder / f".{FILE_NAME}.{os.getpid()}"
        draft.touch(mode=0o600)
        try:
            draft.write_text(secrets.token_hex(32), encoding="ascii")
            # A hard link appears whole or not at all, and the first of two processes wins.
            (folder / FILE_NAME).hardlink_to(draft)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
        return cls.read(folder)

    def _derive(self, purpose: str) -> bytes:
        return hmac.digest(self.secret.encode(), purpose.encode(), hashlib.sha256)

    @property
    def fernet(self) -> bytes:
        """The key under which Krill's secret fields are stored."""
        return base64.urlsafe_b64encode(self._derive("fields"))

    def password(self, user: str) -> str:
        """The password of a seeded user; `demo` for the superuser `demo`."""
        return "demo" if user == "demo" else self._derive(f"password of {user}").hex()[:24]

    def token(self, user: str) -> str:
        """The API token of a seeded user; `demo` for `crm-demo`."""
        return "demo" if user == "crm-demo" else self._derive(f"token of {user}").hex()[:40]
