"""Writes JSON Schema and AsyncAPI 3 for the event types: `python -m schemas.generate` (`make schemas`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from schemas import topics
from schemas.events import EVENTS, Event

FOLDER = Path(__file__).parent / "generated"
KEYS = {
    topics.API_REQUESTS: "User name, `Anonymous` if none",
    topics.ADMIN_CHANGES: "`<app_label>.<model>:<object_id>`",
}
HEADERS = {
    "ce_specversion": {"type": "string", "const": "1.0"},
    "ce_id": {"type": "string", "format": "uuid", "description": "event_id of the value"},
    "ce_type": {"type": "string"},
    "ce_source": {"type": "string", "format": "uri-reference"},
    "ce_time": {"type": "string", "format": "date-time"},
    "content-type": {"type": "string", "const": "application/json"},
}


def json_schema(event: type[Event]) -> dict[str, Any]:
    """The JSON Schema (2020-12) of an event type's value."""
    _, components = msgspec.json.schema_components([event], ref_template="#/$defs/{name}")
    own = components.pop(event.__name__)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:{event.TYPE}",
        **own,
        **({"$defs": components} if components else {}),
    }


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI 3.0 document of the topics."""
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    for event in EVENTS:
        name = event.__name__
        channels[name] = {
            "address": event.TOPIC,
            "messages": {name: {"$ref": f"#/components/messages/{name}"}},
            "bindings": {"kafka": {"topicConfiguration": {"max.message.bytes": topics.TOPICS[event.TOPIC]}}},
        }
        operations[f"receive{name}"] = {
            "action": "receive",
            "channel": {"$ref": f"#/channels/{name}"},
            "summary": f"The worker stores each {event.TYPE}",
        }
        messages[name] = {
            "name": event.TYPE,
            "contentType": "application/json",
            "headers": {
                "type": "object",
                "properties": {**HEADERS, "ce_type": {"type": "string", "const": event.TYPE}},
            },
            "payload": {
                "schemaFormat": "application/schema+json;version=2020-12",
                "schema": {"$ref": f"./{event.TYPE}.schema.json"},
            },
            "bindings": {"kafka": {"key": {"type": "string", "description": KEYS[event.TOPIC]}}},
        }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Krill Logger",
            "version": "1.0.0",
            "description": "Events of Krill's API and admin panel. CloudEvents 1.0, Kafka binding, binary mode.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages},
    }


def documents() -> dict[str, str]:
    """File name to text of everything that is generated."""
    contents = {f"{event.TYPE}.schema.json": json_schema(event) for event in EVENTS}
    contents["asyncapi.json"] = asyncapi()
    return {
        name: msgspec.json.format(msgspec.json.encode(content), indent=2).decode() + "\n"
        for name, content in contents.items()
    }


def main() -> None:
    """Write the documents beside this module."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in documents().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
