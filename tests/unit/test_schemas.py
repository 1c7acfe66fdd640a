"""The contracts: generated documents are fresh, examples are valid, evolution is tolerated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from schemas import generate, topics
from schemas.events import EVENTS, AdminChange, ApiRequest, Event

EXAMPLES = sorted((Path(__file__).parents[2] / "schemas" / "examples").glob("*.json"))


def event_type(example: Path) -> type[Event]:
    return next(event for event in EVENTS if example.name.startswith(event.TYPE))


@pytest.mark.parametrize("name", generate.documents())
def test_generated_documents_are_fresh(name: str) -> None:
    assert (generate.FOLDER / name).read_text() == generate.documents()[name], "run `make schemas`"


def test_nothing_stale_is_left() -> None:
    assert {file.name for file in generate.FOLDER.iterdir()} == set(generate.documents())


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_examples_satisfy_struct_and_schema(example: Path) -> None:
    event = event_type(example)
    msgspec.json.decode(example.read_bytes(), type=event)
    validator = jsonschema.Draft202012Validator(
        generate.json_schema(event), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    validator.validate(json.loads(example.read_bytes()))


@pytest.mark.parametrize("event", EVENTS)
def test_every_type_has_examples(event: type[Event]) -> None:
    assert [example for example in EXAMPLES if event_type(example) is event]


REQUIRED = [
    (ApiRequest, {"event_id", "requested_at", "method", "path", "status_code", "response_ms"}),
    (AdminChange, {"event_id", "changed_at", "action", "app_label", "model", "object_id"}),
]


@pytest.mark.parametrize(("event", "required"), REQUIRED)
def test_only_the_agreed_fields_are_required(event: type[Event], required: set[str]) -> None:
    assert set(generate.json_schema(event)["required"]) == required
    minimal: dict[str, Any] = json.loads(
        next(e for e in EXAMPLES if e.name == f"{event.TYPE}.minimal.json").read_bytes()
    )
    assert set(minimal) == required
    for field in required:
        with pytest.raises(msgspec.ValidationError, match=field):
            msgspec.convert({name: value for name, value in minimal.items() if name != field}, event)


def test_cloudevents_headers() -> None:
    event = msgspec.json.decode(EXAMPLES[0].read_bytes(), type=event_type(EXAMPLES[0]))
    headers = dict(event.headers("krill/admin"))
    assert headers["ce_id"].decode() == str(event.event_id)
    assert headers["ce_type"].decode() == type(event).TYPE
    assert headers["ce_source"] == b"krill/admin"
    assert headers["ce_time"].decode() == event.time.isoformat()


def test_keys_keep_the_order_of_what_belongs_together() -> None:
    change = msgspec.convert(
        {"event_id": "0198f3a0-0000-7000-8000-000000000001", "changed_at": "2026-01-01T00:00:00Z",
         "action": "change", "app_label": "isp", "model": "cpe", "object_id": "5"}, AdminChange,
    )  # fmt: skip
    assert change.key == "isp.cpe:5"
    assert change.TOPIC == topics.ADMIN_CHANGES
