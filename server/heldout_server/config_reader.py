"""Take values out of a TOML document one by one, checked, with errors that say where and what to do."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar, get_args

from heldout_policy.toml_lines import find_line
from heldout_server.domain import IDENTIFIER
from heldout_server.errors import ConfigError

Choice = TypeVar("Choice", bound=str)
_MISSING: Final = object()
_EXAMPLE: Final = "write a list of identifiers"


@dataclass(frozen=True, slots=True)
class Place:
    """Say where in a document something stands.

    Attributes:
        document: file name of the document.
        line: 1-based line, or None if there is no single one.
        key: ``section.key``, or empty.
    """

    document: str
    line: int | None
    key: str = ""

    def error(self, problem: str, remedy: str) -> ConfigError:
        """Return the error that says what is wrong here, and on a second line what to do."""
        place = self.document if self.line is None else f"{self.document} line {self.line}"
        return ConfigError(": ".join(part for part in (place, self.key, problem) if part) + f"\n  {remedy}")


class Reader:
    """Take values out of a document.

    Args:
        document: the parsed TOML.
        text: the same as text, to find lines in.
        name: file name, for messages.
        folder: what relative paths are relative to.
    """

    def __init__(self, document: Mapping[str, Any], *, text: str, name: str, folder: Path) -> None:
        self._document = document
        self._text = text
        self._name = name
        self._folder = folder

    def place(self, section: str, key: str) -> Place:
        """Return where a key stands, or its section if the key is missing."""
        return Place(self._name, find_line(self._text, table=section, key=key), f"{section}.{key}")

    def text(self, section: str, key: str, pattern: re.Pattern[str], description: str) -> str:
        """Return a string that matches the pattern as a whole.

        Raises:
            ConfigError: it is missing or does not match; ``description`` says what would.
        """
        value = self._take(section, key)
        if not isinstance(value, str) or pattern.fullmatch(value) is None:
            raise self.place(section, key).error(f"must be {description}", f"set {section}.{key}")
        return value

    def file(self, section: str, key: str) -> Path:
        """Return the absolute path of a file that is there.

        Raises:
            ConfigError: the key is missing, or the file.
        """
        return self._path(section, key, "file", lambda path: path.is_file())

    def directory(self, section: str, key: str) -> Path:
        """Return the absolute path of a folder that is there.

        Raises:
            ConfigError: the key is missing, or the folder.
        """
        return self._path(section, key, "folder", lambda path: path.is_dir())

    def integer(self, section: str, key: str, *, low: int, high: int, default: int) -> int:
        """Return an integer from ``low`` to ``high``.

        Raises:
            ConfigError: it is none, or out of range.
        """
        value = self._take(section, key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            problem = f"must be a whole number from {low} to {high}"
            raise self.place(section, key).error(problem, f"the default is {default}")
        return value

    def number(self, section: str, key: str, *, low: float, high: float, default: float) -> float:
        """Return a number from ``low`` to ``high``.

        Raises:
            ConfigError: it is none, or out of range.
        """
        value = self._take(section, key, default)
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not is_number or not low <= value <= high:
            problem = f"must be a number from {low:g} to {high:g}"
            raise self.place(section, key).error(problem, f"the default is {default:g}")
        return float(value)

    def flag(self, section: str, key: str, *, default: bool) -> bool:
        """Return true or false.

        Raises:
            ConfigError: it is neither.
        """
        value = self._take(section, key, default)
        if not isinstance(value, bool):
            raise self.place(section, key).error("must be true or false", f"the default is {str(default).lower()}")
        return value

    def choice(self, section: str, key: str, choices: Any, *, default: Choice) -> Choice:
        """Return one of the strings of a ``Literal`` type.

        Raises:
            ConfigError: it is none of them.
        """
        value: Choice = self._take(section, key, default)
        allowed = get_args(choices)
        if value not in allowed:
            problem = "must be one of " + ", ".join(allowed)
            raise self.place(section, key).error(problem, f"the default is {default}")
        return value

    def identifiers(self, section: str, key: str, *, default: tuple[str, ...], most: int) -> tuple[str, ...]:
        """Return a list of different identifiers, at most ``most``.

        Raises:
            ConfigError: it is none, or too long, or repeats one.
        """
        value = self._take(section, key, list(default))
        return self._identifiers(section, key, value, most=most)

    def identifier_lists(
        self, section: str, key: str, *, default: tuple[tuple[str, ...], ...], most: int
    ) -> tuple[tuple[str, ...], ...]:
        """Return a list of different lists of different identifiers, at most ``most``.

        Raises:
            ConfigError: it is none, or too long, or repeats one.
        """
        value = self._take(section, key, [list(item) for item in default])
        if not isinstance(value, list) or len(value) > most:
            raise self.place(section, key).error(f"must be at most {most} lists", _EXAMPLE + " of identifiers")
        lists = tuple(self._identifiers(section, key, item, most=most) for item in value)
        if len(set(lists)) < len(lists):
            raise self.place(section, key).error("repeats a list", "leave one of them out")
        return lists

    def refuse_unknown(self, known: Mapping[str, Collection[str]]) -> None:
        """Refuse whatever is not known, and suggest what may have been meant.

        Args:
            known: the keys of each section.

        Raises:
            ConfigError: there is an unknown section or key.
        """
        for section, values in self._document.items():
            if section not in known:
                line = find_line(self._text, table=section) or find_line(self._text, key=section)
                raise Place(self._name, line, section).error("no such section", _suggest(section, known))
            if not isinstance(values, dict):
                line = find_line(self._text, key=section)
                raise Place(self._name, line, section).error("must be a section", f"write [{section}]")
            for key in values:
                if key not in known[section]:
                    raise self.place(section, key).error("no such key", _suggest(key, known[section]))

    def _take(self, section: str, key: str, default: object = _MISSING) -> Any:
        value = self._document.get(section, {}).get(key, default)
        if value is _MISSING:
            place = Place(self._name, find_line(self._text, table=section), f"{section}.{key}")
            raise place.error("is missing", f"set {key} in [{section}]")
        return value

    def _path(self, section: str, key: str, kind: str, is_there: Callable[[Path], bool]) -> Path:
        value = self._take(section, key)
        if not isinstance(value, str) or not value or "\0" in value:
            raise self.place(section, key).error(f"must be the path of a {kind}", f"set {section}.{key}")
        path = self._folder / value
        if not is_there(path):
            raise self.place(section, key).error(f"no such {kind}: {path}", f"create it, or set {section}.{key}")
        return path

    def _identifiers(self, section: str, key: str, value: object, *, most: int) -> tuple[str, ...]:
        place = self.place(section, key)
        if not isinstance(value, list) or not 0 < len(value) <= most:
            raise place.error(f"must be a list of 1 to {most} identifiers", _EXAMPLE)
        for item in value:
            if not isinstance(item, str) or IDENTIFIER.fullmatch(item) is None:
                raise place.error("holds something that is no identifier", _EXAMPLE)
        if len(set(value)) < len(value):
            raise place.error("repeats an identifier", "leave one of them out")
        return tuple(value)


def _suggest(written: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(written, known, n=1)
    return f"did you mean {close[0]}?" if close else f"known here: {', '.join(sorted(known))}"
