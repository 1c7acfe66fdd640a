"""Addresses that are looked up as they are: each that a part with all of its groups may be in."""

from __future__ import annotations

import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import joined

numbers = st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){3}", fullmatch=True)
hexadecimals = st.from_regex(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}|[0-9a-f]{2}(-[0-9a-f]{2}){5}", fullmatch=True)


def looked_up(part: str) -> list[str] | None:
    """The addresses that a search for the part asks the index for, None if it asks for the part."""
    asked: list[str] = []

    def bind(value: object, kind: str) -> str:
        asked.append(str(value))
        return "value"

    sql = joined.within(part, "texts", bind)
    if "hasAnyTokens" in sql:
        _, heads, middle, tails = asked
        marked = [f"{head}{middle}{tail}" for head, tail in product(heads.split(), tails.split())]
        return [address.translate(str.maketrans("XYZ", ".:-")) for address in marked]
    return None if sql.count("LIKE") == 2 else []


@given(numbers | hexadecimals, st.integers(0, 2), st.integers(0, 2))
def test_an_address_is_looked_up_by_each_part_with_all_groups(address: str, before: int, behind: int) -> None:
    part = address[before : len(address) - behind]
    if len(re.findall("[.:-]", part)) < len(re.findall("[.:-]", address)):
        assert looked_up(part) is None
    elif (found := looked_up(part.upper())) is not None:
        assert address in found
        assert all(part in other for other in found)
        assert len(set(found)) == len(found) <= joined.MOST_ADDRESSES


@pytest.mark.parametrize(
    ("part", "number"),
    [
        ("10.1.17.2", 11 * 111),
        ("10.1.17.25", 11 * 11),
        ("172.16.254.100", 1),
        ("A4:BA:76:01:02:03", 1),
        ("4-ba-76-01-02-0", 16 * 16),
        (":ba:76:01:02:03", 256),
    ],
)
def test_how_many_addresses_a_part_may_be_in(part: str, number: int) -> None:
    assert len(looked_up(part) or ()) == number


@pytest.mark.parametrize("part", ["8.8.8.8", ".1.17.2", "1.2.3", "10.1.17.", "a4:ba:76", "76-01"])
def test_too_many_addresses_are_looked_for_by_the_part(part: str) -> None:
    assert looked_up(part) is None


@pytest.mark.parametrize(
    "part",
    [
        "10.1.17.2:8080",
        ".10.1.17.2",
        "10.1.17.2.3",
        "10.1234.17.2",
        "10.1.17.2222",
        "a4:b:76:01:02:03",
        "Agüero",
        "db8::1",
    ],
)
def test_what_no_address_holds_is_looked_for_among_the_other_words(part: str) -> None:
    assert looked_up(part) == []
