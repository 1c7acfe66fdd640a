"""URLs of pages: what is shown, with one thing changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import quote_plus, urlencode

#: Which page is shown and which rows are open belongs to one result; any other change leaves them behind.
_OF_ONE_RESULT = frozenset({"page", "open"})
_SAFE = "/:*,"


@dataclass(frozen=True, slots=True)
class Address:
    """A path and its query parameters in order. `str()` is the URL to link to.

    `plain` stands in for no parameters where the path alone leads to something else.
    """

    path: str
    pairs: tuple[tuple[str, str], ...] = ()
    plain: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        query = self.query
        return f"{self.path}?{query}" if query else self.path

    @property
    def query(self) -> str:
        """The URL's query string."""
        return urlencode(self.pairs or self.plain, safe=_SAFE, errors="replace")

    def values(self, name: str) -> list[str]:
        """The values of a parameter."""
        return [value for key, value in self.pairs if key == name]

    def setting(self, name: str, *values: str) -> Address:
        """With the parameter having these values and no others."""
        kept = self._kept(name, lambda key, _value: key != name)
        return replace(self, pairs=(*kept, *((name, value) for value in values)))

    def setter(self, name: str) -> Callable[[str], str]:
        """The same for very many values, as text: a function of the value."""
        beginning = str(self.setting(name, ""))
        return lambda value: beginning + quote_plus(value, safe=_SAFE, errors="replace")

    def adding(self, name: str, value: str) -> Address:
        """With one more value of the parameter, if it has not got it."""
        kept = self._kept(name, lambda key, held: (key, held) != (name, value))
        return replace(self, pairs=(*kept, (name, value)))

    def without(self, name: str, value: str | None = None) -> Address:
        """Without one value of the parameter, or without the parameter."""
        return replace(
            self, pairs=self._kept(name, lambda key, held: key != name or (value is not None and held != value))
        )

    def dropping(self, *names: str) -> Address:
        """Without these parameters, and nothing else touched."""
        return replace(self, pairs=tuple(pair for pair in self.pairs if pair[0] not in names))

    def only(self, *names: str) -> Address:
        """With these parameters and no others."""
        return replace(self, pairs=tuple(pair for pair in self.pairs if pair[0] in names))

    def at(self, path: str) -> Address:
        """The same parameters on another path."""
        return replace(self, path=path)

    def hidden(self, *names: str) -> list[tuple[str, str]]:
        """The parameters that a form which sets `names` must carry along."""
        return [pair for pair in self.pairs if pair[0] not in {*names, *_OF_ONE_RESULT}]

    def _kept(self, name: str, keep: Callable[[str, str], bool]) -> tuple[tuple[str, str], ...]:
        left_behind: frozenset[str] = frozenset() if name in _OF_ONE_RESULT else _OF_ONE_RESULT
        return tuple((key, held) for key, held in self.pairs if key not in left_behind and keep(key, held))
