"""One table of a policy document, read key by key; whatever does not fit is an error that names line and key.

Creating a section checks that it has exactly the keys it should have: nothing in a signed document is ever silently
without effect, and there is no default behind a missing key.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from heldout_policy.errors import PolicyError
from heldout_policy.toml_lines import find_line

IDENTIFIER: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Say which keys a section has.

    Attributes:
        required: keys that must be there.
        optional: keys that may be.
    """

    required: Collection[str]
    optional: Collection[str] = ()


class Section:
    """Read one table of a document.

    Args:
        document: the document's name, for errors.
        text: all of it, in which lines are looked up.
        path: the table's name, empty for the keys before the first table.
        values: as the TOML parser returned them.
        keys: which there must be; None where the document chooses the names itself.

    Raises:
        PolicyError: a key is missing or unknown.
    """

    def __init__(
        self, *, document: str, text: str, path: str, values: Mapping[str, object], keys: Keys | None = None
    ) -> None:
        self._document = document
        self._text = text
        self._path = path
        self._values = values
        if keys is None:
            return
        for key in values:
            if key not in keys.required and key not in keys.optional:
                close = difflib.get_close_matches(key, [*keys.required, *keys.optional], n=1)
                raise self.error(key, f"no such key; did you mean {close[0]}?" if close else "no such key")
        for key in keys.required:
            if key not in values:
                raise self.error(key, "missing")

    def error(self, key: str, message: str) -> PolicyError:
        """Return an error about a key, or about the whole section where the key is empty."""
        path = ".".join(part for part in (self._path, key) if part)
        line = find_line(self._text, table=self._path, key=key)
        if line is None or key not in self._values:
            # Of a table its header; of a key that is missing the table that lacks it, the first line for the root.
            line = find_line(self._text, table=path) or find_line(self._text, table=self._path) or 1
        return PolicyError(message, document=self._document, line=line, key=path)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the keys that are there, in the document's order."""
        return tuple(self._values)

    def section(self, key: str, keys: Keys | None = None) -> Section:
        """Return the table under a key.

        Raises:
            PolicyError: it is no table, or has a key too few or too many.
        """
        value = self._values[key]
        if not isinstance(value, dict):
            raise self.error(key, "must be a table")
        path = f"{self._path}.{key}" if self._path else key
        return Section(document=self._document, text=self._text, path=path, values=value, keys=keys)

    def word(self, key: str, known: Collection[str]) -> str:
        """Return a value that is one of the known words."""
        value = self._values[key]
        if not isinstance(value, str) or value not in known:
            raise self.error(key, "must be " + " or ".join(f'"{word}"' for word in known))
        return value

    def whole(self, key: str, *, lowest: int, highest: int) -> int:
        """Return a whole number in these bounds."""
        value = self._values[key]
        if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
            raise self.error(key, f"must be a whole number from {lowest} to {highest}")
        return value

    def number(self, key: str, *, highest: Decimal, above_zero: bool = False) -> Decimal:
        """Return a number from 0, or above it, to ``highest``."""
        value = self._values[key]
        # A NaN is a Decimal that cannot be compared, so finiteness comes first.
        if not isinstance(value, bool) and isinstance(value, int | Decimal):
            number = Decimal(value)
            if number.is_finite() and 0 <= number <= highest and not (above_zero and number == 0):
                return number
        lowest = "above 0" if above_zero else "from 0"
        raise self.error(key, f"must be a number {lowest} to {highest}")

    def shares(self) -> dict[str, Decimal]:
        """Return every key's share: 0 to 1 each, and at most 1 together."""
        shares = {key: self.number(key, highest=Decimal(1)) for key in self._values}
        if sum(shares.values(), start=Decimal(0)) > 1:
            raise self.error("", "the shares sum to more than 1")
        return shares

    def list_words(self, key: str, known: Collection[str]) -> tuple[str, ...]:
        """Return a list of different known words, in the document's order."""
        value = self._values[key]
        if not isinstance(value, list) or any(name not in known for name in value) or len(set(value)) != len(value):
            raise self.error(key, f"must be a list of different names out of {', '.join(known)}")
        return tuple(value)

    def list_texts(self, key: str, *, most: int) -> tuple[str, ...]:
        """Return a list of 1 to ``most`` different texts."""
        value = self._values[key]
        if (
            not isinstance(value, list)
            or not 1 <= len(value) <= most
            or not all(isinstance(one, str) for one in value)
            or len(set(value)) < len(value)
        ):
            raise self.error(key, f"must be a list of 1 to {most} different texts")
        return tuple(value)
