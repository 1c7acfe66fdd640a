"""What the middleware records of a request, and the mixin in a whole project."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import json

import msgspec
import pytest

from tests.krill_project import running

running.set_up()

from django.apps import apps  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.core.files.uploadedfile import SimpleUploadedFile  # noqa: E402
from django.core.signals import request_finished  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import AsyncClient, Client  # noqa: E402
from django.test.utils import CaptureQueriesContext, override_settings  # noqa: E402
from django.utils import timezone  # noqa: E402
from rest_framework.authtoken.models import Token  # noqa: E402

from producers import counting, kafka, later  # noqa: E402
from producers.django import record, relay  # noqa: E402
from producers.django.context import _bare  # noqa: E402
from producers.django.models import OutboxEvent  # noqa: E402
from schemas.events import ApiRequest  # noqa: E402
from schemas.masking import SUBSTITUTE  # noqa: E402
from tests.krill_project.isp.models import Cpe  # noqa: E402


@pytest.fixture(autouse=True)
def sent(monkeypatch, krill_tables):
    """What was handed to Kafka: the events, checked against the schema."""
    events: list[dict] = []

    def publish(value, topic, key, headers):
        assert topic == ApiRequest.TOPIC
        assert dict(headers)["ce_source"] == b"krill/test"
        event = msgspec.json.decode(value, type=ApiRequest)
        assert event.key == key
        events.append(msgspec.json.decode(value))
        return True

    def finished(**_):
        later.finish()

    request_finished.connect(finished)
    monkeypatch.setattr(kafka, "publish", publish)
    monkeypatch.setattr(relay, "wake", lambda using: None)
    failures = dict(kafka.counters())
    yield events
    request_finished.disconnect(finished)
    assert kafka.counters().get("capture_errors", 0) == failures.get("capture_errors", 0)
    Cpe.objects.all().delete()
    User.objects.all().delete()
    OutboxEvent.objects.all().delete()


@pytest.fixture
def client():
    return Client(raise_request_exception=False)


@pytest.fixture
def token():
    user = User.objects.create_user("crm-demo", password="pw")
    return {"HTTP_AUTHORIZATION": f"Token {Token.objects.create(user=user).key}"}


def test_a_patch_with_a_token(client, token, sent):
    cpe = Cpe.objects.create(cpename="pim0585")
    path = f"/api/v2/isp/cpes/{cpe.pk}/"
    client.patch(
        path + "?attrs=id&attrs=cpename&realm=pim",
        {"postalcode": "28001", "wifi_password": "hunter2"},
        "application/json",
        HTTP_USER_AGENT="CRM/1",
        REMOTE_ADDR="10.0.0.7",
        **token,
    )
    (event,) = sent
    assert event.pop("event_id")
    assert event.pop("requested_at").endswith("Z")
    assert 0 < event.pop("response_ms") < 5000
    assert event.pop("request_id")
    assert event.pop("user_id") == User.objects.get().pk
    assert event == {
        "user": "crm-demo",
        "remote_addr": "10.0.0.7",
        "method": "PATCH",
        "path": path,
        "host": "testserver",
        "view": "tests.krill_project.isp.views.CpeViewSet",
        "view_method": "partial_update",
        "status_code": 200,
        "query_params": {"attrs": ["id", "cpename"], "realm": "pim"},
        "data": {"postalcode": "28001", "wifi_password": SUBSTITUTE},
        "response": {"id": str(cpe.pk), "cpename": "pim0585", "postalcode": "28001", "wifi_password": SUBSTITUTE},
        "user_agent": "CRM/1",
    }


def test_what_no_view_sees(client, token, sent):
    client.get("/api/v2/nothing/")
    client.get("/api/v2/isp/cpes/")
    client.get("/api/v2/isp/cpes/", HTTP_AUTHORIZATION="Token wrong")
    client.post("/api/v2/isp/cpes/", '{"cpename": "pim1", "wifi_password": "hunter2', "application/json", **token)
    client.delete("/api/v2/isp/cpes/", **token)
    client.get("/api/view/crash/")
    client.get("/api/view/missing/", HTTP_HOST="evil.example")
    found = {event["status_code"]: event for event in sent}
    assert [event["status_code"] for event in sent] == [404, 403, 403, 400, 405, 500, 404]
    assert [event["user"] for event in sent] == ["Anonymous"] * 3 + ["crm-demo"] * 2 + ["Anonymous"] * 2
    assert "view" not in sent[0]
    assert "pim1" in found[400]["data"]
    assert "hunter2" not in json.dumps(sent)
    assert "JSON parse error" in found[400]["response"]["detail"]
    assert (found[405]["view"], "view_method" in found[405]) == ("tests.krill_project.isp.views.CpeViewSet", False)
    assert 'raise RuntimeError("it broke with wifi_password=' in found[500]["errors"]
    assert found[500]["errors"].startswith("Traceback")
    assert "hunter2secret" not in found[500]["errors"]
    assert sent[-1]["host"] == "evil.example"


def test_users_of_every_kind_of_authentication(client, token, sent):
    user = User.objects.get()
    basic = base64.b64encode(b"crm-demo:pw").decode()
    client.get("/api/v2/isp/cpes/", **token)
    client.get("/api/v2/isp/cpes/", HTTP_AUTHORIZATION=f"Basic {basic}")
    client.force_login(user)
    client.get("/api/v2/isp/cpes/")
    client.get("/api/nothing/")
    assert [(event["user"], event["user_id"]) for event in sent] == [("crm-demo", user.pk)] * 4
    client.logout()
    bad = base64.b64encode(b"crm-demo:wrong").decode()
    client.get("/api/v2/isp/cpes/", HTTP_AUTHORIZATION=f"Basic {bad}")
    assert sent[-1]["user"] == "Anonymous"
    assert "user_id" not in sent[-1]


@pytest.mark.skipif(not apps.is_installed("oauth2_provider"), reason="django-oauth-toolkit needs a newer Django")
def test_users_of_oauth(client, token, sent):
    from oauth2_provider.models import AccessToken, Application

    user = User.objects.get()
    application = Application.objects.create(
        client_type="confidential", authorization_grant_type="password", user=user, name="crm"
    )
    AccessToken.objects.create(
        user=user, token="oauth-token", application=application, expires=timezone.now() + dt.timedelta(hours=1)
    )
    client.get("/api/v2/isp/cpes/", HTTP_AUTHORIZATION="Bearer oauth-token")
    client.get("/api/v2/isp/cpes/", HTTP_AUTHORIZATION="Bearer wrong")
    assert [(event["user"], event["status_code"]) for event in sent] == [("crm-demo", 200), ("Anonymous", 403)]
    assert "oauth-token" not in json.dumps(sent)


def test_no_sql_in_the_request(client, sent):
    with CaptureQueriesContext(connection) as queries:
        client.get("/api/view/plain/")
        client.get("/api/mixed/plain/")
        client.get("/api/nothing/")
    assert len(queries) == 0
    assert len(sent) == 3


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (0, "6.6.6.6", "10.0.0.1"),
        (1, "6.6.6.6, 1.2.3.4", "1.2.3.4"),
        (1, "6.6.6.6, 1.2.3.4:5678", "1.2.3.4"),
        (2, "6.6.6.6, 1.2.3.4, 10.0.0.9", "1.2.3.4"),
        (2, "1.2.3.4", "1.2.3.4"),
        (1, "[2001:db8::1]:443", "2001:db8::1"),
        (1, "2001:db8::1", "2001:db8::1"),
        (1, "<script>", ""),
        (1, None, "10.0.0.1"),
    ],
)
def test_the_clients_address_cannot_be_forged(client, sent, proxies, forwarded, expected):
    more = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
    with override_settings(KRILL_LOGGER={"TRUSTED_PROXIES": proxies, "SOURCE": "krill/test"}):
        client.get("/api/view/plain/", REMOTE_ADDR="10.0.0.1", **more)
    assert sent[0]["remote_addr"] == expected


def test_addresses_of_all_forms():
    assert _bare("::ffff:1.2.3.4") == "1.2.3.4"
    assert _bare("fe80::1%eth0") == "fe80::1"
    assert _bare("unix:") == ""
    assert ipaddress.ip_address(_bare("[::1]:80")) == ipaddress.ip_address("::1")


def test_bodies_of_all_kinds(client, sent):
    client.post("/api/view/form/", "a=1&b=2&b=3&password=hunter2", "application/x-www-form-urlencoded")
    assert sent[-1]["data"] == {"a": "1", "b": ["2", "3"], "password": SUBSTITUTE}
    client.post("/api/view/upload/", {"note": "x", "file": SimpleUploadedFile("a.png", b"\x89PNG" * 10)})
    assert sent[-1]["data"] == {"note": "x", "file": "<a.png, 40 bytes>"}
    client.post("/api/view/unread/", {"file": SimpleUploadedFile("a.png", b"\x89PNG" * 10)})
    assert sent[-1]["data"].startswith("<multipart/form-data, ")
    client.post("/api/view/x/", b"\x89PNG\x00", "image/png")
    assert sent[-1]["data"] == "<image/png, 5 bytes>"
    client.post("/api/view/x/", b"\xff\xfe broken", "application/json")
    assert "broken" in sent[-1]["data"]
    client.post("/api/view/x/", b'{"a": NaN, "b": "\\ud800"}', "application/json")
    assert sent[-1]["data"] == {"a": None, "b": "?"}
    client.post("/api/django/", b'{"a": 1}', "application/json")
    assert sent[-1]["response"] == {"got": 8}
    assert sent[-1]["data"] == {"a": 1}
    client.get("/api/view/x/")
    assert sent[-1].get("data", "") == ""


def test_large_bodies_are_cut_and_named(client, sent):
    body = json.dumps({"first": 1, "filler": "x" * 200_000})
    client.post("/api/view/x/", body, "application/json")
    assert sent[-1]["truncated"] == ["data"]
    assert sent[-1]["data"] == body[: 64 * 1024]
    client.post("/api/view/unread/", body, "application/json")
    assert sent[-1]["data"].startswith("<application/json, 2000")
    assert sent[-1]["truncated"] == ["data"]
    client.get("/api/view/big/")
    assert sent[-1]["truncated"] == ["response"]
    assert len(sent[-1]["response"]) == 64 * 1024


def test_secrets_before_the_cut_are_masked(client, sent):
    body = '{"wifi_password": "hunter2", "filler": "' + "x" * 65_400 + '", "pppoe_password": "hunter3' + "y" * 200
    client.post("/api/view/x/", body, "application/json")
    assert sent[-1]["truncated"] == ["data"]
    assert "hunter" not in sent[-1]["data"]


def test_answers_of_all_kinds(client, sent):
    assert b"".join(client.get("/api/view/stream/").streaming_content) == b"a" * 10 + b"b" * 10
    assert "response" not in sent[-1]
    client.get("/api/view/binary/")
    assert sent[-1]["response"] == "<image/png, 6 bytes>"
    client.get("/api/view/plain/")
    assert sent[-1]["response"] == "hello"
    client.get("/api/view/odd/")
    assert sent[-1]["response"] == {"lazy": "hello", "money": 1.5, "set": [1]}
    client.get("/api/view/secret/")
    assert sent[-1]["response"] == {"token": SUBSTITUTE, "wifi_password": SUBSTITUTE, "cpename": "pim0585"}
    with override_settings(
        MIDDLEWARE=["producers.django.middleware.RequestLoggingMiddleware", "django.middleware.gzip.GZipMiddleware"]
    ):
        response = Client().get(f"/api/view/{'y' * 300}/", HTTP_ACCEPT_ENCODING="gzip")
    assert response["Content-Encoding"] == "gzip"
    assert sent[-1]["response"]["kind"] == "y" * 300


def test_views_of_all_kinds(client, sent, token):
    client.get("/api/function/")
    assert (sent[-1]["view"], sent[-1]["view_method"]) == ("tests.krill_project.isp.views.function_view", "get")
    client.get("/api/django/")
    assert (sent[-1]["view"], sent[-1]["view_method"]) == ("tests.krill_project.isp.views.django_view", "get")
    cpe = Cpe.objects.create(cpename="pim1")
    client.post(f"/api/v2/isp/cpes/{cpe.pk}/reboot/", **token)
    assert (sent[-1]["view"], sent[-1]["view_method"]) == ("tests.krill_project.isp.views.CpeViewSet", "reboot")
    client.options("/api/v2/isp/cpes/", **token)
    assert sent[-1]["view_method"] == "metadata"


def test_request_ids(client, sent):
    response = client.get("/api/view/plain/", HTTP_X_REQUEST_ID="abc-1.2:3")
    assert response["X-Request-ID"] == sent[-1]["request_id"] == "abc-1.2:3"
    for bad in ("", "a b", "x" * 200, "<script>", "a\nb"):
        response = client.get("/api/view/plain/", HTTP_X_REQUEST_ID=bad)
        assert response["X-Request-ID"] == sent[-1]["request_id"] != bad
        assert len(sent[-1]["request_id"]) == 32


def test_only_the_api_is_recorded(client, sent):
    response = client.get("/elsewhere/plain/")
    assert "X-Request-ID" in response
    assert sent == []
    with override_settings(KRILL_LOGGER={"API_PREFIXES": ["/elsewhere/"], "SOURCE": "krill/test"}):
        client.get("/elsewhere/plain/")
        client.get("/api/view/plain/")
    assert [event["path"] for event in sent] == ["/elsewhere/plain/"]


def test_mixin_and_middleware_record_once(client, sent):
    for kind in ("plain", "missing", "crash", "stream", "secret"):
        client.get(f"/api/mixed/{kind}/")
    client.post("/api/mixed/x/", "{bad", "application/json")
    assert [event["status_code"] for event in sent] == [200, 404, 500, 200, 200, 400]
    assert {event["view"] for event in sent} == {"tests.krill_project.isp.views.MixedIn"}
    assert "RuntimeError" in sent[2]["errors"]
    assert sent[5]["data"] == "{bad"


def test_a_mixin_that_does_not_want_a_request_is_obeyed(client, sent):
    client.get("/api/errors/plain/")
    client.get("/api/errors/missing/")
    assert [event["status_code"] for event in sent] == [404]


def test_a_failure_of_logging_is_counted_and_never_reaches_the_request(client, monkeypatch):
    before = kafka.counters().get("capture_errors", 0)
    with monkeypatch.context() as patch:
        patch.setattr(record, "encode", lambda event: 1 / 0)
        assert client.get("/api/view/plain/").content == b"hello"
        assert client.get("/api/mixed/plain/").content == b"hello"
        assert client.get("/elsewhere/mixed/plain/").content == b"hello"
    assert kafka.counters()["capture_errors"] == before + 3
    counting.count("capture_errors", -3)  # what the fixture checks afterwards


def test_changes_in_a_request_carry_its_actor(client, token, sent):
    cpe = Cpe.objects.create(cpename="pim1")
    client.patch(
        f"/api/v2/isp/cpes/{cpe.pk}/", {"postalcode": "1"}, "application/json", REMOTE_ADDR="10.1.1.1", **token
    )
    client.get(f"/api/edit/{cpe.pk}/?postalcode=2")
    Cpe.objects.update(postalcode="3")
    by_new = {running.changed(event).get("postalcode", (0, 0))[1]: event for event in running.events()}
    assert (by_new["1"]["user"], by_new["1"]["remote_addr"]) == ("crm-demo", "10.1.1.1")
    assert by_new["1"]["user_id"] == User.objects.get().pk
    assert by_new["1"]["request_id"] == sent[0]["request_id"]
    assert by_new["2"]["user"] == "Anonymous"
    assert "user" not in by_new["3"]
    assert "remote_addr" not in by_new["3"]


def test_asynchronous_servers(sent):
    import asyncio

    async def requests():
        client = AsyncClient(raise_request_exception=False)
        await client.get("/api/view/plain/")
        await client.post("/api/view/x/", '{"a": 1}', content_type="application/json")
        await client.get("/api/view/crash/")
        await client.get("/api/nothing/")

    asyncio.run(requests())
    assert [event["status_code"] for event in sent] == [200, 200, 500, 404]
    assert sent[1]["data"] == {"a": 1}
    assert "RuntimeError" in sent[2]["errors"]
