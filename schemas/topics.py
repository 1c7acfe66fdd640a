"""The Kafka topics, their settings, and the CloudEvents headers of what is in them."""

from __future__ import annotations

API_REQUESTS = "krill.api.requests"
ADMIN_CHANGES = "krill.admin.changes"
DEAD_LETTERS = "krill.logger.dead-letters"

#: Largest message the event topics take, in bytes.
MAX_MESSAGE_BYTES = 16 * 1024 * 1024

#: `max.message.bytes` of each topic. A dead letter is a message of up to the size above whose secrets were
#: replaced by a longer text, with headers that say what went wrong.
TOPICS = {
    API_REQUESTS: MAX_MESSAGE_BYTES,
    ADMIN_CHANGES: MAX_MESSAGE_BYTES,
    DEAD_LETTERS: 2 * MAX_MESSAGE_BYTES,
}
