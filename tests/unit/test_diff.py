"""What differs between two values, and how the changes of a row show it."""

from __future__ import annotations

import json
import random
import resource

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import changed, diff
from dashboard.diff import MISSING

WORDS = st.lists(st.sampled_from(["a", "b", "calle", " ", "\n", ",", "ñ"]), max_size=25).map("".join)


@given(WORDS, WORDS)
def test_both_texts_can_be_read_from_the_parts(old: str, new: str) -> None:
    parts = diff.texts(old, new)
    if parts is not None:
        assert "".join(part.text for part in parts if part.operation != "added") == old
        assert "".join(part.text for part in parts if part.operation != "removed") == new
        assert all(part.text for part in parts)


def test_words_are_told_apart() -> None:
    assert diff.texts("Calle Mayor 1, Madrid, planta 3", "Calle Menor 1, Madrid, planta 3") == [
        ("same", "Calle "),
        ("removed", "Mayor"),
        ("added", "Menor"),
        ("same", " 1, Madrid, planta 3"),
    ]
    assert diff.texts("nothing", "in common") is None


@pytest.mark.parametrize("kind", ["few words", "many words", "shifted", "one line"])
def test_texts_of_64_kib_take_bounded_time(kind: str) -> None:
    chance = random.Random(3)
    some = {"few words": ["a", "b"], "many words": [str(number) for number in range(5000)]}.get(kind, ["ab"])
    old = " ".join(chance.choice(some) for _ in range(12_000))[: 64 * 1024]
    new = {"shifted": "x " + old, "one line": old[::-1]}.get(kind) or " ".join(
        chance.choice(some) for _ in range(12_000)
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    diff.texts(old, new)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 3


def test_lists_lose_and_gain_elements_wherever_they_stand() -> None:
    found = diff.structures(["a", "b", "b", "c"], ["c", "b", "d"])
    assert found
    assert [(entry.old, entry.new) for entry in found[0]] == [("a", MISSING), ("b", MISSING), (MISSING, "d")]
    assert diff.structures([1, 2], [2, 1]) == ([], False)
    assert diff.structures("a", "b") is None
    assert diff.structures([1], {"a": 1}) is None


def test_objects_differ_by_member_and_true_is_not_one() -> None:
    found = diff.structures({"a": 1, "b": {"c": [{"d": 1}]}, "x": None}, {"a": True, "b": {"c": [{"d": 2}]}})
    assert found
    assert [(entry.way, entry.old, entry.new) for entry in found[0]] == [
        ("a", 1, True),
        ("b.c[0].d", 1, 2),
        ("x", None, MISSING),
    ]
    many = diff.structures({str(number): 0 for number in range(5000)}, {})
    assert many
    assert (len(many[0]), many[1]) == (diff.MOST_ENTRIES, True)
    deep: list[object] = []
    for _ in range(400):
        deep = [deep, {}]
    assert diff.structures({"a": deep}, {"a": [deep]})


def change(old: object, new: object, limit: int = 600) -> changed.FieldChange:
    return changed.changes({"changes": [{"field": "f", "old": old, "new": new}]}, limit)[0]


def test_changes_tell_no_value_from_an_empty_one_and_mark_what_was_masked() -> None:
    item = {
        "masked": ["psk"],
        "changes": [{"field": "a", "old": None, "new": ""}, {"field": "psk", "old": 1, "new": [2]}, "odd", None],
    }
    first, second = changed.changes(item, 10)
    assert first.old is None
    assert first.new
    assert first.new.text == '""'
    assert (first.masked, second.masked) == (False, True)
    assert changed.changes({"changes": "not a list"}, 10) == []


def test_long_texts_are_one_text_with_edits_and_what_did_not_change_folded() -> None:
    text = " ".join(f"word{number}" for number in range(400))
    pieces = change(text, text.replace("word200 ", "")).pieces
    assert [(piece.operation, piece.folded) for piece in pieces] == [
        ("same", True),
        ("same", False),
        ("removed", False),
        ("same", False),
        ("same", True),
    ]
    assert "".join(piece.text.text for piece in pieces) == text
    assert change("1504", "1505").pieces == []
    assert change("x" * 70_000, "y" * 70_000).pieces == []


def test_lists_and_objects_show_what_is_inside_also_when_a_text_holds_them() -> None:
    for old, new in (({"a": 1}, {"a": 2}), (json.dumps({"a": 1}), json.dumps({"a": 2}))):
        shown = change(old, new)
        assert [(one.way, one.old and one.old.text, one.new and one.new.text) for one in shown.insides] == [
            ("a", "1", "2")
        ]
    assert change(["a", "b"], ["b", "a"]).reordered
    assert change([], ["x" * 900], 10).clipped
    assert not change(["a"], ["b"]).clipped
