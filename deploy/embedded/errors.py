"""What stops a command with one sentence."""

from __future__ import annotations


class StartError(Exception):
    """Something cannot start or be prepared; the text is one sentence that says what to do."""
