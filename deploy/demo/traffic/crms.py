"""The CRMs and other programs that use Krill's API, each with its own habits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from deploy.demo.traffic.client import Visitor


class Program(Visitor):
    """A program with a token; it learns what there is from Krill's lists."""

    def start(self) -> None:
        """Log in with the token."""
        super().start()
        self.http.headers["Authorization"] = f"Token {self.keys.token(self.user)}"

    def rows(self, kind: str, attrs: str, **query: Any) -> list[dict[str, Any]]:
        """A page of a list, somewhere in its middle.

        Raises:
            ValueError: there is none.
        """
        query = {"limit": 25, "offset": self.rng.randrange(200), "attrs": attrs, **query}
        response = self.request("GET", f"/api/v2/isp/{kind}/", params=query)
        found: list[dict[str, Any]] = response.json().get("results")
        if not found:
            raise ValueError(f"no {kind}")
        return found


class Poller(Program):
    """Netfibra: asks for the same lists every few seconds, day and night."""

    user = "crm-netfibra"
    agent = "NetfibraSync/4.2 (+https://netfibra.example) python-requests/2.32"

    def work(self) -> Iterator[float]:
        while True:
            self.request(
                "GET",
                "/api/v2/isp/customers/",
                params={"realm": "pim", "limit": 10, "attrs": "id,external_id"},
            )
            yield 2
            self.request("GET", "/api/v2/isp/cpes/", params={"realm": "pim", "limit": 10, "attrs": "id,cpename,active"})
            yield 2
            if self.rng.random() < 0.3:
                self.request("GET", "/api/v2/isp/potses/", params={"limit": 5, "joins": "cpe"})
            yield 3


class CallCentre(Program):
    """The demo CRM: someone calls, is looked up, and something is done about it."""

    user = "crm-demo"
    agent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/141.0 CRM-Demo/2.0"

    def work(self) -> Iterator[float]:
        while True:
            for customer in self.rows("customers", "id,external_id,realm", limit=8):
                self.request("GET", "/api/v2/isp/customers/", params={**customer, "joins": "cpes"})
                yield 1.5
                cpes = self.rows("cpes", "id,cpename,active", offset=0, limit=2, customer=customer["id"])
                yield from self._help(self.rng.choice(cpes))

    def _help(self, cpe: dict[str, Any]) -> Iterator[float]:
        one, rng = f"/api/v2/isp/cpes/{cpe['id']}/", self.rng
        self.request("GET", f"/api/v2/monitoring/cpes/{cpe['id']}/info")
        yield 1
        wifi = {"wifi_ssid": f"Casa_{rng.randrange(100)}", "wifi_password": f"clave-{rng.getrandbits(48):x}"}
        call: tuple[Any, ...] = self.choose(
            (5, ("PATCH", one, {"json": wifi})),
            (
                3,
                (
                    "PATCH",
                    one,
                    {
                        "json": {
                            "notes": "Llamó el cliente, «todo bien»",
                            "pppoe_password": f"{rng.getrandbits(64):x}",
                        }
                    },
                ),
            ),
            (
                2,
                (
                    "PATCH",
                    f"{one}fake_modification/",
                    {"params": {"postalcode": f"{rng.randrange(1000, 53000):05}"}},
                ),
            ),
            (3, ("POST", f"/api/v2/cpes/{cpe['id']}/reboot", {})),
            (1, ("POST", f"/api/v2/cpes/{cpe['id']}/factory/", {})),
            (2, ("POST", f"/api/v2/cpes/{cpe['id']}/reconfig", {})),
            (2, ("GET", f"/api/isp/cpes/{cpe['id']}/", {})),
            (
                1,
                (
                    "PATCH",
                    f"/api/isp/cpes/{cpe['id']}/",
                    {"data": {"notes": "v1", "wifi_password": "migrada-2026"}},
                ),
            ),
        )
        method, path, options = call
        self.request(method, path, **options)
        yield 2


class Batch(Program):
    """Vialan: nothing for a minute, then forty changes without a breath."""

    user = "crm-vialan"
    agent = "Java-http-client/21.0.4"

    def work(self) -> Iterator[float]:
        while True:
            batch = self.rng.getrandbits(32)
            for cpe in self.rows("cpes", "id,external_id,postalcode", limit=40):
                change = {
                    "postalcode": cpe["postalcode"],
                    "notes": f"lote {batch:08x}",
                    "line_profile": "gpon-600m",
                }
                self.request("PATCH", f"/api/v2/isp/cpes/{cpe['id']}/", json=change)
            yield 60


class Careless(Program):
    """Ondasur: wrong values, wrong ids, wrong paths, wrong JSON, and a proxy that makes up addresses."""

    user = "crm-ondasur"
    agent = "PHP/7.4 GuzzleHttp/6.5.5 curl/7.68.0"

    def work(self) -> Iterator[float]:
        while True:
            cpe = self.rng.choice(self.rows("cpes", "id,cpename", limit=15))
            one = f"/api/v2/isp/cpes/{cpe['id']}/"
            missing = self.rng.randrange(900_000, 999_999)
            bad = f'{{"wifi_password": "sin-cerrar-{self.rng.getrandbits(32):x}", "postalcode": '
            forged = {"X-Forwarded-For": f"{self.rng.randrange(1, 223)}.13.7.{self.rng.randrange(255)}, 10.0.0.1"}
            kind = {"Content-Type": "application/json", **forged}
            call: tuple[Any, ...] = self.choose(
                (3, ("PATCH", one, {"json": {"latitude": "muy al norte", "tech": "adsl"}})),
                (2, ("POST", "/api/v2/isp/cpes/", {"json": {"cpename": cpe["cpename"], "realm": "pim"}})),
                (
                    2,
                    (
                        "POST",
                        "/api/v2/isp/customers/",
                        {"data": {"surname": "Sin Nombre", "comment": "<b>hola</b>"}},
                    ),
                ),
                (3, ("GET", f"/api/v2/isp/cpes/{missing}/", {})),
                (2, ("DELETE", f"/api/v2/isp/customers/{missing}", {})),
                (
                    2,
                    (
                        "GET",
                        "/api/v2/isp/cpe/",
                        {"params": {"cpename": cpe["cpename"], "api_key": "no-es-aqui"}},
                    ),
                ),
                (3, ("PATCH", one, {"data": bad.encode(), "headers": kind})),
                (1, ("PUT", one, {"data": b"<cpe/>", "headers": {"Content-Type": "text/xml"}})),
                (1, ("GET", "/api/v2/isp/cpes/", {"params": {"attrs": "id,clave"}})),
                (
                    1,
                    (
                        "POST",
                        "/api/v2/auth/users/",
                        {"json": {"username": "otro", "password": "No-Me-Veas-9"}},
                    ),
                ),
                (2, ("GET", one, {"headers": forged})),
            )
            method, path, options = call
            self.request(method, path, **options)
            yield 3


class Stranger(Visitor):
    """Someone without a valid login: an old token, none at all, a guessed password."""

    user = "stranger"
    agent = "curl/8.5.0"

    def work(self) -> Iterator[float]:
        while True:
            old = {"Authorization": f"Token {self.rng.getrandbits(160):040x}"}
            self.request("GET", "/api/v2/isp/customers/", headers=old)
            yield 6
            self.request("GET", "/api/v2/me/", headers={"X-Forwarded-For": "127.0.0.1"})
            yield 9
            self.request("GET", "/api/v2/me/", auth=("demo", f"demo{self.rng.randrange(100)}"))
            yield 15


class Installer(Visitor):
    """The installers' app: basic authentication, slow calls, and things it may not do."""

    user = "installer-app"
    agent = "KrillInstaller/3.1 (Android 15; SM-A556B) okhttp/4.12.0"

    def start(self) -> None:
        """Log in with a password at each request."""
        super().start()
        self.http.auth = (self.user, self.keys.password(self.user))

    def work(self) -> Iterator[float]:
        while True:
            # Every 41st CPE has no MAC, which Krill's diagnostic does not survive.
            number = self.choose((4, self.rng.randrange(1, 480)), (1, 41 * self.rng.randrange(1, 12)))
            one = f"/api/v2/cpes/{number}"
            self.request("POST", f"{one}/reprovision")
            yield 4
            self.request("GET", f"{one}/diagnostic/")
            yield 3
            if self.rng.random() < 0.2:
                self.request("POST", f"{one}/unprovision/")
                yield 2
                self.request("POST", f"{one}/reboot/")
                self.request("POST", f"{one}/reprovision/")
            if self.rng.random() < 0.2:
                self.request("DELETE", f"/api/v2/isp/customers/{number}/")
            yield 5


class WallScreen(Program):
    """The operations centre's screen: monitoring, all day long."""

    user = "noc-wall"
    agent = "Mozilla/5.0 (X11; Linux aarch64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0 NOC-Wall"

    def work(self) -> Iterator[float]:
        self.request("GET", "/api/v2/me/")
        self.request("GET", "/api/v2/monitoring/graphs/")
        while True:
            realm, number = self.rng.choice(("pim", "tor", "gir", "cor")), self.rng.randrange(1, 5)
            self.request("GET", f"/api/v2/monitoring/hosts/olt-{realm}-{number}")
            yield 2
            wanted = {
                "graph": self.rng.choice(("optical", "traffic", "temperature")),
                "cpes": [self.rng.randrange(1, 480)],
            }
            self.request("POST", "/api/v2/monitoring/datasets/", json=wanted)
            yield 2
            self.request("GET", "/api/v2/monitoring/search", params={"q": f"{realm}00{number}"})
            yield 3


class Provisioner(Program):
    """Netfibra's second program: new customers with CPE and phone line, and cancellations."""

    user = "crm-netfibra"
    agent = "NetfibraAltas/1.9"

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.serial = self.rng.getrandbits(32)

    def work(self) -> Iterator[float]:
        while True:
            self.serial += 1
            name = f"pim9{self.serial % 100_000:05}"
            customer = {
                "name": "Joaquín",
                "surname": f"Peña {self.serial % 97}",
                "realm": "pim",
                "external_id": f"N{name}",
            }
            created = {"customers": self._create("customers", customer)}
            yield 8
            cpe = {
                "cpename": name,
                "realm": "pim",
                "customer": created["customers"],
                "pppoe_password": f"{self.serial:x}",
            }
            created["cpes"] = self._create(
                "cpes", {**cpe, "model": "HG8245H", "wifi_password": f"nueva-{self.serial:x}"}
            )
            yield 8
            line = {"cpe": created["cpes"], "lineid": f"{name}-1", "cli": f"871{self.serial % 1_000_000:06}"}
            self._create("potses", {**line, "password": f"sip-{self.serial:x}", "voicemail_password": "4321"})
            yield 40
            for kind in ("cpes", "customers"):
                self.request("DELETE", f"/api/v2/isp/{kind}/{created[kind]}/")
                yield 5

    def _create(self, kind: str, values: dict[str, Any]) -> int:
        return int(self.request("POST", f"/api/v2/isp/{kind}/", json=values).json()["id"])


CRMS = (Poller, CallCentre, Batch, Careless, Stranger, Installer, WallScreen, Provisioner)
