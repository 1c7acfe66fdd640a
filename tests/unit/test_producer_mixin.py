"""Our mixin against drf-tracking's own: the same view, the same requests, the logs compared field by field."""

from __future__ import annotations

import json

import msgspec
import pytest

from tests.krill_project import running

running.set_up()

import rest_framework_tracking.base_mixins as theirs  # noqa: E402
from django.contrib.auth.models import AnonymousUser, User  # noqa: E402
from django.core.files.uploadedfile import SimpleUploadedFile  # noqa: E402
from django.test import RequestFactory  # noqa: E402

from producers import kafka, later  # noqa: E402
from producers.django import mixins, relay  # noqa: E402
from producers.django.models import OutboxEvent  # noqa: E402
from schemas.events import ApiRequest  # noqa: E402
from schemas.masking import SUBSTITUTE  # noqa: E402
from tests.krill_project.isp import views  # noqa: E402
from tests.krill_project.isp.models import Cpe  # noqa: E402

logs: dict[str, list[dict]] = {"ours": [], "theirs": []}


class Theirs(theirs.BaseLoggingMixin):
    def handle_log(self):
        logs["theirs"].append(self.log)


class Ours(mixins.LoggingMixin):
    def handle_log(self):
        super().handle_log()
        logs["ours"].append(self.log)


def handlers(make, actions):
    return {
        name: (make(mixin, "Same").as_view(actions) if actions else make(mixin, "Same").as_view())
        for name, mixin in (("ours", Ours), ("theirs", Theirs))
    }


PLAIN = handlers(views.tracked, None)
SET = handlers(views.tracked_set, {"get": "list", "post": "create"})
VARIES = {"requested_at", "response_ms"}


@pytest.fixture(autouse=True)
def sent(monkeypatch, krill_tables):
    events: list[ApiRequest] = []

    def publish(value, topic, key, headers):
        events.append(msgspec.json.decode(value, type=ApiRequest))
        return True

    monkeypatch.setattr(kafka, "publish", publish)
    monkeypatch.setattr(relay, "wake", lambda using: None)
    failures = kafka.counters().get("capture_errors")
    yield events
    assert kafka.counters().get("capture_errors") == failures
    for name in logs:
        logs[name].clear()
    Cpe.objects.all().delete()
    User.objects.all().delete()
    OutboxEvent.objects.all().delete()


def both(views_, method, path, *args, user=None, kind=None, **kwargs):
    """The log of drf-tracking and ours, of the same request."""
    for view in views_.values():
        request = getattr(RequestFactory(), method)(path, *args, **kwargs)
        request.user = user or AnonymousUser()
        request._dont_enforce_csrf_checks = True
        response = view(request, kind=kind) if kind else view(request)
        if hasattr(response, "render"):
            response.render()
        Cpe.objects.all().delete()
    later.finish()
    return logs["theirs"][-1], logs["ours"][-1]


def differ(a, b):
    assert set(a) == set(b)
    for log in (a, b):
        assert log["response_ms"] >= 0
        assert log["requested_at"].utcoffset() is not None
    return {key for key in a if key not in VARIES and a[key] != b[key]}


def test_a_list():
    user = User.objects.create(username="ana")
    a, b = both(SET, "get", "/x/?realm=pim&offset=0", user=user, HTTP_USER_AGENT="CRM")
    assert differ(a, b) == set()
    assert (b["view"], b["view_method"]) == ("tests.krill_project.isp.views.Same", "list")
    assert (b["user"], b["username_persistent"], b["response"]) == (user, "ana", "[]")
    assert b["query_params"] == {"realm": "pim", "offset": "0"}


def test_without_parameters_they_stay_empty():
    """theirs: the body, here empty as well, is copied to query_params."""
    a, b = both(SET, "get", "/x/")
    assert differ(a, b) == set()
    a, b = both(PLAIN, "post", "/x/", '{"a": 1}', "application/json", kind="x")
    assert differ(a, b) == {"query_params"}
    assert (a["query_params"], b["query_params"]) == ({"a": 1}, {})
    assert b["data"] == {"a": 1}


def test_a_post_with_secrets():
    body = {
        "cpename": "pim1",
        "wifi_password": "hunter2",
        "favourite_colour": "red",
        "api": "x",
        "deep": [{"token": "t"}],
    }
    a, b = both(PLAIN, "post", "/x/?q=1", json.dumps(body), "application/json", kind="secret")
    assert differ(a, b) == {"data", "response"}
    assert a["data"] | {"wifi_password": SUBSTITUTE} == b["data"]
    assert "hunter2" in a["response"]
    assert json.loads(b["response"]) == {"token": SUBSTITUTE, "wifi_password": SUBSTITUTE, "cpename": "pim0585"}


def test_a_form_and_a_created_object():
    a, b = both(SET, "post", "/x/?q=1", {"cpename": "pim1", "postalcode": "28"}, "application/x-www-form-urlencoded")
    assert a["status_code"] == b["status_code"] == 400
    a, b = both(SET, "post", "/x/?q=1", {"cpename": "pim1"})
    assert (a["status_code"], a["view_method"]) == (201, "create")
    assert differ(a, b) == {"response"}  # another id, a masked password


def test_an_error_and_a_404_in_the_view():
    a, b = both(PLAIN, "get", "/x/?q=1", kind="missing")
    assert differ(a, b) == set()
    for log in (a, b):
        assert log["status_code"] == 404
        assert log["errors"].startswith("Traceback")
        assert "NotFound" in log["errors"]
    a, b = both(PLAIN, "put", "/x/?q=1", kind="x")
    assert a["status_code"] == 405
    assert differ(a, b) == set()
    assert b["view"] is None


def test_a_malformed_body_is_kept():
    a, b = both(PLAIN, "post", "/x/?q=1", '{"a": 1, ', "application/json", kind="x")
    assert differ(a, b) == {"errors"}
    assert b["data"] == '{"a": 1, '
    assert b["status_code"] == 400


def test_a_malformed_body_is_kept_where_the_view_does_not_decode(monkeypatch):
    for base in (Theirs, Ours):
        monkeypatch.setattr(base, "decode_request_body", False, raising=False)
    a, b = both(PLAIN, "post", "/x/?q=1", '{"a": 1, ', "application/json", kind="x")
    assert differ(a, b) == {"data", "errors"}
    assert (a["data"], b["data"]) == ("", '{"a": 1, ')


def test_a_streaming_answer_is_left_alone():
    a, b = both(PLAIN, "get", "/x/?q=1", kind="stream")
    assert differ(a, b) == set()
    assert b["response"] is None


def test_a_plain_and_a_binary_answer():
    a, b = both(PLAIN, "get", "/x/?q=1", kind="plain")
    assert differ(a, b) == set()
    a, b = both(PLAIN, "get", "/x/?q=1", kind="binary")
    assert differ(a, b) == {"response"}
    assert b["response"] == "<image/png, 6 bytes>"


def test_an_upload():
    def upload():
        return {"note": "x", "file": SimpleUploadedFile("a.txt", b"content")}

    a, b = both(PLAIN, "post", "/x/?q=1", upload(), kind="plain")
    assert differ(a, b) == {"data"}
    assert b["data"] == {"note": "x", "file": "<a.txt, 7 bytes>"}


def test_addresses_are_not_forged():
    a, b = both(PLAIN, "get", "/x/?q=1", kind="plain", HTTP_X_FORWARDED_FOR="6.6.6.6")
    assert differ(a, b) == {"remote_addr"}
    assert (a["remote_addr"], b["remote_addr"]) == ("6.6.6.6", "127.0.0.1")


def test_repeated_parameters_and_long_paths_are_whole():
    a, b = both(PLAIN, "get", "/" + "x" * 300 + "/?q=1&q=2", kind="plain")
    assert differ(a, b) == {"query_params", "path"}
    assert b["query_params"] == {"q": ["1", "2"]}
    assert len(b["path"]) == 302


def test_a_crash_is_logged_and_still_a_crash(sent):
    request = RequestFactory().get("/x/?q=1")
    request.user = AnonymousUser()
    with pytest.raises(RuntimeError):
        PLAIN["ours"](request, kind="crash")
    later.finish()
    (event,) = sent
    assert event.status_code == 500
    assert "RuntimeError" in event.errors
    assert "hunter2secret" not in event.errors


def test_the_event_is_the_log(sent):
    user = User.objects.create(username="ana")
    _, b = both(PLAIN, "post", "/x/?q=1", '{"a": {"token": "t"}}', "application/json", kind="secret", user=user)
    (event,) = sent
    assert event.data == {"a": {"token": SUBSTITUTE}}
    assert event.response == json.loads(b["response"])
    assert (event.user, event.user_id) == ("ana", user.pk)
    for name in ("method", "path", "host", "view", "view_method", "status_code", "query_params", "remote_addr"):
        assert getattr(event, name) == b[name], name


def test_hooks_and_attributes(sent):
    class Custom(mixins.LoggingMixin):
        logging_methods = ("POST",)
        CLEANED_SUBSTITUTE = "(gone)"

        def _get_ip_address(self, request):
            return "9.9.9.9"

        def handle_log(self):
            self.log["user_agent"] = "changed"
            super().handle_log()

    view = views.tracked(Custom, "Custom").as_view()
    for method in ("get", "post"):
        request = getattr(RequestFactory(), method)("/x/", data={"favourite_colour": "red"})
        view(request, kind="plain")
    later.finish()
    (event,) = sent
    assert (event.method, event.user_agent, event.remote_addr) == ("POST", "changed", "9.9.9.9")
    assert event.data == {"favourite_colour": "(gone)"}

    class Old(mixins.LoggingMixin):
        def _should_log(self, request, response):
            return False

    views.tracked(Old, "Old").as_view()(RequestFactory().get("/x/"), kind="plain")
    later.finish()
    assert len(sent) == 1
    with pytest.raises(AssertionError, match="CLEANED_SUBSTITUTE"):
        views.tracked(type("Bad", (mixins.LoggingMixin,), {"CLEANED_SUBSTITUTE": 1}), "Bad").as_view()(
            RequestFactory().get("/x/"), kind="plain"
        )


@pytest.mark.parametrize(
    ("method", "kind", "args"),
    [
        ("get", "plain", ({"q": ["1", "2"], "token": "hunter2"},)),
        ("get", "missing", ()),
        ("get", "stream", ()),
        ("get", "binary", ()),
        ("get", "big", ()),
        ("get", "odd", ()),
        ("post", "secret", ('{"a": {"api": "hunter2", "b": 1.50}, "c": "\u00f1"}', "application/json")),
        ("post", "plain", ({"a": ["1", "2"], "wifi_password": "hunter2"},)),
        ("post", "plain", ('{"token": "hunter2', "application/json")),
        ("post", "plain", ('[NaN, "x"]', "application/json")),
        ("post", "plain", ('"text"', "application/json")),
    ],
)
def test_what_is_masked_behind_the_request_is_what_a_hook_sees(sent, method, kind, args):
    class Hooked(mixins.LoggingMixin):
        def handle_log(self):
            super().handle_log()

    for mixin in (mixins.LoggingMixin, Hooked):
        request = getattr(RequestFactory(), method)("/x/", *args, HTTP_X_REQUEST_ID="same")
        response = views.tracked(mixin, "Same").as_view()(request, kind=kind)
        if hasattr(response, "render"):
            response.render()
    later.finish()
    ours, hooked = (
        {**msgspec.to_builtins(event), "event_id": 0, "requested_at": 0, "response_ms": 0} for event in sent
    )
    ours.pop("errors", None), hooked.pop("errors", None)
    assert ours == hooked
    assert "hunter2" not in repr(ours)
