"""Payloads as trees: bounded whatever they hold, and true to what was stored."""

from __future__ import annotations

import json
import resource

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import tree
from dashboard.tree import IN_LIST, Limits, Node
from schemas import masking

ALL = Limits(10_000, 10_000, 100, 10_000)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=30,
)


def nodes(root: Node) -> list[Node]:
    return [root, *(below for child in root.children for below in nodes(child))]


@given(JSON)
def test_every_value_is_there_and_found_again_by_its_pointer(value: object) -> None:
    text = json.dumps(value, ensure_ascii=False)
    root = tree.read(text, ALL)
    assert root
    for node in nodes(root):
        here = value
        for step in node.path:
            here = here[step]  # type: ignore[index]
        kinds = {dict: "object", list: "array", str: "string", bool: "boolean", int: "number", float: "number"}
        assert node.kind == kinds.get(type(here), "null")
        assert node.size == (len(here) if isinstance(here, dict | list) else 0)
        again = tree.part(text, node.pointer)
        assert again is not None
        assert (again if isinstance(here, str) else json.loads(again)) == here
        below = tree.read(text, ALL, at=node.pointer)
        assert below == node


@given(st.text(max_size=30))
def test_what_is_no_json_is_no_tree(text: str) -> None:
    try:
        json.loads(text)
    except ValueError:
        assert tree.read(text, ALL) is None
        assert tree.find(text, "a", 10) == ([], False)
        assert tree.part(text, "") is None


def test_a_tree_is_bounded_and_says_what_is_missing() -> None:
    wide = json.dumps({"list": list(range(1000)), "end": {"a": {"b": {"c": 1}}}})
    root = tree.read(wide, Limits(20, 5, 2, 10))
    assert root
    assert len(nodes(root)) <= 21
    numbers, end = root.children
    assert (numbers.size, len(numbers.children), numbers.more) == (1000, 5, 995)
    assert end.children[0].children == []
    assert end.children[0].more == 1
    later = tree.read(wide, Limits(20, 5, 2, 10), at="/list", start=998)
    assert later
    assert [child.path for child in later.children] == [("list", 998), ("list", 999)]
    assert (later.more, later.children[0].way) == (0, "list[998]")
    behind = tree.read(wide, IN_LIST, at="/list", start=10**8)
    assert behind
    assert (behind.children, behind.more) == ([], 0)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"blob": "x" * 10_000_000}),
        json.dumps([{"a": number} for number in range(400_000)]),
        "[" + "1," * 5_000_000 + "1]",
        '{"a":' * 100_000 + "1" + "}" * 100_000,
        "[" * 100_000,
    ],
    ids=["one text", "many objects", "more values than a tree has", "too deep", "broken"],
)
def test_ten_megabytes_take_no_second(text: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    root = tree.read(text, IN_LIST)
    found = tree.find(text, "nowhere", 100)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 3
    assert root is None or len(nodes(root)) <= IN_LIST.nodes + 1
    assert found.nodes == []


def test_a_search_looks_at_names_and_values_and_is_bounded() -> None:
    text = json.dumps({"Customer": {"city": "Málaga"}, "n": [{"city": "Cádiz"}, 15]})
    assert [node.way for node in tree.find(text, "MÁLAGA", 10).nodes] == ["Customer.city"]
    assert [node.way for node in tree.find(text, "customer", 10).nodes] == ["Customer.city"]
    assert [node.way for node in tree.find(text, "15", 10).nodes] == ["n[1]"]
    many = tree.find(json.dumps(["x"] * 1000), "x", 10)
    assert (len(many.nodes), many.whole) == (tree.MOST_FOUND, False)


def test_numbers_are_as_stored_and_what_was_masked_is_marked() -> None:
    stars = masking.SUBSTITUTE
    text = f'{{"n": 12345678901234567890123.10, "psk": "{stars}", "url": "https://a:{stars}@b", "pin": "x", "free": 1}}'
    root = tree.read(text, ALL, masked=["pin", "free"])
    assert root
    shown = {str(child.key): (child.text.text if child.text else None, child.masked) for child in root.children}
    assert shown["n"] == ("12345678901234567890123.10", False)
    assert {name: masked for name, (_, masked) in shown.items() if masked} == {"psk": True, "url": True, "pin": True}


def test_ways_are_written_as_people_do() -> None:
    assert tree.way(("a", "b_1", 0, "odd name", "")) == 'a.b_1[0]["odd name"][""]'
    assert tree.pointer(("a/b", "c~d", 0)) == "/a~1b/c~0d/0"
    for wrong in ("a", "/nothing", "/list/01", "/list/-1", "/list/99"):
        assert tree.part('{"list": [1]}', wrong) is None
