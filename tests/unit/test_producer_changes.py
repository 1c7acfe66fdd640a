"""One change of a registered model is one event in the outbox, however it was made; a rollback leaves none."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from decimal import Decimal

import pytest

from tests.krill_project import running

running.set_up()

from django.contrib.auth.models import Group, User  # noqa: E402
from django.core.files.base import ContentFile  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import IntegrityError, connection, connections, transaction  # noqa: E402
from django.db.models import F, Value  # noqa: E402
from django.db.models.functions import Concat  # noqa: E402
from django.test.utils import CaptureQueriesContext, override_settings  # noqa: E402

from producers.django import relay, transactions  # noqa: E402
from producers.django.models import OutboxEvent, Snapshot  # noqa: E402
from schemas.masking import SUBSTITUTE  # noqa: E402
from tests.krill_project.isp.models import Cpe, Customer, Device, Ont, OntTag, Tag, Unwatched  # noqa: E402
from tests.krill_project.running import changed, events  # noqa: E402


@pytest.fixture(autouse=True)
def clean(monkeypatch, krill_tables):
    """Empty tables, and nothing relayed: these tests read the outbox itself."""
    monkeypatch.setattr(relay, "wake", lambda using: None)
    for using in ("default", "other"):
        for model in (Ont, Device, Cpe, Customer, Tag, User, Group, Unwatched):
            model._base_manager.using(using).all().delete()
        OutboxEvent.objects.using(using).all().delete()
        Snapshot.objects.using(using).all().delete()


def test_an_addition_lists_what_has_a_value():
    customer = Customer.objects.create(
        name="Ana", balance=Decimal("1.50"), joined=dt.date(2026, 1, 2), settings={"a": [1]}, photo=b"123"
    )
    (event,) = events()
    assert event["action"] == "addition"
    assert (event["app_label"], event["model"], event["object_id"]) == ("isp", "customer", str(customer.pk))
    assert event["object_repr"] == "Ana"
    assert "user" not in event
    found = changed(event)
    assert found.pop("updated")[1].startswith("20")
    assert found == {
        "name": (None, "Ana"),
        "balance": (None, "1.50"),
        "joined": (None, "2026-01-02"),
        "settings": (None, {"a": [1]}),
        "photo": (None, "<3 bytes>"),
        "hidden": (None, False),
    }


def test_a_change_has_old_and_new():
    customer = Customer.objects.create(name="Ana")
    events()
    customer.name, customer.photo = "Bea", b"xyz"
    customer.contract.save("contract.pdf", ContentFile(b"%PDF"), save=False)
    customer.save()
    (event,) = events()
    assert event["action"] == "change"
    found = changed(event)
    assert found["name"] == ("Ana", "Bea")
    assert found["photo"] == ("<0 bytes>", "<3 bytes>")
    assert found["contract"][1].startswith("contracts/contract")
    assert set(found) == {"name", "photo", "contract", "updated"}
    customer.contract.delete(save=False)


def test_saving_without_a_change_is_no_event():
    customer = Customer.objects.create(name="Ana")
    events()
    customer.save()
    assert events() == []


def test_old_values_are_the_databases_and_not_the_instances():
    cpe = Cpe.objects.create(cpename="pim1", postalcode="1")
    Cpe.objects.filter(pk=cpe.pk).update(postalcode="2")
    events()
    cpe.postalcode = "3"
    cpe.save()
    assert changed(events()[0]) == {"postalcode": ("2", "3")}
    deferred = Cpe.objects.only("cpename").get()
    deferred.cpename = "pim2"
    deferred.save()
    assert changed(events()[0]) == {"cpename": ("pim1", "pim2")}


def test_secrets_are_masked_before_they_are_written_and_their_change_is_listed():
    cpe = Cpe.objects.create(cpename="pim1", wifi_password="hunter2-first")
    cpe.wifi_password = "hunter2-second"
    cpe.save()
    assert all(b"hunter2" not in bytes(row.value) for row in OutboxEvent.objects.all())
    added, change = events()
    assert changed(added)["wifi_password"] == (None, SUBSTITUTE)
    assert changed(change) == {"wifi_password": (SUBSTITUTE, SUBSTITUTE)}
    cpe.delete()
    assert changed(events()[0])["wifi_password"] == (SUBSTITUTE, None)


def test_secrets_within_json_and_text_are_masked_and_their_change_is_listed():
    customer = Customer.objects.create(name="Ana", settings={"pppoe_password": "hunter2"}, comment="password=hunter2")
    customer.settings = {"pppoe_password": "hunter3"}
    customer.save()
    assert all(b"hunter" not in bytes(row.value) for row in OutboxEvent.objects.all())
    assert "settings" in changed(events()[1])


def test_a_users_login_is_no_event_and_the_password_hash_is_masked():
    user = User.objects.create_user("ana", password="first")
    events()
    user.last_login = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    with CaptureQueriesContext(connection) as queries:
        user.save(update_fields=["last_login"])
    assert len(queries) == 1
    assert events() == []
    user.set_password("second")
    user.save()
    assert changed(events()[0]) == {"password": (SUBSTITUTE, SUBSTITUTE)}


def test_queryset_update_with_expressions():
    Cpe.objects.bulk_create(Cpe(cpename=f"pim{i}", reboots=i) for i in range(3))
    events()
    assert (
        Cpe.objects.filter(reboots__gt=0).update(reboots=F("reboots") + 10, postalcode=Concat("cpename", Value("!")))
        == 2
    )
    found = [changed(event) for event in events()]
    assert {tuple(item["reboots"]) for item in found} == {(1, 11), (2, 12)}
    assert {item["postalcode"][1] for item in found} == {"pim1!", "pim2!"}


def test_bulk_create_bulk_update_get_or_create_update_or_create():
    customers = Customer.objects.bulk_create([Customer(name="a"), Customer(name="b")])
    added = events()
    assert [event["object_id"] for event in added] == [str(customer.pk) for customer in customers]
    customers[0].name, customers[1].name = "c", "d"
    Customer.objects.bulk_update(customers, ["name"])
    assert [changed(event)["name"] for event in events()] == [("a", "c"), ("b", "d")]
    Customer.objects.get_or_create(external_id="x", defaults={"name": "e"})
    Customer.objects.get_or_create(external_id="x", defaults={"name": "f"})
    Customer.objects.update_or_create(external_id="x", defaults={"name": "g"})
    first, second = events()
    assert first["action"] == "addition"
    assert changed(second)["name"] == ("e", "g")


def test_bulk_create_with_conflicts():
    Customer.objects.create(name="old", external_id="1")
    events()
    Customer.objects.bulk_create(
        [Customer(name="new", external_id="1"), Customer(name="two", external_id="2")], ignore_conflicts=True
    )
    (event,) = events()
    assert (event["action"], event["object_repr"]) == ("addition", "two")
    Customer.objects.bulk_create(
        [Customer(name="new", external_id="1"), Customer(name="three", external_id="3")],
        update_conflicts=True,
        update_fields=["name"],
        unique_fields=["external_id"],
    )
    found = {event["object_repr"]: event for event in events()}
    assert {name: event["action"] for name, event in found.items()} == {"new": "change", "three": "addition"}
    assert changed(found["new"])["name"] == ("old", "new")
    Customer.objects.bulk_create([Customer(name="without any id")], ignore_conflicts=True)
    assert [event["object_repr"] for event in events()] == ["without any id"]
    Cpe.objects.bulk_create([Cpe(cpename="a"), Cpe(cpename="a"), Cpe(cpename="b")], ignore_conflicts=True)
    assert sorted(event["object_repr"] for event in events()) == ["a", "b"]


def test_bulk_create_on_a_database_that_tells_one_key_only(monkeypatch):
    monkeypatch.setattr(type(connection.features), "can_return_rows_from_bulk_insert", False)
    Customer.objects.bulk_create([Customer(name="a"), Customer(name="b")])
    assert {(event["object_repr"], event["object_id"]) for event in events()} == {
        (customer.name, str(customer.pk)) for customer in Customer.objects.all()
    }


def test_delete_of_an_object_a_queryset_and_cascades():
    customer = Customer.objects.create(name="Ana")
    installer = User.objects.create(username="installer")
    for i in range(3):
        Cpe.objects.create(cpename=f"pim{i}", customer=customer)
    Cpe.objects.create(cpename="lonely", installer=installer, postalcode="28001")
    events()
    customer.delete()
    found = events()
    assert sorted(event["object_repr"] for event in found) == ["Ana", "pim0", "pim1", "pim2"]
    assert {event["action"] for event in found} == {"deletion"}
    installer_id = installer.pk
    installer.delete()
    by_model = {event["model"]: event for event in events()}
    assert by_model["user"]["action"] == "deletion"
    assert changed(by_model["cpe"]) == {"installer": (installer_id, None)}
    assert Cpe.objects.all().delete()[0] == 1
    (event,) = events()
    assert (event["action"], changed(event)["postalcode"]) == ("deletion", ("28001", None))


def test_raw_delete_is_seen():
    Cpe.objects.create(cpename="pim1")
    events()
    Cpe.objects.all()._raw_delete("default")
    assert [event["action"] for event in events()] == ["deletion"]


def test_managers_that_hide_rows_hide_nothing_from_the_log():
    customer = Customer.objects.create(name="Ana", hidden=True)
    customer.name = "Bea"
    customer.save()
    assert [event["action"] for event in events()] == ["addition", "change"]


def test_many_to_many_from_both_sides():
    ana, bea = Customer.objects.create(name="Ana"), Customer.objects.create(name="Bea")
    red, blue = Tag.objects.create(name="red"), Tag.objects.create(name="blue")
    events()
    ana.tags.add(red, blue)
    assert [changed(event) for event in events()] == [{"tags": ([], [red.pk, blue.pk])}]
    ana.tags.add(red)
    assert events() == []
    ana.tags.set([blue])
    assert [changed(event) for event in events()] == [{"tags": ([red.pk, blue.pk], [blue.pk])}]
    red.customers.add(ana, bea)
    assert {event["object_repr"]: changed(event)["tags"] for event in events()} == {
        "Ana": ([blue.pk], [red.pk, blue.pk]),
        "Bea": ([], [red.pk]),
    }
    red.customers.remove(bea)
    assert [(event["object_repr"], changed(event)["tags"]) for event in events()] == [("Bea", ([red.pk], []))]
    ana.tags.clear()
    assert [changed(event)["tags"] for event in events()] == [([red.pk, blue.pk], [])]
    ana.friends.add(bea)
    assert {event["object_repr"]: changed(event)["friends"] for event in events()} == {
        "Ana": ([], [bea.pk]),
        "Bea": ([], [ana.pk]),
    }
    blue.customers.set([ana])
    events()
    blue_id = blue.pk
    blue.delete()
    assert [changed(event)["tags"] for event in events()] == [([blue_id], [])]


def test_a_deleted_object_shows_what_it_was_related_to():
    ana, red = Customer.objects.create(name="Ana"), Tag.objects.create(name="red")
    ana.tags.add(red)
    events()
    ana.delete()
    (event,) = events()
    assert event["action"] == "deletion"
    assert changed(event)["tags"] == ([red.pk], None)


def test_a_through_model_of_its_own_and_a_parent_that_is_not_registered():
    red = Tag.objects.create(name="red")
    ont = Ont.objects.create(sn="HWTC1", profile="gold")
    (event,) = events()
    assert (event["model"], changed(event)["sn"]) == ("ont", (None, "HWTC1"))
    OntTag.objects.create(ont=ont, tag=red)
    assert [changed(event) for event in events()] == [{"tags": ([], [red.pk])}]
    Device.objects.filter(pk=ont.pk).update(sn="HWTC2")
    assert [changed(event) for event in events()] == [{"sn": ("HWTC1", "HWTC2")}]
    Ont.objects.update(sn="HWTC3", profile="silver")
    assert [changed(event) for event in events()] == [{"sn": ("HWTC2", "HWTC3"), "profile": ("gold", "silver")}]
    ont.delete()
    (event,) = events()
    assert (event["action"], changed(event)["tags"]) == ("deletion", ([red.pk], None))
    Device.objects.create(sn="other")
    assert events() == []


def test_several_changes_in_one_transaction_are_one_event():
    red = Tag.objects.create(name="red")
    with transaction.atomic():
        customer = Customer.objects.create(name="Ana")
        customer.name = "Bea"
        customer.save()
        customer.tags.add(red)
    (event,) = events()
    assert event["action"] == "addition"
    assert changed(event)["name"] == (None, "Bea")
    assert changed(event)["tags"] == (None, [red.pk])
    with transaction.atomic():
        customer.name = "Cea"
        customer.save()
        customer.tags.clear()
        customer.name = "Dea"
        customer.save()
    (event,) = events()
    assert (changed(event)["name"], changed(event)["tags"]) == (("Bea", "Dea"), ([red.pk], []))
    with transaction.atomic():
        Customer.objects.create(name="Eea").delete()
        Customer.objects.filter(pk=customer.pk).update(name="x")
        Customer.objects.filter(pk=customer.pk).update(name="Dea")
    assert events() == []


def test_a_rollback_leaves_no_event():
    cpe = Cpe.objects.create(cpename="pim1")
    events()
    with suppress(RuntimeError), transaction.atomic():
        cpe.postalcode = "1"
        cpe.save()
        Cpe.objects.create(cpename="pim2")
        raise RuntimeError
    assert events() == []
    with pytest.raises(IntegrityError):
        Cpe.objects.create(pk=cpe.pk, cpename="pim3")
    Cpe.objects.create(cpename="pim4")
    assert [event["object_repr"] for event in events()] == ["pim4"]


def test_what_a_savepoint_took_back_leaves_no_event():
    cpe = Cpe.objects.create(cpename="pim1", postalcode="0", realm="a")
    events()
    with transaction.atomic():
        cpe.postalcode = "1"
        cpe.save()
        with suppress(RuntimeError), transaction.atomic():
            cpe.realm = "b"
            cpe.save()
            Cpe.objects.create(cpename="pim2")
            raise RuntimeError
        with transaction.atomic():
            Cpe.objects.create(cpename="pim3")
    found = {event["object_repr"]: changed(event) for event in events()}
    assert set(found) == {"pim1", "pim3"}
    assert found["pim1"] == {"postalcode": ("0", "1")}


def test_manual_transactions():
    connection.set_autocommit(False)
    try:
        Cpe.objects.create(cpename="pim1")
        connection.rollback()
        Cpe.objects.create(cpename="pim2")
        connection.commit()
    finally:
        connection.set_autocommit(True)
    assert [event["object_repr"] for event in events()] == ["pim2"]


def test_change_and_event_are_one_transaction(monkeypatch):
    """Where the event cannot be written, the change is not made either."""
    monkeypatch.setattr(transactions, "change", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        Cpe.objects.create(cpename="pim1")
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        Cpe.objects.create(cpename="pim2")
    assert not Cpe.objects.exists()
    assert connection.get_autocommit()
    monkeypatch.undo()
    monkeypatch.setattr(relay, "wake", lambda using: None)
    Cpe.objects.create(cpename="pim3")
    assert len(events()) == 1


@pytest.mark.parametrize("how", ["update", "delete", "links", "loop", "savepoints"])
def test_many_objects_take_little_memory(monkeypatch, how):
    monkeypatch.setattr(transactions, "LIMIT", 10)
    monkeypatch.setattr(transactions, "_CHUNK", 7)
    customers = Customer.objects.bulk_create([Customer(name=f"{i:03}") for i in range(100)])
    assert len(events()) == 100
    red = Tag.objects.create(name="red")
    kept = []
    original = transactions.Pending.relieve

    def relieve(self):
        original(self)
        kept.append(len(self.objects))

    monkeypatch.setattr(transactions.Pending, "relieve", relieve)
    if how == "update":
        Customer.objects.update(comment=F("name"))
        field, expected = "comment", {("", f"{i:03}") for i in range(100)}
    elif how == "delete":
        Customer.objects.all()._raw_delete("default")
        field, expected = "name", {(f"{i:03}", None) for i in range(100)}
    elif how == "links":
        red.customers.set(customers)
        events()
        red.delete()
        field, expected = None, None
    else:
        with transaction.atomic():
            for customer in customers:
                customer.comment = "x"
                if how == "loop":
                    customer.save()
                else:
                    with transaction.atomic():
                        customer.save()
        field, expected = "comment", {("", "x")}
    found = events()
    assert len(found) == 100
    assert len({event["object_id"] for event in found}) == 100
    if field:
        assert {changed(event)[field] for event in found} == expected
    assert max(kept) <= 20
    assert not Snapshot.objects.exists()


def test_early_events_follow_their_savepoint(monkeypatch):
    monkeypatch.setattr(transactions, "LIMIT", 2)
    cpes = Cpe.objects.bulk_create(Cpe(cpename=f"pim{i}") for i in range(9))
    events()
    with transaction.atomic():
        cpes[0].postalcode = "kept"
        cpes[0].save()
        with suppress(RuntimeError), transaction.atomic():
            for cpe in cpes[1:]:
                cpe.postalcode = "lost"
                cpe.save()
            raise RuntimeError
        with transaction.atomic():
            for cpe in cpes[5:]:
                cpe.postalcode = "kept"
                cpe.save()
    found = {event["object_repr"]: changed(event)["postalcode"] for event in events()}
    assert found == dict.fromkeys(("pim0", "pim5", "pim6", "pim7", "pim8"), ("", "kept"))


def test_another_database_has_its_own_outbox():
    with transaction.atomic():
        with transaction.atomic(using="other"):
            Cpe.objects.using("other").create(cpename="there")
        assert [event["object_repr"] for event in events("other")] == ["there"]
        assert not transactions.present(connections["default"]) or not transactions.present(connection).objects
    assert events() == []


def test_loaddata_is_recorded(tmp_path):
    fixture = tmp_path / "cpe.json"
    fixture.write_text(
        '[{"model": "isp.cpe", "pk": "00000000-0000-0000-0000-000000000001", "fields": {"cpename": "x"}}]'
    )
    call_command("loaddata", fixture, verbosity=0)
    assert [event["object_repr"] for event in events()] == ["x"]


def test_other_models_cost_no_query():
    with CaptureQueriesContext(connection) as queries:
        Unwatched.objects.create(name="a")
        Unwatched.objects.update(name="b")
    assert len(queries) == 2
    assert events() == []


def test_the_setting_may_change():
    with override_settings(KRILL_LOGGER={"MODELS": ["isp.Unwatched"], "IGNORED_FIELDS": ["isp.Unwatched.name"]}):
        Cpe.objects.create(cpename="pim1")
        thing = Unwatched.objects.create(name="a")
        thing.name = "b"
        thing.save()
        assert [(event["model"], event["action"]) for event in events()] == [("unwatched", "addition")]


def test_a_model_that_does_not_exist_breaks_nothing():
    with override_settings(KRILL_LOGGER={"MODELS": ["isp.Nothing", "isp.Cpe"]}):
        Cpe.objects.create(cpename="pim1")
        assert len(events()) == 1


def test_a_repr_that_fails_fails_nothing(monkeypatch):
    monkeypatch.setattr(Cpe, "__str__", lambda self: 1 / 0)
    Cpe.objects.create(cpename="pim1")
    Cpe.objects.all().delete()
    assert [event["action"] for event in events()] == ["addition", "deletion"]
