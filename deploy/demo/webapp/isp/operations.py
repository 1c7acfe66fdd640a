"""What Krill can have a CPE do. The network is made up: its devices are as slow as real ones."""

from __future__ import annotations

import secrets
import time
from typing import Any

from django.db import transaction
from django.utils import timezone
from rest_framework.exceptions import APIException

from ..monitoring.readings import sample
from .models import Cpe, Operation


class Inactive(APIException):
    """409: the CPE is not provisioned, so it cannot be reached."""

    status_code = 409
    default_detail = "The CPE is not active."
    default_code = "inactive"


def _done(cpe: Cpe, action: str, **more: Any) -> dict[str, Any]:
    """Note that it was done now, and say so."""
    done = timezone.now()
    Operation.objects.update_or_create(cpe=cpe, action=action, defaults={"done": done})
    return {"id": cpe.pk, "cpename": cpe.cpename, "action": action, "done": timezone.localtime(done), **more}


def _reach(cpe: Cpe) -> None:
    if not cpe.active:
        raise Inactive


def reboot(cpe: Cpe) -> dict[str, Any]:
    """Restart it: its uptime starts again."""
    _reach(cpe)
    return _done(cpe, "reboot")


def factory(cpe: Cpe) -> dict[str, Any]:
    """Back to the factory's settings, with a new Wi-Fi name and password."""
    _reach(cpe)
    values = {"wifi_ssid": f"KRILL_{cpe.cpename.upper()}", "wifi_password": secrets.token_urlsafe(9)}
    for name, value in values.items():
        setattr(cpe, name, value)
    with transaction.atomic():
        cpe.save(update_fields=[*values, "updated"])
        return _done(cpe, "factory", **values)


def reconfig(cpe: Cpe) -> dict[str, Any]:
    """Send it its profile again."""
    _reach(cpe)
    return _done(cpe, "reconfig", profile=cpe.profile, line_profile=cpe.line_profile)


def reprovision(cpe: Cpe) -> dict[str, Any]:
    """Enter it at its network node once more, which takes 0.4 to 1.6 seconds, and activate it."""
    time.sleep(0.4 + cpe.pk % 7 * 0.2)
    cpe.active = True
    with transaction.atomic():
        cpe.save(update_fields=["active", "updated"])
        return _done(cpe, "reprovision", node=cpe.node)


def unprovision(cpe: Cpe) -> dict[str, Any]:
    """Take it off its network node."""
    _reach(cpe)
    cpe.active = False
    with transaction.atomic():
        cpe.save(update_fields=["active", "updated"])
        return _done(cpe, "unprovision", node=cpe.node)


def diagnostic(cpe: Cpe) -> dict[str, Any]:
    """Measure its line, and count the devices of the same maker at the same node."""
    # A CPE without MAC crashes here. That is meant: the API report has to show what a crash looks like.
    maker = int(cpe.mac[:8].replace(":", ""), 16)
    neighbours = Cpe.objects.filter(access__startswith=f"{cpe.node} ", mac__startswith=cpe.mac[:8]).exclude(pk=cpe.pk)
    power = sample(cpe.pk, "rx_power", timezone.now())
    return _done(
        cpe,
        "diagnostic",
        reachable=cpe.active,
        maker=f"{maker:06X}",
        neighbours=neighbours.count(),
        rx_power=power,
        line="good" if power > -25 else "weak",
    )
