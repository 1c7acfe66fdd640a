"""The Django setting `KRILL_LOGGER`: its keys, their defaults and the checks that Django runs on them."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import MISSING, dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.core.signals import setting_changed
from django.db.models import Model

from schemas.settings import PREFIX, Settings, SettingsError


@dataclass(frozen=True)
class Conf:
    """The keys of the dict `KRILL_LOGGER`; all may be left out."""

    #: Kafka's `bootstrap.servers`; if empty, `KRILL_LOGGER_KAFKA_BOOTSTRAP` of the environment, or this machine's.
    BOOTSTRAP: str = ""
    #: More librdkafka properties, such as `{"security.protocol": "SASL_SSL", "sasl.username": …}`; those about security
    #: that are not here are taken from the environment, as `KRILL_LOGGER_KAFKA_SASL_USERNAME`.
    KAFKA: dict[str, Any] = field(default_factory=dict)
    #: CloudEvents source of the events.
    SOURCE: str = "krill"
    #: Models whose changes are recorded, as `"app.Model"`.
    MODELS: list[str] | tuple[str, ...] = ()
    #: Fields whose change alone records nothing and which no event lists: `"field"` or `"app.Model.field"`.
    IGNORED_FIELDS: list[str] | tuple[str, ...] = ("last_login",)
    #: Names of secrets beyond the built-in patterns.
    SENSITIVE_FIELDS: list[str] | tuple[str, ...] = ()
    #: Where the API's paths begin: what the middleware records.
    API_PREFIXES: list[str] | tuple[str, ...] = ("/api/",)
    #: How many proxies in front of Django set X-Forwarded-For. 0: the header is not believed.
    TRUSTED_PROXIES: int = 0
    #: Longest body of a request or an answer, and longest value of a field, that is kept whole.
    MAX_BODY_BYTES: int = 64 * 1024
    #: Folder in which API events wait while Kafka does not take them; `spool()` says which it is by default.
    SPOOL: str | os.PathLike[str] = ""
    #: Most bytes in that folder, of all processes together. 0: no spool, events wait in memory only.
    SPOOL_BYTES: int = 256 * 1024 * 1024

    def models(self) -> list[type[Model]]:
        """The model classes of `MODELS`, each as its concrete model; what names no model is left to `check`."""
        found: dict[type[Model], None] = {}
        for label in self.MODELS:
            with suppress(LookupError, ValueError):
                found[apps.get_model(label)._meta.concrete_model] = None
        return list(found)

    def librdkafka(self) -> dict[str, Any]:
        """The producer's librdkafka properties: `KAFKA` and `BOOTSTRAP`, and below them what the environment says."""
        try:
            servers = _servers()
        except SettingsError:  # `check` tells of it
            servers = Settings()
        return {
            "bootstrap.servers": self.BOOTSTRAP or servers.bootstrap,
            **dict(servers.kafka_security),
            **self.KAFKA,
        }

    def spool(self) -> Path:
        """The folder of the spool: one that outlives a restart of the service, and a reboot.

        `SPOOL`, or else the state folder that systemd gave to the service (`StateDirectory=`), or the user's own, or
        for a user without a home one below `/var/tmp`.
        """
        if self.SPOOL:
            return Path(self.SPOOL).absolute()
        if given := os.environ.get("STATE_DIRECTORY", "").partition(":")[0]:
            return Path(given, "krill-logger")
        if state := os.environ.get("XDG_STATE_HOME"):
            return Path(state, "krill-logger")
        home = Path(os.path.expanduser("~"))
        if home.is_absolute() and os.access(home, os.W_OK | os.X_OK):
            return home / ".local/state/krill-logger"
        return Path("/var/tmp", f"krill-logger-{os.geteuid()}")  # noqa: S108  its owner is checked before use


def _servers() -> Settings:
    """The variables `KRILL_LOGGER_KAFKA_…`; what else there is concerns other parts. Raises: SettingsError."""
    return Settings.from_environ({k: v for k, v in os.environ.items() if k.startswith(f"{PREFIX}KAFKA_")})


@lru_cache(maxsize=1)
def conf() -> Conf:
    """The settings; keys that are unknown or have the wrong type count as not given (`check` reports them)."""
    given = getattr(settings, "KRILL_LOGGER", {})
    if not isinstance(given, dict):
        return Conf()
    return Conf(**{name: value for name, value in given.items() if name in _TYPES and _fits(name, value)})


@lru_cache(maxsize=1)
def decodes_bodies() -> bool:
    """drf-tracking's setting: whether its mixin reads the body before the view does."""
    return bool(getattr(settings, "DRF_TRACKING_DECODE_REQUEST_BODY", True))


_TYPES: dict[str, type | tuple[type, ...]] = {
    item.name: (list, tuple)
    if isinstance(item.default, tuple)
    else dict
    if item.default is MISSING
    else type(item.default)
    for item in fields(Conf)
} | {"SPOOL": (str, os.PathLike)}


def _fits(name: str, value: Any) -> bool:
    if not isinstance(value, _TYPES[name]) or isinstance(value, bool):
        return False
    if isinstance(value, list | tuple):
        return all(isinstance(item, str) for item in value)
    return not isinstance(value, int) or value >= (1024 if name == "MAX_BODY_BYTES" else 0)


_EXPECTED = {
    "SPOOL": "a folder",
    "SPOOL_BYTES": "a number of bytes, 0 or more",
    "MAX_BODY_BYTES": "a number of bytes, 1024 or more",
    "TRUSTED_PROXIES": "a number of proxies, 0 or more",
    "KAFKA": "a dict of librdkafka properties",
}


def check(**_: Any) -> list[checks.CheckMessage]:
    """Django system check of the setting."""
    given = getattr(settings, "KRILL_LOGGER", {})
    if not isinstance(given, dict):
        return [checks.Error("KRILL_LOGGER must be a dict.", id="krill_logger.E001")]
    found: list[checks.CheckMessage] = []
    for name, value in given.items():
        if name not in _TYPES:
            known = ", ".join(_TYPES)
            found.append(
                checks.Error(f"KRILL_LOGGER has an unknown key {name!r}.", f"Known: {known}.", id="krill_logger.E002")
            )
        elif not _fits(name, value):
            kind = _TYPES[name]
            expected = _EXPECTED.get(name, "a list of text" if isinstance(kind, tuple) else "text")
            # The value itself is not shown: KAFKA holds passwords.
            found.append(
                checks.Error(
                    f"KRILL_LOGGER[{name!r}] is a {type(value).__name__} that cannot be used; expected {expected}.",
                    id="krill_logger.E003",
                )
            )
    try:
        _servers()
    except SettingsError as error:
        found.append(checks.Error(str(error), id="krill_logger.E005"))
    for label in conf().MODELS:
        try:
            apps.get_model(label)
        except (LookupError, ValueError):
            found.append(
                checks.Error(
                    f"KRILL_LOGGER['MODELS'] names {label!r}, which does not exist.",
                    'Expected "app_label.Model" of an installed app.',
                    id="krill_logger.E004",
                )
            )
    return found


def _forget(*, setting: str, **_: Any) -> None:
    if setting == "KRILL_LOGGER":
        conf.cache_clear()
    elif setting == "DRF_TRACKING_DECODE_REQUEST_BODY":
        decodes_bodies.cache_clear()


setting_changed.connect(_forget, dispatch_uid="producers.django.conf")
