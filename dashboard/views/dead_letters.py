"""Dead letters: the messages that could not become a row."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue

from dashboard import values
from dashboard.address import Address
from dashboard.state import state

blueprint = Blueprint("dead_letters", __name__)

PER_PAGE = 50
PATH = "/dead-letters"


@blueprint.get(PATH)
def show() -> ResponseReturnValue:
    """The latest first, each with its reason, its place in Kafka and its bytes."""
    typed = request.args.get("page", "1")
    number = int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 8 else 1
    page = state().store.dead_letters(max(1, number), PER_PAGE)
    last = max(1, -(-page.total // PER_PAGE))
    if number > last:
        return redirect(str(Address(PATH, (("page", str(last)),))))
    return render_template(
        "dead_letters.html", page=page, number=number, last=last, clip=values.CLIP_IN_LIST, per_page=PER_PAGE
    )
