"""A text field that is stored encrypted.

Not django-fernet-encrypted-fields: its fields switch decryption off for all threads while one validates
a form, and store an empty text as NULL.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from cryptography.fernet import Fernet
from django import forms
from django.conf import settings
from django.db import models


@cache
def _fernet() -> Fernet:
    return Fernet(settings.KEYS.fernet)


class EncryptedTextField(models.TextField):
    """Text that Krill has to know in clear and that no file may hold in clear. It cannot be searched.

    Reading raises `cryptography.fernet.InvalidToken` when the demo's key is not the one it was written with.
    """

    def get_prep_value(self, value: Any) -> Any:
        value = super().get_prep_value(value)
        return _fernet().encrypt(value.encode()).decode() if value else value

    def from_db_value(self, value: str | None, *_: Any) -> str | None:
        return _fernet().decrypt(value.encode()).decode() if value else value

    def formfield(self, **kwargs: Any) -> Any:
        return models.Field.formfield(self, max_length=128, **{**kwargs, "widget": forms.TextInput})
