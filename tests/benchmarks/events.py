"""Seeded events that look like Krill's, as the bytes of Kafka values: few users and routes make most of the traffic,
sizes are skewed around a median of 550 bytes, 3 % are errors, and 20 % hold secrets that nobody has masked yet."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any

SINCE = dt.datetime(2026, 10, 1, tzinfo=dt.UTC)
UNTIL = dt.datetime(2026, 10, 31, tzinfo=dt.UTC)

#: Shares of all API requests.
ERRORS = 0.03
SECRETS = 0.2

_USERS = 200
_CPES, _CUSTOMERS, _LINES = 40_000, 25_000, 15_000
_HOSTS = ("krill.example.net", "krill.example.net", "krill.example.net", "api.isp-norte.example", "10.20.0.4:8000")
_AGENTS = (
    "python-requests/2.32.3",
    "python-requests/2.32.3",
    "okhttp/4.12.0",
    "GuzzleHttp/7",
    "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "Apache-HttpClient/4.5.14 (Java/17.0.9)",
)
_CITIES = ("Elche", "Santa Pola", "Crevillent", "Alicante", "L'Alfàs del Pi", "Orihuela", "Peñíscola", "Dénia")
_STREETS = ("Calle Mayor", "Avda. de la Libertad", "Carrer de la Font", "Plaza de España", "Camino Viejo", "C/ Ancha")
_NAMES = ("María", "José", "Lucía", "Pau", "Ignacio", "Núria", "Vicent", "Carmen", "Ahmed", "Olena")
_SURNAMES = ("García", "Martínez", "Peñalver", "Soler", "Ibáñez", "Pérez", "Kovalenko", "Benali", "Mas")
_MODELS = ("HG8245H", "F680", "EG8145V5", "GPT-2541GNAC", "DIR-825", "FRITZ!Box 7590")
_LETTERS = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"


class _Chance(random.Random):
    """The draws that the events have in common."""

    def skewed(self, most: int) -> int:
        """From 1 to `most`; small numbers come far more often."""
        return int(most ** (self.random() ** 0.7)) or 1

    def letters(self, count: int) -> str:
        return "".join(self.choices(_LETTERS, k=count))

    def mac(self) -> str:
        return f"{self.getrandbits(48):012x}"

    def person(self) -> str:
        return f"{self.choice(_NAMES)} {self.choice(_SURNAMES)} {self.choice(_SURNAMES)}"


def _cpe(chance: _Chance, number: int) -> dict[str, Any]:
    return {
        "id": number,
        "name": f"pim{number:05}",
        "mac": chance.mac(),
        "model": chance.choice(_MODELS),
        "enabled": chance.random() < 0.9,
        "customer": {"id": chance.skewed(_CUSTOMERS), "city": chance.choice(_CITIES)},
        "ipv4": f"100.64.{number % 256}.{chance.randrange(256)}",
    }


def _customer(chance: _Chance, number: int) -> dict[str, Any]:
    name = chance.person()
    return {
        "id": number,
        "name": name,
        "email": f"{name.split()[0].lower()}{number}@example.org",
        "address": f"{chance.choice(_STREETS)}, {chance.randrange(1, 200)}",
        "city": chance.choice(_CITIES),
        "cpes": [chance.skewed(_CPES) for _ in range(chance.choice((1, 1, 1, 2, 3)))],
    }


def _list_cpes(chance: _Chance) -> dict[str, Any]:
    # Mostly a search for one, now and then a page.
    rows = chance.choice((0, 1, 1, 1, 1, 2, 2, 5, 20))
    found = [_cpe(chance, chance.skewed(_CPES)) for _ in range(rows)]
    return {
        "path": "/api/v2/isp/cpes/",
        "query_params": {"search": f"pim{chance.skewed(_CPES):05}", "page_size": "20"},
        "response": {"count": rows, "next": None, "previous": None, "results": found},
    }


def _retrieve_cpe(chance: _Chance) -> dict[str, Any]:
    number = chance.skewed(_CPES)
    return {"path": f"/api/v2/isp/cpes/{number}/", "response": _cpe(chance, number)}


def _patch_cpe(chance: _Chance) -> dict[str, Any]:
    number = chance.skewed(_CPES)
    changed = {"postalcode": f"{chance.randrange(3000, 3999):05}", "comment": f"llamó {chance.person()}, revisado"}
    return {"path": f"/api/v2/isp/cpes/{number}/", "data": changed, "response": {"id": number, **changed}}


def _reboot(chance: _Chance) -> dict[str, Any]:
    return {"path": f"/api/v2/isp/cpes/{chance.skewed(_CPES)}/reboot/", "response": {"status": "queued"}}


def _retrieve_customer(chance: _Chance) -> dict[str, Any]:
    number = chance.skewed(_CUSTOMERS)
    return {"path": f"/api/v2/isp/customers/{number}/", "response": _customer(chance, number)}


def _create_customer(chance: _Chance) -> dict[str, Any]:
    made = _customer(chance, chance.skewed(_CUSTOMERS))
    return {"path": "/api/v2/isp/customers/", "data": {**made, "id": None}, "response": made, "status_code": 201}


def _metrics(chance: _Chance) -> dict[str, Any]:
    points = [
        {"t": 1_790_000_000 + 60 * at, "rx": round(chance.gauss(-19, 2), 2), "tx": round(chance.gauss(2.3, 0.2), 2)}
        for at in range(chance.choice((1, 1, 2, 3, 12)))
    ]
    return {
        "path": f"/api/v2/monitoring/hosts/{chance.skewed(_CPES)}/metrics/",
        "data": {"interval": 60, "points": points},
        "response": {"accepted": len(points)},
        "status_code": 202,
    }


def _line(chance: _Chance) -> dict[str, Any]:
    number = chance.skewed(_LINES)
    return {
        "path": f"/api/pbx/potses/{number}/",
        "response": {"id": number, "cli": f"+3496{chance.randrange(10**6, 10**7)}", "codecs": ["alaw", "g729"]},
    }


def _with_wifi(chance: _Chance) -> dict[str, Any]:
    number = chance.skewed(_CPES)
    wifi = {"wifi_ssid": f"MiFibra-{chance.letters(4)}", "wifi_password": chance.letters(12)}
    return {"path": f"/api/v2/isp/cpes/{number}/", "data": wifi, "response": {"id": number, **wifi}}


def _with_radios(chance: _Chance) -> dict[str, Any]:
    number = chance.skewed(_CPES)
    radios = [{"band": band, "ssid": f"MiFibra-{chance.letters(4)}", "psk": chance.letters(16)} for band in (2.4, 5)]
    return {"path": f"/api/v2/isp/cpes/{number}/", "response": {**_cpe(chance, number), "radios": radios}}


def _with_sip(chance: _Chance) -> dict[str, Any]:
    number = chance.skewed(_LINES)
    body = {
        "cli": f"+3496{chance.randrange(10**6, 10**7)}",
        "sip": {"user": f"u{number}", "secret": chance.letters(20)},
    }
    return {"path": f"/api/pbx/potses/{number}/", "data": body, "response": {"id": number}}


def _with_token(chance: _Chance) -> dict[str, Any]:
    return {
        "path": "/api/v2/isp/cpes/",
        "query_params": {"search": f"pim{chance.skewed(_CPES):05}", "api_key": f"{chance.getrandbits(128):032x}"},
        "response": {"count": 0, "next": None, "previous": None, "results": []},
    }


def _with_text(chance: _Chance) -> dict[str, Any]:
    number = chance.skewed(_CPES)
    return {
        "path": f"/api/v2/isp/cpes/{number}/provision/",
        "data": {"script": f"set wlan0 up; set password={chance.letters(10)}; commit", "dry_run": False},
        "response": {"output": f"Login: admin\npassword: {chance.letters(10)}\nOK"},
    }


Maker = Callable[[_Chance], dict[str, Any]]

# weight, method, view, its method, the rest
_PLAIN: tuple[tuple[int, str, str, str, Maker], ...] = (
    (30, "GET", "isp.api.views.CPEViewSet", "retrieve", _retrieve_cpe),
    (16, "GET", "isp.api.views.CPEViewSet", "list", _list_cpes),
    (14, "PATCH", "isp.api.views.CPEViewSet", "partial_update", _patch_cpe),
    (5, "POST", "isp.api.views.CPEViewSet", "reboot", _reboot),
    (12, "GET", "isp.api.views.CustomerViewSet", "retrieve", _retrieve_customer),
    (2, "POST", "isp.api.views.CustomerViewSet", "create", _create_customer),
    (16, "POST", "monitoring.api.views.MetricsView", "post", _metrics),
    (5, "GET", "pbx.api.views.PotsViewSet", "retrieve", _line),
)
_SECRET: tuple[tuple[int, str, str, str, Maker], ...] = (
    (60, "PATCH", "isp.api.views.CPEViewSet", "partial_update", _with_wifi),
    (18, "GET", "isp.api.views.CPEViewSet", "retrieve", _with_radios),
    (12, "PUT", "pbx.api.views.PotsViewSet", "update", _with_sip),
    (8, "GET", "isp.api.views.CPEViewSet", "list", _with_token),
    (2, "POST", "isp.api.views.CPEViewSet", "provision", _with_text),
)


def _fail(chance: _Chance, event: dict[str, Any]) -> None:
    event["status_code"] = status = chance.choice((400, 400, 403, 404, 404, 404, 409, 500))
    event["response"] = {"detail": "No encontrado." if status == 404 else "La petición no es válida."}
    if status == 500:
        frames = "".join(
            f'  File "/srv/krill/isp/{chance.choice(("views", "models", "serializers"))}.py", line '
            f"{chance.randrange(20, 900)}, in {chance.choice(('save', 'update', 'get_object'))}\n    return call()\n"
            for _ in range(chance.randrange(3, 12))
        )
        event["errors"] = f"Traceback (most recent call last):\n{frames}ValueError: invalid literal for int(): 'x'"


def _ids(chance: _Chance, microseconds: int) -> str:
    """A UUID version 7 of that time."""
    text = f"{microseconds // 1000:012x}7{chance.getrandbits(12):03x}{8 + chance.getrandbits(2):x}"
    text += f"{chance.getrandbits(60):015x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _times(count: int, chance: _Chance, since: dt.datetime, until: dt.datetime) -> Iterator[int]:
    """Microseconds since 1970, rising, spread over [since, until)."""
    first, step = since.timestamp() * 1e6, (until - since).total_seconds() * 1e6 / max(count, 1)
    for index in range(count):
        yield int(first + step * (index + chance.random()))


def _rfc3339(microseconds: int) -> str:
    seconds, rest = divmod(microseconds, 1_000_000)
    return f"{dt.datetime.fromtimestamp(seconds, dt.UTC):%Y-%m-%dT%H:%M:%S}.{rest:06}Z"


def _encode(event: dict[str, Any]) -> bytes:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


def api_requests(count: int, seed: int = 1, since: dt.datetime = SINCE, until: dt.datetime = UNTIL) -> Iterator[bytes]:
    """Values of `krill.api.request.v1`, oldest first, no two alike."""
    chance = _Chance(seed)
    users = [(f"crm-{number}" if number % 3 else f"agente.{number}", number) for number in range(1, _USERS + 1)]
    plain, secret = (list(accumulate(kind[0] for kind in kinds)) for kinds in (_PLAIN, _SECRET))
    for time in _times(count, chance, since, until):
        kinds, weights = (_SECRET, secret) if chance.random() < SECRETS else (_PLAIN, plain)
        _, method, view, view_method, make = chance.choices(kinds, cum_weights=weights)[0]
        user, user_id = users[chance.skewed(_USERS) - 1]
        event = {
            "event_id": _ids(chance, time),
            "requested_at": _rfc3339(time),
            "method": method,
            "path": "",
            "status_code": 200,
            "response_ms": round(chance.lognormvariate(3.4, 0.9), 3),
            "user": user,
            "user_id": user_id,
            "remote_addr": f"10.{user_id % 4}.{user_id}.{chance.skewed(250)}",
            "host": _HOSTS[user_id % len(_HOSTS)],
            "view": view,
            "view_method": view_method,
            "user_agent": _AGENTS[user_id % len(_AGENTS)],
            "request_id": f"{chance.getrandbits(40):010x}",
        }
        event |= make(chance)
        if chance.random() < ERRORS:
            _fail(chance, event)
        yield _encode(event)


def admin_changes(count: int, seed: int = 1, since: dt.datetime = SINCE, until: dt.datetime = UNTIL) -> Iterator[bytes]:
    """Values of `krill.admin.change.v1`, oldest first, no two alike."""
    chance = _Chance(seed)
    for time in _times(count, chance, since, until):
        number, agent = chance.skewed(_CPES), chance.skewed(20)
        fields: list[dict[str, Any]] = [
            {"field": "postalcode", "old": f"{chance.randrange(3000, 3999):05}", "new": "03203"},
            {"field": "comment", "old": "", "new": f"llamó {chance.person()}, revisado"},
            {"field": "enabled", "old": True, "new": False},
        ]
        changed = chance.sample(fields, chance.choice((1, 1, 2)))
        if chance.random() < SECRETS:
            changed.append({"field": "wifi_password", "old": chance.letters(10), "new": chance.letters(10)})
        action = chance.choices(("change", "addition", "deletion"), (90, 7, 3))[0]
        model = chance.choice(("cpe", "cpe", "cpe", "customer", "pots"))
        said = [{"changed": {"fields": [one["field"].capitalize() for one in changed]}}]
        yield _encode(
            {
                "event_id": _ids(chance, time),
                "changed_at": _rfc3339(time),
                "user": f"agente.{agent}",
                "user_id": agent,
                "action": action,
                "app_label": "isp",
                "model": model,
                "object_id": str(number),
                "object_repr": f"pim{number:05}" if model == "cpe" else f"{number} {chance.person()}",
                "change_message": json.dumps(said) if action == "change" else "",
                "changes": changed,
                "remote_addr": f"10.20.0.{agent}",
                "request_id": f"{chance.getrandbits(128):032x}",
            }
        )
