"""The secure embedded Kafka with what its tests need more: `python -m tests.integration.secure_broker PORT`.

On PORT it shows a certificate that has expired, and users other than its own may do only what they were given.
"""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import Any

from deploy.cli import main
from deploy.embedded import kafka, secure

MORE = """\
{listeners},EXPIRED://127.0.0.1:{port}
{advertised},EXPIRED://127.0.0.1:{port}
{protocols},EXPIRED:SASL_SSL
listener.name.expired.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.expired.ssl.keystore.type=PEM
listener.name.expired.ssl.keystore.location={expired}
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:krill-logger;User:CN=krill-logger-broker
allow.everyone.if.no.acl.found=false
"""

write = kafka.write_properties


def write_properties(home: Path, *arguments: Any) -> Path:
    """The broker's own configuration, and behind it what is different: of two lines the last one counts."""
    path = write(home, *arguments)
    lines = {line.partition("=")[0]: line for line in path.read_text().splitlines()}
    folder = home / "secure"
    expired, today = folder / "expired.pem", dt.datetime.now(dt.UTC)
    authority = (folder / "ca.key").read_bytes(), (folder / "ca.pem").read_bytes()
    expired.write_bytes(secure.issue(*authority, today - dt.timedelta(days=30), today - dt.timedelta(days=1)))
    with path.open("a") as file:
        file.write(
            MORE.format(
                listeners=lines["listeners"],
                advertised=lines["advertised.listeners"],
                protocols=lines["listener.security.protocol.map"],
                port=port,
                expired=expired,
            )
        )
    return path


if __name__ == "__main__":
    kafka.write_properties = write_properties
    port = sys.argv[1]
    sys.argv = ["krill-logger", "kafka", "--secure"]
    main()
