"""Secrets that are recognised by their shape, under whatever name they stand."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable

# The base64 lines of a private key; what was cut off leaves no END.
_PEM = re.compile(r"(-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----)([^\"'<]+?)(?=-----END|[\"'<]|\Z)")

# A JSON Web Token; cut before its first dot it is known by the usual beginnings of its header. Base64 of other JSON
# (a paging cursor) begins with eyJ as well, and has no dot.
_JWT = re.compile(r"(?<![\w-])eyJ(?:[\w-]{4,}\.[\w-]{2,}|(?:hbGci|0eXAi|raWQi|lbmMi|jdHki)[\w-]*)[\w.-]*", re.ASCII)

# The value of an Authorization header on its own. "Token inválido" and "Basic 100Mbps" are prose.
_SCHEME = re.compile(r"(?i:\b(bearer|basic|token|apikey))([ \t+]+)([\w~+/.=-]{8,})", re.ASCII)
_HEX = re.compile(r"[0-9a-fA-F]{16,}|(?=[a-f]*\d)[0-9a-f]{8,}")

# https://user:password@host. A colon followed by anything but a port begins a password, even one with a slash in it.
# Asked first is whether there is an @ at all: without one, every length of a password would be tried.
_USERINFO = re.compile(
    r"(://[^\s/?#@:\"'<>]{0,256}+:)(?=[^\s\"'<>@]{0,256}+@)"
    r"([^\s/?#\"'<>]{1,256}(?=@)|(?!\d{0,5}(?:[/?#\"'<>\s]|\Z))[^\s\"'<>@]{1,256}+(?=@))"
)
# https://<access token>@host
_USERINFO_ALONE = re.compile(r"(://)([^\s/?#@:\"'<>]{20,256}+)(?=@)")

# PostgreSQL: `Key (wifi_password)=(x) already exists`; SQL: `INSERT INTO t (a, pin) VALUES (1, 'x')`.
_COLUMNS = re.compile(
    r"(?:\bKey |\bINTO [^\s()]{1,200} )\(([^()\n]{1,2000})\)(?:=| VALUES )\((.*?)"
    r"(?:(?=\)(?: already exists| is (?:not present|still referenced)| conflicts with| RETURNING|;?[ \t]*(?:\n|\Z)))"
    r"|\Z)",
    re.DOTALL | re.IGNORECASE,
)
_COLUMN = re.compile(r"[\w.]+")
# PostgreSQL prints the whole row, without names, when a constraint refuses it.
_FAILING_ROW = re.compile(r"(?i:failing row contains) \((.+?)(?=\)\.?[ \t]*(?:\n|\Z)|\Z)", re.DOTALL)
# MySQL
_DUPLICATE = re.compile(r"Duplicate entry '(.{1,1000}?)' for key '([^'\n]{1,200})'")


def mask_shapes(text: str, substitute: str, is_secret: Callable[[str], bool], report: Callable[[str], None]) -> str:
    """`text` without what is secret by its shape. Columns of SQL messages are reported by name; the rest has none."""

    def after_first(match: re.Match[str]) -> str:
        return match[1] + substitute

    def credential(match: re.Match[str]) -> str:
        return match[1] + match[2] + substitute if _is_credential(match[1], match[3]) else match[0]

    def columns(match: re.Match[str]) -> str:
        secret = [name for name in _COLUMN.findall(match[1]) if is_secret(name)]
        for name in secret:
            report(name)
        return _with_group(match, 2, substitute) if secret and match[2] else match[0]

    def duplicate(match: re.Match[str]) -> str:
        if not is_secret(match[2]):
            return match[0]
        report(match[2])
        return _with_group(match, 1, substitute)

    if "-----BEGIN" in text:
        text = _PEM.sub(after_first, text)
    if "eyJ" in text:
        text = _JWT.sub(lambda _: substitute, text)
    if "://" in text and "@" in text:
        text = _USERINFO_ALONE.sub(after_first, _USERINFO.sub(after_first, text))
    text = _SCHEME.sub(credential, text)
    if ")=(" in text or " VALUES (" in text:
        text = _COLUMNS.sub(columns, text)
    if "ailing row contains" in text:
        text = _FAILING_ROW.sub(lambda match: _with_group(match, 1, substitute), text)
    if "Duplicate entry" in text:
        text = _DUPLICATE.sub(duplicate, text)
    return text


def _with_group(match: re.Match[str], group: int, replacement: str) -> str:
    start, end = match.start(group) - match.start(), match.end(group) - match.start()
    return match[0][:start] + replacement + match[0][end:]


def _is_credential(scheme: str, text: str) -> bool:
    scheme = scheme.lower()
    if scheme == "token":
        return _HEX.fullmatch(text.rstrip(".")) is not None
    if scheme == "basic":
        body = text.rstrip("=")
        try:
            return b":" in base64.b64decode(body[: len(body) // 4 * 4] or "", validate=True) or (
                b":" in base64.b64decode(body + "=" * (-len(body) % 4), validate=True)
            )
        except (binascii.Error, ValueError):
            return False
    return len(text) >= 20 or any(c.isdigit() for c in text) or not text[1:].islower()
