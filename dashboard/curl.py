"""A stored request as a curl command, with a placeholder for the credentials that were never stored."""

from __future__ import annotations

import shlex
from typing import Any
from urllib.parse import quote, urlencode

from dashboard import rows
from dashboard.rows import Item

#: What stands where the caller's token was.
CREDENTIALS = "Authorization: Token TOKEN"
_LOCAL = ("localhost", "127.", "[::1]")


def command(item: Item) -> str:
    """The command for a POSIX shell; masked values are as stored, and go nowhere else.

    Args:
        item: a row of the API report whose JSON columns are text as stored.
    """
    parts = [f"curl --globoff --path-as-is {_quoted(_url(item))}"]
    if item["method"] != "GET":
        parts.append(f"--request {_quoted(item['method'])}")
    parts.append(f"--header {_quoted(CREDENTIALS)}")
    if item["data"]:
        parts.append(f"--header {_quoted('Content-Type: application/json')}")
        parts.append(f"--data-raw {_quoted(item['data'])}")
    return " \\\n  ".join(parts)


def _url(item: Item) -> str:
    host = item["host"] or "krill.invalid"
    scheme = "http" if host.startswith(_LOCAL) else "https"
    path = quote(item["path"], safe="/:@!$&'()*+,;=~%")
    query = _query(rows.parse_json(item["query_params"]))
    return f"{scheme}://{quote(host, safe=':[]')}{path}{'?' + query if query else ''}"


def _query(parameters: Any) -> str:
    if not isinstance(parameters, dict):
        return ""
    return urlencode(parameters, doseq=True, errors="replace")


def _quoted(text: str) -> str:
    """One word of a shell. What a terminal would take for a command of its own is written as an escape."""
    if text.isprintable():
        return shlex.quote(text)
    escaped = "".join(
        ("\\" + char if char in "\\'" else char)
        if char.isprintable()
        else "".join(f"\\x{byte:02x}" for byte in char.encode(errors="replace"))
        for char in text
    )
    return f"$'{escaped}'"
