"""What kind of failure a request met: its error's last word, without what differs from one failure to the next."""

from __future__ import annotations

from dashboard.conditions import Bind

#: Bytes of an error text that are looked at (its end) and of an answer (its beginning), and characters of the result.
ERROR_BYTES = 8 * 1024
ANSWER_BYTES = 2 * 1024
MOST_CHARACTERS = 200

#: A line of a traceback that names the exception: at its beginning, with a small letter in the name.
EXCEPTION = r"(?m)^([A-Za-z_][A-Za-z0-9_.]*[a-z][A-Za-z0-9_.]*(?::[^\n]*)?)$"
#: What is replaced, in this order: (pattern, replacement). None is longer than a line.
REPLACED = (
    (r"\\\"[^\"\\\n]*\\\"", r"“…”"),
    (r"“[^”\n]*”|«[^»\n]*»", r"“…”"),
    (r"(^|[^A-Za-z0-9_])'[^'\n]*'", r"\1“…”"),
    (r"[^\s\"'<>(),:;]+@[^\s\"'<>(),:;]+", "#"),
    (r"(?:[0-9A-Fa-f]{1,4}:){3,7}[0-9A-Fa-f]{1,4}", "#"),
    (r"[A-Za-z0-9_.-]*[0-9][A-Za-z0-9_.-]*", "#"),
)
#: Replaced outside JSON, whose own quotes say which field is meant.
QUOTED = (r'"[^"\n]*"', r"“…”")


def failure(bind: Bind) -> str:
    """SQL (String) for the kind of failure of a row of api_requests.

    That is the exception of the last traceback in `errors`, else the first line of `errors`, else that of the answer;
    quoted values, addresses and words with digits are replaced. Empty if the row has neither.
    """
    error = f"substring(errors, -{ERROR_BYTES})"
    exceptions = f"extractAll({error}, {bind(EXCEPTION, 'String')})"
    told = (
        f"multiIf(errors = '', {_first_line(f'substring(response, 1, {ANSWER_BYTES})')}, "
        f"position({error}, 'Traceback (most recent call last)') > 0 AND notEmpty({exceptions}), {exceptions}[-1], "
        f"{_first_line(f'substring(errors, 1, {ANSWER_BYTES})')})"
    )
    pattern, replacement = (bind(text, "String") for text in QUOTED)
    text = f"if(match({told}, '^[\\\\[{{]'), {told}, replaceRegexpAll({told}, {pattern}, {replacement}))"
    for pair in REPLACED:
        pattern, replacement = (bind(part, "String") for part in pair)
        text = f"replaceRegexpAll({text}, {pattern}, {replacement})"
    return f"substringUTF8({text}, 1, {MOST_CHARACTERS})"


def _first_line(text: str) -> str:
    return f"splitByChar('\\n', trimLeft(toValidUTF8({text})))[1]"
