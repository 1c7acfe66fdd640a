"""The demo Krill as it is started, used over HTTP: API, admin panel, traffic, and what it leaves on disk."""

from __future__ import annotations

import contextlib
import json
import re
import stat
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lxml.html
import pytest
import requests
from confluent_kafka import Consumer

from deploy.demo.keys import Keys
from schemas import topics
from schemas.settings import Settings
from tests.conftest import free_port
from tests.integration.demo_process import Demo, Tap, end, wait_for

OPERATIONS = ("reboot", "factory", "reconfig", "reprovision", "unprovision", "diagnostic")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = Demo(tmp_path_factory.mktemp("demo"), free_port())
    with running.serving():
        yield running


class Browser:
    """A person with a browser: cookies, and forms that are filled in and sent as they stand."""

    def __init__(self, demo: Demo, user: str, password: str) -> None:
        self.demo = demo
        self.http = requests.Session()
        page = self.open("/admin/login/?next=/admin/")
        self.landing = self.send(page.get_element_by_id("login-form"), username=user, password=password)

    def open(self, path: str) -> Any:
        return self.tree(self.http.get(self.demo.url + path, timeout=20))

    def tree(self, response: requests.Response) -> Any:
        assert response.ok, (response.status_code, response.url)
        return lxml.html.fromstring(response.text, base_url=response.url)

    def send(self, form: Any, **values: str) -> Any:
        form.fields.update(values)
        here = form.getroottree().getroot().base_url
        data = [*form.form_values(), ("_save", "1")]
        return self.tree(self.http.post(here, data=data, headers={"Referer": here}, timeout=20))


@pytest.mark.parametrize(
    ("path", "names"),
    [
        (
            "/api/v2/isp/customers/1/",
            "id name surname address city country postalcode external_id realm comment",
        ),
        (
            "/api/v2/isp/cpes/1",
            "cpename customer tech model sn mac access wifi_password pppoe_password latitude",
        ),
        (
            "/api/v2/isp/potses/1/",
            "cli lineid order context dtmf username password voicemail_password pbx_extension",
        ),
        ("/api/v2/isp/customers/", "count next previous results"),
        ("/api/v2/auth/users/", "count next previous results"),
        ("/api/v2/me/", "id username groups"),
        ("/api/isp/cpes/", "count next previous results"),
        ("/api/isp/cpes/1/", "cpename wifi_ssid"),
        ("/api/v2/monitoring/search?q=pim", "hosts cpes"),
        ("/api/v2/monitoring/hosts/olt-pim-1", "id cpes active rx_power weak"),
        ("/api/v2/monitoring/cpes/2/info", "id state rx_power uptime distance"),
    ],
)
def test_each_family_of_the_api_answers(demo: Demo, path: str, names: str) -> None:
    response = demo.api("GET", path)
    assert response.status_code == 200
    assert set(names.split()) <= set(response.json())


def test_lists_are_paged_filtered_cut_and_joined(demo: Demo) -> None:
    query = {"realm": "pim", "limit": 3, "offset": 2, "attrs": "id,realm,customer", "joins": "customer"}
    page = demo.api("GET", "/api/v2/isp/cpes/", params=query).json()
    assert len(page["results"]) == 3
    assert 50 < page["count"] < 500
    assert "offset=5" in page["next"]
    for cpe in page["results"]:
        assert set(cpe) == {"id", "realm", "customer"}
        assert cpe["realm"] == cpe["customer"]["realm"] == "pim"
    one = demo.api("GET", "/api/v2/isp/customers/", params={"external_id": "C100007", "joins": "cpes"}).json()
    assert [customer["id"] for customer in one["results"]] == [2]
    assert one["results"][0]["cpes"][0]["customer"] == 2
    assert demo.api("GET", "/api/v2/isp/cpes/", params={"search": "pim0001"}).json()["count"] == 1


@pytest.mark.parametrize("query", ["attrs=clave", "joins=owner", "customer=somebody", "tech=adsl"])
def test_a_query_that_makes_no_sense_is_refused(demo: Demo, query: str) -> None:
    assert demo.api("GET", f"/api/v2/isp/cpes/?{query}").status_code == 400


def test_customers_cpes_and_lines_are_made_changed_and_deleted(demo: Demo) -> None:
    created = demo.api("POST", "/api/v2/isp/customers/", json={"name": "Íñigo", "realm": "tor"})
    assert created.status_code == 201
    customer = created.json()["id"]
    cpe = demo.api(
        "POST",
        "/api/v2/isp/cpes/",
        json={"cpename": "tor9999", "realm": "tor", "customer": customer, "wifi_password": "a b"},
    ).json()
    line = demo.api(
        "POST", "/api/v2/isp/potses/", data={"cpe": cpe["id"], "cli": "965000000", "lineid": "tor9999-1"}
    ).json()
    whole = {**cpe, "postalcode": "03181", "wifi_password": "ñandú"}
    assert demo.api("PUT", f"/api/v2/isp/cpes/{cpe['id']}/", json=whole).json()["wifi_password"] == "ñandú"
    changed = demo.api(
        "PATCH", f"/api/v2/isp/potses/{line['id']}", json={"password": "sip-1", "voicemail": True}
    ).json()
    assert (changed["password"], changed["voicemail"], changed["cli"]) == ("sip-1", True, "965000000")
    for kind, pk in (("cpes", cpe["id"]), ("customers", customer)):
        assert demo.api("DELETE", f"/api/v2/isp/{kind}/{pk}/").status_code == 204
        assert demo.api("GET", f"/api/v2/isp/{kind}/{pk}/").status_code == 404
    assert demo.api("GET", f"/api/v2/isp/potses/{line['id']}/").status_code == 404
    assert b"sip-1" not in demo.bytes_on_disk()


def test_v1_reads_and_patches_and_does_nothing_else(demo: Demo) -> None:
    assert demo.api("PATCH", "/api/isp/cpes/3/", data={"notes": "de la v1"}).json()["notes"] == "de la v1"
    assert demo.api("GET", "/api/v2/isp/cpes/3/").json()["notes"] == "de la v1"
    assert demo.api("DELETE", "/api/isp/cpes/3/").status_code == 405


@pytest.mark.parametrize("path", ["/api/v2/cpes/259/{}", "/api/v2/cpes/259/{}/", "/api/v2/isp/cpes/259/{}/"])
def test_operations_do_what_they_say(demo: Demo, path: str) -> None:
    before = demo.api("GET", "/api/v2/isp/cpes/259/").json()
    assert demo.api("POST", path.format("reprovision")).elapsed.total_seconds() > 0.4
    for operation in OPERATIONS:
        answer = demo.api("POST", path.format(operation))
        assert (answer.status_code, answer.json()["action"]) == (200, operation)
    after = demo.api("GET", "/api/v2/isp/cpes/259/").json()
    assert after["wifi_password"] != before["wifi_password"]
    assert after["active"] is False
    assert demo.api("POST", path.format("reboot")).status_code == 409
    assert demo.api("GET", "/api/v2/monitoring/cpes/259/info").json()["state"] == "offline"
    demo.api("POST", path.format("reprovision"))
    assert demo.api("GET", "/api/v2/monitoring/cpes/259/info").json()["uptime"] < 5
    shown = demo.api("PATCH", path.format("fake_modification"), params={"postalcode": "1505"})
    assert shown.json() == {"postalcode": "1505"}
    assert demo.api("GET", "/api/v2/isp/cpes/259/").json()["postalcode"] == before["postalcode"]


def test_monitoring_gives_the_same_numbers_for_the_same_time(demo: Demo) -> None:
    wanted = {
        "graph": "optical",
        "cpes": [2, 5],
        "since": "2026-01-01T00:00:00Z",
        "until": "2026-01-01T01:00:00Z",
    }
    first, second = (demo.api("POST", "/api/v2/monitoring/datasets/", json=wanted).json() for _ in range(2))
    assert first == second
    assert [(line["cpe"], line["metric"], len(line["points"])) for line in first["series"]] == [
        (2, "rx_power", 13),
        (2, "tx_power", 13),
        (5, "rx_power", 13),
        (5, "tx_power", 13),
    ]
    assert {graph["id"] for graph in demo.api("GET", "/api/v2/monitoring/graphs/").json()} >= {
        "optical",
        "traffic",
    }
    too_many = demo.api("POST", "/api/v2/monitoring/datasets/", json={**wanted, "until": "2026-12-01T00:00:00Z"})
    assert too_many.status_code == 400
    assert demo.api("GET", "/api/v2/monitoring/hosts/olt-none-1").status_code == 404


def test_errors_of_the_api_are_json(demo: Demo) -> None:
    crash = demo.api("POST", "/api/v2/cpes/41/diagnostic")
    assert (crash.status_code, crash.json()) == (500, {"detail": "Internal server error."})
    assert demo.api("GET", "/api/v2/nothing").json() == {"detail": "Not found."}
    assert demo.api("GET", "/api/v2/isp/cpes/999999/").status_code == 404
    malformed = demo.api(
        "PATCH", "/api/v2/isp/cpes/1/", data=b'{"notes": ', headers={"Content-Type": "application/json"}
    )
    assert (malformed.status_code, list(malformed.json())) == (400, ["detail"])


def test_token_basic_and_session_log_in_and_others_do_not(demo: Demo) -> None:
    me = f"{demo.url}/api/v2/me/"
    keys = Keys.read(demo.data / "demo")
    assert demo.api("GET", "/api/v2/me/").json()["username"] == "crm-demo"
    basic = requests.get(me, auth=("installer-app", keys.password("installer-app")), timeout=20)
    assert basic.json()["username"] == "installer-app"
    assert Browser(demo, "demo", "demo").http.get(me, timeout=20).json()["is_superuser"] is True
    assert requests.get(me, timeout=20).status_code == 401
    assert requests.get(me, headers={"Authorization": "Token demo2"}, timeout=20).status_code == 401
    installer = {"Authorization": f"Token {keys.token('installer-app')}"}
    assert demo.api("DELETE", "/api/v2/isp/customers/1/", headers=installer).status_code == 403
    assert demo.api("POST", "/api/v2/cpes/1/reconfig/", headers=installer).status_code in (200, 409)
    assert demo.api("POST", "/api/v2/auth/users/", json={"username": "x", "is_superuser": True}).status_code == 403


def test_a_cpe_is_edited_in_the_panel_and_its_passwords_are_nowhere_on_disk(demo: Demo) -> None:
    support = Browser(demo, "demo", "demo")
    page = support.open("/admin/isp/cpe/7/change/")
    assert "código postal" in page.text_content().lower()
    typed = "Clave-Que-Nadie-Ve-1505"
    listed = support.send(
        page.get_element_by_id("cpe_form"),
        postalcode="07777",
        wifi_password=typed,
        pppoe_password=typed[::-1],
    )
    assert listed.xpath("//*[@class='messagelist']//*[contains(@class, 'success')]")
    assert support.open("/admin/isp/cpe/7/change/").get_element_by_id("cpe_form").fields["wifi_password"] == typed
    cpe = demo.api("GET", "/api/v2/isp/cpes/7/").json()
    assert (cpe["postalcode"], cpe["wifi_password"], cpe["pppoe_password"]) == ("07777", typed, typed[::-1])
    on_disk = demo.bytes_on_disk()
    assert b"07777" in on_disk
    assert typed.encode() not in on_disk
    assert typed[::-1].encode() not in on_disk


def test_the_panel_lists_searches_speaks_english_and_has_its_styles(demo: Demo) -> None:
    support = Browser(demo, "demo", "demo")
    for model in ("isp/customer", "isp/cpe", "isp/pots", "auth/user"):
        assert support.open(f"/admin/{model}/").xpath("//table[@id='result_list']//tbody/tr")
    found = support.open("/admin/isp/cpe/?q=pim0001&active__exact=1").xpath("//table[@id='result_list']//tbody/tr")
    assert len(found) <= 1
    support.http.headers["Accept-Language"] = "en"
    assert "Postal code" in support.open("/admin/isp/cpe/7/change/").text_content()
    style = support.open("/admin/").xpath("//link[@rel='stylesheet']/@href")[0]
    assert support.http.get(demo.url + style, timeout=20).headers["Content-Type"].startswith("text/css")


def test_support_may_not_touch_users_and_the_supervisor_may(demo: Demo) -> None:
    keys = Keys.read(demo.data / "demo")
    marta = Browser(demo, "marta", keys.password("marta"))
    assert marta.http.get(f"{demo.url}/admin/isp/cpe/", timeout=20).status_code == 200
    assert marta.http.get(f"{demo.url}/admin/auth/user/", timeout=20).status_code == 403
    ignacio = Browser(demo, "ignacio", keys.password("ignacio"))
    assert ignacio.http.get(f"{demo.url}/admin/auth/user/", timeout=20).status_code == 200


def test_the_secret_is_its_owners_alone(demo: Demo) -> None:
    folder = demo.data / "demo"
    assert stat.S_IMODE((folder / "secret.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    keys = Keys.read(folder)
    on_disk = demo.bytes_on_disk()
    for user in ("crm-vialan", "installer-app", "marta"):
        assert keys.password(user).encode() not in on_disk


def test_a_taken_port_is_one_sentence(demo: Demo) -> None:
    process = demo.run("serve")
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert re.fullmatch(rf"Error: Port {demo.port} cannot be used .*; stop what listens there .*\n", said)


@pytest.fixture
def tap(demo: Demo) -> Iterator[Tap]:
    with Tap(demo.port) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_traffic_is_a_mix_of_habits(demo: Demo, tap: Tap) -> None:
    process = demo.run("traffic", "--rate", "100", port=tap.port)
    wanted = {200, 201, 204, 302, 400, 401, 403, 404, 409, 415, 500}
    deadline = time.monotonic() + 40
    while not wanted <= set(tap.statuses()) and time.monotonic() < deadline:
        time.sleep(0.5)
    started = time.monotonic()
    assert end(process, 5) == 0
    assert time.monotonic() - started < 2
    statuses, asked = tap.statuses(), b"".join(tap.asked)
    assert wanted <= set(statuses), statuses
    assert statuses[200] > sum(statuses.values()) / 2
    assert asked.count(b"POST /admin/isp/cpe/") > 1
    for kept in (
        b"X-Forwarded-For: ",
        b"Authorization: Basic ",
        b"wifi_password",
        b"csrfmiddlewaretoken=",
        b"X-Request-ID",
    ):
        assert kept in asked
    assert len(tap.first_ids()) >= 9


def test_traffic_is_the_same_for_the_same_seed(demo: Demo) -> None:
    seen = []
    for seed in ("7", "7", "8"):
        with Tap(demo.port) as tap:
            threading.Thread(target=tap.serve_forever, daemon=True).start()
            process = demo.run("traffic", "--seed", seed, port=tap.port)
            wait_for(lambda tap=tap: len(tap.first_ids()) >= 9, 20)
            assert end(process, 5) == 0
            seen.append(tap.first_ids())
            tap.shutdown()
    same, again, other = seen
    # Two agents have the same browser: which of them comes first is chance.
    agents = [agent for agent in same if "Firefox" not in agent]
    assert [same[agent] for agent in agents] == [again[agent] for agent in agents]
    assert all(same[agent] != other[agent] for agent in agents)


def test_a_restart_keeps_the_data_and_the_traffic_lives_on(tmp_path: Path) -> None:
    demo = Demo(tmp_path, free_port())
    traffic = demo.run("traffic", "--rate", "50")
    try:
        with demo.serving():
            # A new one: the traffic may save a form with the values that an older one had before.
            new = demo.api("POST", "/api/v2/isp/customers/", json={"name": "Antes", "realm": "tor"}).json()
        assert traffic.poll() is None
        with demo.serving(seconds=15):
            assert demo.api("GET", f"/api/v2/isp/customers/{new['id']}/").json()["name"] == "Antes"
            users = demo.api("GET", "/api/v2/auth/users/?limit=50&attrs=username").json()
            assert users["count"] == len({user["username"] for user in users["results"]})
            noted = "/api/v2/isp/cpes/?limit=500&attrs=notes"
            before = demo.api("GET", noted).json()
            wait_for(lambda: demo.api("GET", noted).json() != before, 40)
    finally:
        assert end(traffic, 5) == 0


def events(settings: Settings, topic: str, seconds: float) -> Iterator[dict[str, Any]]:
    """What is on the topic, from its beginning, for as long as that."""
    consumer = Consumer(settings.kafka(group_id=settings.group, auto_offset_reset="earliest", enable_auto_commit=False))
    consumer.subscribe([topic])
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline:
            for message in consumer.consume(500, 0.2):
                if not message.error() and message.value():
                    with contextlib.suppress(ValueError):
                        yield json.loads(message.value())
    finally:
        consumer.close()


def test_what_happens_in_the_demo_is_on_the_topics(settings: Settings) -> None:
    demo = Demo(settings.data, settings.demo_port, settings.bootstrap)
    typed = "Clave-Que-Nadie-Ve-2811"
    with demo.serving():
        support = Browser(demo, "demo", "demo")
        asked = str(uuid.uuid4())
        ours = {"X-Request-ID": asked}
        support.http.headers.update(ours)
        form = support.open("/admin/isp/cpe/7/change/").get_element_by_id("cpe_form")
        old = form.fields["postalcode"]
        support.send(form, postalcode="28011", wifi_password=typed)
        change = next(e for e in events(settings, topics.ADMIN_CHANGES, 20) if e.get("request_id") == asked)
        demo.api("PATCH", "/api/v2/isp/cpes/8/", json={"wifi_password": typed}, headers={"X-Request-ID": asked})
        demo.api("POST", "/api/v2/cpes/41/diagnostic", headers=ours)
        demo.api("PATCH", "/api/isp/cpes/9/", json={"notes": "v1"}, headers=ours)
        seen: dict[str, dict[str, Any]] = {}
        for event in events(settings, topics.API_REQUESTS, 20):
            if event.get("request_id") == asked:
                assert event["path"] not in seen, "one request is one event"
                seen[event["path"]] = event
            if len(seen) == 3:
                break
    assert (change["user"], change["action"], change["app_label"], change["model"]) == (
        "demo",
        "change",
        "isp",
        "cpe",
    )
    changed = {field["field"]: (field["old"], field["new"]) for field in change["changes"]}
    assert changed["postalcode"] == (old, "28011")
    assert set(changed) - {"updated"} == {"postalcode", "wifi_password"}
    patch, crash, v1 = (
        seen[path] for path in ("/api/v2/isp/cpes/8/", "/api/v2/cpes/41/diagnostic", "/api/isp/cpes/9/")
    )
    assert (patch["user"], patch["view"], patch["view_method"]) == (
        "crm-demo",
        "webapp.isp.views.CpeViewSet",
        "partial_update",
    )
    assert (crash["status_code"], crash["view_method"]) == (500, "diagnostic")
    assert "ValueError: invalid literal for int()" in crash["errors"]
    assert (v1["status_code"], v1["view"]) == (200, "webapp.isp.views_v1.CpeViewSet")
    assert typed not in json.dumps([change, patch])
    assert typed.encode() not in demo.bytes_on_disk()
