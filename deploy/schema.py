"""Brings Kafka's topics and ClickHouse's tables to what this version needs."""

from __future__ import annotations

import logging
from urllib.parse import urlsplit

import clickhouse_connect
from clickhouse_connect.driver.exceptions import ClickHouseError
from confluent_kafka import KafkaException

from deploy import reach
from deploy.embedded.errors import StartError
from deploy.topics import create_topics
from schemas import migrations
from schemas.settings import Settings


def apply(settings: Settings) -> str:
    """Make topics and tables that are missing. Safe to run twice and from several processes at once.

    Returns:
        What was made, for people.

    Raises:
        StartError: Kafka or ClickHouse cannot be reached, or refuses.
    """
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)  # what fails is raised
    made = []
    try:
        reach.visible_topics(settings)
        made += create_topics(settings)
    except KafkaException as error:
        asked = "make the topics or read their settings"
        raise StartError(reach.sentence(error.args[0], settings, asked)) from error
    try:
        client = clickhouse_connect.get_client(dsn=settings.clickhouse, autogenerate_session_id=False)
        try:
            made += migrations.apply(client, settings.clickhouse_database)
        finally:
            client.close()
    except (ClickHouseError, OSError) as error:
        raise StartError(f"ClickHouse cannot be used: {reason(error, settings)}") from error
    return f"made {', '.join(made)}" if made else "as needed"


def reason(error: Exception, settings: Settings) -> str:
    """Why ClickHouse failed, in one line and without the URL's password."""
    where = urlsplit(settings.clickhouse)
    line = (str(error).splitlines() or [type(error).__name__])[0]
    if "Max retries exceeded" in line or isinstance(error, OSError):
        return f"nothing answers at {where.hostname}:{where.port or where.scheme}"
    # What clickhouse-connect puts around the server's words.
    line = line.partition("server response: ")[2] or line
    return line.partition(" (for url ")[0][:300]
