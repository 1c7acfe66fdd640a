"""Masks the commonest JSON without taking it apart: `"wifi_password":"x"` among members whose values hold no secret."""

from __future__ import annotations

import re

from schemas.masking.names import Kind, is_secret, kind, might_hold_secret

# A name with its value or the bracket that opens it, or a string in a list. Strings hold no quotes, nor backslashes.
_MEMBER = re.compile(r'"([^"]*)"(?::("[^"]*"|[^,{}\[\]]+|[{\[]))?')


def mask_members(text: str, substitute: str) -> tuple[str, set[str]] | None:
    """What `mask` makes of a JSON document, as compact JSON again, and the names that it masks.

    Args:
        text: compact JSON without backslashes, with fewer brackets than `MAX_DEPTH`.

    Returns:
        None where only `mask` knows.
    """
    names: set[str] = set()
    others: list[str] = []
    members: list[tuple[str, str]] = _MEMBER.findall(text)
    named = valued = False
    for name, value in members:
        if not value:
            others.append(name)
            continue
        of = kind(name)
        if of is Kind.ODD:
            return None
        if of is Kind.SECRET or (of is Kind.NAME and is_secret(name)):
            if value[0] != '"' and value != "null":
                return None
            if len(value) > 2 and value[0] == '"':
                names.add(name)
                text = text.replace(f'"{name}":{value}', f'"{name}":"{substitute}"')
        elif value[0] == '"':
            others.append(value)
        named |= of is Kind.NAME
        valued |= of is Kind.VALUE
    if (named and valued) or might_hold_secret("\n".join(others)):
        return None
    return text, names
