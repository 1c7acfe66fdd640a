"""What Kafka and ClickHouse refuse, as one sentence."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from deploy.embedded.errors import StartError
from schemas.settings import Settings


@contextmanager
def in_one_sentence(settings: Settings) -> Iterator[None]:
    """Raises StartError for what Kafka or ClickHouse raise inside."""
    from clickhouse_connect.driver.exceptions import ClickHouseError
    from confluent_kafka import KafkaException

    from consumers.ranges import NotSettled
    from deploy import reach
    from deploy.schema import reason

    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)
    try:
        yield
    except KafkaException as error:
        raise StartError(reach.sentence(error.args[0], settings)) from error
    except NotSettled as error:
        raise StartError(f"{error}; the command may be repeated.") from error
    except (ClickHouseError, OSError) as error:
        raise StartError(f"ClickHouse cannot be used: {reason(error, settings)}.") from error
