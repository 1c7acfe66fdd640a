"""Fields of payloads with a value, looked up in the index `fields`: its tokens are `"name":"value"`, as in JSON.

These are what stands between the commas and brackets of JSON, so a request has a field if and only if it has the token.
Values that few requests have would make up most of the index, and are found by their words: it has a `#` for them.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import product
from typing import TYPE_CHECKING

from dashboard import jsontext

if TYPE_CHECKING:
    from dashboard.conditions import Bind

#: Most ways to write a field that it is looked up in.
MOST_SPELLINGS = 64
_SEPARATORS = ",{}[]"
_TOKENIZER = "'splitByString([" + ", ".join(rf"\'{separator}\'" for separator in _SEPARATORS) + "])'"
#: Blanks beside what separates fields, names and values.
_BLANKS = r"\s+([,:}\]])\s*|([,:{[])\s+"
_BETWEEN = re.escape(_SEPARATORS)
#: Values that few requests have: long numbers, ids, addresses and times, and texts of more than 32 characters.
_RARE = (
    rf'[^":{_BETWEEN}]*(?:[0-9]{{6}}|[0-9A-Fa-f]{{8}}|(?:[0-9]+[.]){{3}}|@|[0-9A-Fa-f]{{2}}:[0-9A-Fa-f]{{2}})'
    rf'[^"{_BETWEEN}]*|[^":{_BETWEEN}]{{33,}}'
)
#: What is in no token of its own: around colons, too, blanks are left out.
_UNTOLD = re.compile(rf"[#:{_BETWEEN}]|{_RARE}")


def looked_up(name: str, value: str, bind: Bind) -> str:
    """A test, in SQL, that requests with the field pass and no others, and that the index answers.

    Empty if the index does not tell.
    """
    names, values = (jsontext.spellings(text, MOST_SPELLINGS) for text in (name, value))
    if not value or any(map(_UNTOLD.search, (*names, *values))):
        return ""
    written = [*(f'"{text}"' for text in values), *([value] if jsontext.is_bare(value) else [])]
    tokens = [f'"{left}":{right}' for left, right in product(names, written)]
    if not 0 < len(tokens) <= MOST_SPELLINGS:
        return ""
    return f"hasAnyTokens({_fields()}, {bind(','.join(tokens), 'String')}, {_TOKENIZER})"


@cache
def _fields() -> str:
    """What `fields` indexes, to the letter."""
    texts = "concatWithSeparator(',', query_params, data, response)"
    tight = f"replaceRegexpAll({texts}, '{_escaped(_BLANKS)}', '\\\\1\\\\2')"
    return f"replaceRegexpAll({tight}, '{_escaped(_RARE)}', '#')"


def _escaped(pattern: str) -> str:
    return pattern.replace("\\", r"\\")
