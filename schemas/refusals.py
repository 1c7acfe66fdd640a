"""Why a Kafka client gets no connection, in one sentence that says what to do."""

from __future__ import annotations

from collections.abc import Callable

from confluent_kafka import KafkaError

_OF_THE_CONNECTION = frozenset(
    {
        KafkaError._AUTHENTICATION,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
        KafkaError._SSL,
    }
)


def is_lasting(error: KafkaError) -> bool:
    """Whether there will be no connection before somebody has changed something."""
    return error.code() in _OF_THE_CONNECTION or is_untrusted(error)


def is_untrusted(error: KafkaError) -> bool:
    """Whether the client did not accept the broker's certificate; librdkafka does not say why.

    It says so in an error of TLS, or of the transport where the connection was gone first.
    """
    return "certificate verify failed" in error.str().lower()


def sentence(error: KafkaError, name: Callable[[str], str] = str) -> str | None:
    """What to check; None if the error is of another kind. It holds no secret: librdkafka's text names no password.

    Args:
        name: what the reader calls a librdkafka property.
    """
    if not is_lasting(error):
        return None
    text, untrusted = error.str(), is_untrusted(error)
    if error.code() != KafkaError._SSL and not untrusted:
        login = ", ".join(map(name, ("sasl.mechanism", "sasl.username")))
        return f"Kafka refuses the login: check {login} and {name('sasl.password')} ({text})"
    if "expired" in text.lower():
        return f"the certificate of the Kafka broker has expired: renew it on the broker ({text})"
    if untrusted:
        authority = name("ssl.ca.location")
        return f"the certificate of the Kafka broker has expired, or {authority} does not name who signed it ({text})"
    return f"TLS with Kafka failed: check {name('security.protocol')} and the {name('ssl.')}… properties ({text})"
