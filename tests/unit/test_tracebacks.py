"""Errors with their tracebacks folded."""

from __future__ import annotations

import traceback

import pytest

from dashboard import tracebacks


def raised(depth: int) -> str:
    def down(left: int) -> None:
        if not left:
            raise ValueError("no <OLT>\nsecond line")
        down(left - 1)

    try:
        try:
            down(depth)
        except ValueError as error:
            raise RuntimeError("failed") from error
    except RuntimeError:
        return traceback.format_exc()
    return ""


def test_the_exception_is_shown_and_its_frames_are_counted() -> None:
    found = tracebacks.read("POST failed\n" + raised(2))
    assert found
    assert (found.raised.text, found.frames, found.causes) == ("RuntimeError: failed", 1, 1)
    inner = raised(2).partition("\nThe above")[0]
    found = tracebacks.read(inner.replace("\n", "\r\n"))
    assert found
    assert found.raised.text.startswith("ValueError: no <OLT>")
    assert found.frames == 4


@pytest.mark.parametrize(
    "text", ["", "404 not found", "Traceback (most recent call last):", "Traceback", "x" * 3_000_000]
)
def test_other_errors_stay_as_they_are(text: str) -> None:
    assert tracebacks.read(text) is None


def test_a_long_error_is_cut() -> None:
    found = tracebacks.read('Traceback (most recent call last):\n  File "a", line 1\n' + "E" * 500_000)
    assert found
    assert found.raised.clipped
