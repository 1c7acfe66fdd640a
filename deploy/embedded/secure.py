"""TLS and a password for the embedded broker: certificates, the user, and what its clients need.

All of it is PEM in the broker's folder, under `secure`; what is secret is readable for its owner only. The certificate
authority is made once and kept, so that clients go on trusting it; the broker's certificate is made at each start.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import secrets
from base64 import b64encode
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from deploy.embedded.checks import writable_folder
from deploy.embedded.errors import StartError
from schemas.settings import PREFIX, Settings, kafka_variable

USER = "krill-logger"
MECHANISM = "SCRAM-SHA-512"
#: What Kafka itself uses at least.
ITERATIONS = 4096
AUTHORITY_DAYS = 3650
#: Browsers and others refuse longer ones; it is made anew at each start.
SERVER_DAYS = 397

#: Clients come in with TLS and a password; the node talks to itself with its own certificate, which nobody else has.
PROPERTIES = """\
listeners=SASL_SSL://127.0.0.1:{port},NODE://127.0.0.1:{node_port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=SASL_SSL://127.0.0.1:{port},NODE://127.0.0.1:{node_port}
listener.security.protocol.map=SASL_SSL:SASL_SSL,NODE:SSL,CONTROLLER:SSL
inter.broker.listener.name=NODE
listener.name.node.ssl.client.auth=required
listener.name.controller.ssl.client.auth=required
sasl.enabled.mechanisms={mechanism}
listener.name.sasl_ssl.{lower}.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location={server}
ssl.truststore.type=PEM
ssl.truststore.location={authority}
"""


def properties(home: Path, port: int, node_port: int, controller_port: int) -> str:
    """The part of the broker's configuration that is about listeners and who may use them."""
    return PROPERTIES.format(
        port=port,
        node_port=node_port,
        controller_port=controller_port,
        mechanism=MECHANISM,
        lower=MECHANISM.lower(),
        server=_escaped(home / "secure" / "server.pem"),
        authority=_escaped(home / "secure" / "ca.pem"),
    )


def prepare(settings: Settings, home: Path) -> None:
    """Make the authority and the password if they are not there, and a certificate for the broker.

    Args:
        home: the broker's folder.

    Raises:
        StartError: the folder cannot be written, or `KRILL_LOGGER_KAFKA_SASL_PASSWORD` is not the password that is
            kept, or the username not the user's.
    """
    folder = writable_folder(home / "secure")
    folder.chmod(0o700)
    given = dict(settings.kafka_security)
    if given.get("sasl.username", USER) != USER:
        raise StartError(f"The user of the embedded Kafka is {USER}: leave {kafka_variable('sasl.username')} unset.")
    kept, password = folder / "password", given.get("sasl.password")
    if not kept.exists():
        _write(kept, (password or secrets.token_urlsafe(18)).encode())
    elif password not in (None, kept.read_text()):
        raise StartError(
            f"{kafka_variable('sasl.password')} is *** and not the password of the first start, which is in {kept}: "
            f"leave it unset, or move {home} away to start empty."
        )
    if not (folder / "ca.pem").exists():
        key, certificate = make_authority()
        _write(folder / "ca.key", key)
        _write(folder / "ca.pem", certificate)
    authority = (folder / "ca.key").read_bytes(), (folder / "ca.pem").read_bytes()
    today = dt.datetime.now(dt.UTC)
    _write(folder / "server.pem", issue(*authority, today - dt.timedelta(days=1), today + dt.timedelta(SERVER_DAYS)))


def credential(home: Path) -> str:
    """What Kafka's `StorageTool format --add-scram` takes: the user with the salted password."""
    salt = secrets.token_bytes(24)
    salted = hashlib.pbkdf2_hmac("sha512", (home / "secure" / "password").read_bytes(), salt, ITERATIONS)
    values = f"salt={b64encode(salt).decode()},saltedpassword={b64encode(salted).decode()},iterations={ITERATIONS}"
    return f"{MECHANISM}=[name={USER},{values}]"


def client_settings(settings: Settings, home: Path) -> dict[str, str]:
    """The variables with which worker, `status` and all others use this broker; `$(…)` is for a shell."""
    folder = home / "secure"
    return {
        f"{PREFIX}KAFKA_BOOTSTRAP": f"127.0.0.1:{settings.kafka_port}",
        kafka_variable("security.protocol"): "SASL_SSL",
        kafka_variable("sasl.mechanism"): MECHANISM,
        kafka_variable("sasl.username"): USER,
        kafka_variable("sasl.password"): f"\"$(cat '{folder / 'password'}')\"",
        kafka_variable("ssl.ca.location"): f"'{folder / 'ca.pem'}'",
    }


def make_authority() -> tuple[bytes, bytes]:
    """A certificate authority of our own: its key and its certificate, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Krill Logger's embedded Kafka")])
    today = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - dt.timedelta(days=1))
        .not_valid_after(today + dt.timedelta(AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .sign(key, SHA256())
    )
    return _key(key), certificate.public_bytes(Encoding.PEM)


def issue(authority_key: bytes, authority: bytes, begin: dt.datetime, end: dt.datetime) -> bytes:
    """A certificate for 127.0.0.1 that is valid from `begin` to `end`: its key and itself, as PEM in one file."""
    signer = load_pem_private_key(authority_key, None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    issuer = x509.load_pem_x509_certificate(authority)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{USER}-broker")]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1")), x509.DNSName("localhost")]),
            critical=False,
        )
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .sign(signer, SHA256())
    )
    return _key(key) + certificate.public_bytes(Encoding.PEM)


def _usage(**allowed: bool) -> x509.KeyUsage:
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**dict.fromkeys(names, False) | allowed)


def _key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _escaped(path: Path) -> str:
    # In a properties file a backslash escapes.
    return str(path).replace("\\", "\\\\")


def _write(path: Path, content: bytes) -> None:
    """In one step, so that a start that is killed leaves no half of a file."""
    fresh = path.with_name(f"{path.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    fresh.replace(path)
