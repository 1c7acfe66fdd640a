"""Changes made through the admin's own forms: one event each, with actor, address and the admin's change message."""

from __future__ import annotations

import json

import pytest

from tests.krill_project import running

running.set_up()

from django.contrib.auth.models import Group, User  # noqa: E402
from django.test import Client  # noqa: E402

from producers.django import relay  # noqa: E402
from producers.django.models import OutboxEvent  # noqa: E402
from schemas.masking import SUBSTITUTE  # noqa: E402
from tests.krill_project.isp.models import Cpe, Customer, Tag  # noqa: E402
from tests.krill_project.running import changed, events  # noqa: E402


@pytest.fixture(autouse=True)
def clean(monkeypatch, krill_tables):
    monkeypatch.setattr(relay, "wake", lambda using: None)
    yield
    for model in (Cpe, Customer, Tag, User, Group):
        model._base_manager.all().delete()
    OutboxEvent.objects.all().delete()


@pytest.fixture
def admin():
    client = Client(REMOTE_ADDR="10.0.0.5")
    client.force_login(User.objects.create_superuser("support", password="pw"))
    events()
    return client


NO_CPES = {"cpes-TOTAL_FORMS": 0, "cpes-INITIAL_FORMS": 0, "cpes-MIN_NUM_FORMS": 0, "cpes-MAX_NUM_FORMS": 9}


def post(client, path, data):
    response = client.post(path, data)
    assert response.status_code == 302, response.content.decode()
    return response


def test_login_is_no_event():
    User.objects.create_superuser("support", password="pw")
    events()
    client = Client()
    post(client, "/admin/login/?next=/admin/", {"username": "support", "password": "pw"})
    assert events() == []


def test_add_change_delete(admin):
    user = User.objects.get()
    red = Tag.objects.create(name="red")
    response = post(admin, "/admin/isp/customer/add/", {"name": "Ana", "tags": [red.pk], **NO_CPES})
    (event,) = events()
    customer = Customer.objects.get()
    assert event["action"] == "addition"
    assert (event["user"], event["user_id"], event["remote_addr"]) == ("support", user.pk, "10.0.0.5")
    assert event["request_id"] == response["X-Request-ID"]
    assert json.loads(event["change_message"]) == [{"added": {}}]
    assert changed(event)["tags"] == (None, [red.pk])

    path = f"/admin/isp/customer/{customer.pk}/change/"
    post(admin, path, {"name": "Bea", "comment": "x", **NO_CPES})
    (event,) = events()
    assert event["action"] == "change"
    assert json.loads(event["change_message"]) == [{"changed": {"fields": ["Name", "Comment", "Tags"]}}]
    found = changed(event)
    found.pop("updated")
    assert found == {"name": ("Ana", "Bea"), "comment": ("", "x"), "tags": ([red.pk], [])}

    post(admin, path, {"name": "Bea", "comment": "x", **NO_CPES})
    assert events() == []

    post(admin, f"/admin/isp/customer/{customer.pk}/delete/", {"post": "yes"})
    (event,) = events()
    assert (event["action"], event["object_id"], event["object_repr"]) == ("deletion", str(customer.pk), "Bea")
    assert event["user"] == "support"


def test_a_password_typed_into_the_admin_is_masked(admin):
    cpe = Cpe.objects.create(cpename="pim0585", postalcode="28001", wifi_password="hunter2-old")
    events()
    data = {"cpename": "pim0585", "postalcode": "28002", "wifi_password": "hunter2-new"}
    post(admin, f"/admin/isp/cpe/{cpe.pk}/change/", data)
    assert b"hunter2" not in bytes(OutboxEvent.objects.get().value)
    (event,) = events()
    assert changed(event) == {"postalcode": ("28001", "28002"), "wifi_password": (SUBSTITUTE, SUBSTITUTE)}
    assert event["object_repr"] == "pim0585"


def test_objects_edited_inline_have_the_pages_message(admin):
    customer = Customer.objects.create(name="Ana")
    cpe = Cpe.objects.create(cpename="pim1", customer=customer)
    events()
    data = {
        "name": "Ana",
        **NO_CPES,
        "cpes-TOTAL_FORMS": 2,
        "cpes-INITIAL_FORMS": 1,
        "cpes-0-id": cpe.pk,
        "cpes-0-customer": customer.pk,
        "cpes-0-cpename": "pim1",
        "cpes-0-postalcode": "28001",
        "cpes-1-customer": customer.pk,
        "cpes-1-cpename": "pim2",
    }
    post(admin, f"/admin/isp/customer/{customer.pk}/change/", data)
    found = {event["object_repr"]: event for event in events()}
    assert set(found) == {"pim1", "pim2"}
    assert changed(found["pim1"]) == {"postalcode": ("", "28001")}
    assert found["pim2"]["action"] == "addition"
    assert {event["user"] for event in found.values()} == {"support"}
    assert "pim1" in found["pim1"]["change_message"]


def test_delete_selected_is_an_event_each(admin):
    cpes = Cpe.objects.bulk_create(Cpe(cpename=f"pim{i}") for i in range(3))
    events()
    data = {"action": "delete_selected", "_selected_action": [str(cpe.pk) for cpe in cpes], "post": "yes"}
    post(admin, "/admin/isp/cpe/", data)
    found = events()
    assert sorted(event["object_repr"] for event in found) == ["pim0", "pim1", "pim2"]
    assert {(event["action"], event["user"]) for event in found} == {("deletion", "support")}


def test_users_their_groups_and_passwords(admin):
    user = User.objects.create_user("ana", password="first")
    group = Group.objects.create(name="support")
    events()
    data = {"username": "ana", "is_superuser": "on", "is_active": "on", "groups": [group.pk]}
    data |= {"date_joined_0": "2026-01-01", "date_joined_1": "10:00:00"}
    post(admin, f"/admin/auth/user/{user.pk}/change/", data)
    (event,) = events()
    found = changed(event)
    assert (found["is_superuser"], found["groups"]) == ((False, True), ([], [group.pk]))
    assert "Superuser status" in event["change_message"]
    new = "a-Long-passw0rd"
    post(
        admin, f"/admin/auth/user/{user.pk}/password/", {"password1": new, "password2": new, "usable_password": "true"}
    )
    (event,) = events()
    assert changed(event) == {"password": (SUBSTITUTE, SUBSTITUTE)}
    assert event["user"] == "support"
