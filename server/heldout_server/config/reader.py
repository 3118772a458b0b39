"""Take values out of a TOML document one by one, checked, with errors that say where and what to do."""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar, get_args

from heldout_policy.toml_lines import find_line, syntax_error_place
from heldout_server.config.place import Place
from heldout_server.domain import IDENTIFIER
from heldout_server.errors import ConfigError

Choice = TypeVar("Choice", bound=str)
Setting: TypeAlias = str | bool | Path
_MISSING: Final = object()
_EXAMPLE: Final = "write a list of identifiers"


def open_document(path: Path) -> Reader:
    """Read a config and return what takes values out of it.

    Raises:
        ConfigError: it cannot be read, or is not TOML.
    """
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line, message = syntax_error_place(error)
        raise Place(path.name, line).error(f"not TOML: {message}", "mend that line") from None
    except UnicodeDecodeError:
        raise Place(path.name, None).error("not UTF-8 text", "save it as UTF-8") from None
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        problem = "no such file" if missing else f"cannot be read ({error.strerror or type(error).__name__})"
        raise ConfigError(f"{path}: {problem}\n  name one with --config; heldout-server init makes it") from None
    _refuse_profile(document, path.name)
    return Reader(document, text=text, name=path.name, folder=path.parent.absolute())


def _refuse_profile(document: Mapping[str, Any], name: str) -> None:
    """Say that a document is none of the appliance's, before its first key is called a slip of the pen."""
    if "address" in document and "certificate" in document:
        problem = "is a client's profile, for heldout --profile"
        raise Place(name, None).error(problem, "name the config.toml of the appliance with --config")


class Reader:
    """Take values out of a document.

    Args:
        document: the parsed TOML.
        text: the same as text, to find lines in.
        name: file name, for messages.
        folder: what relative paths are relative to.
        occurrence: which of several tables of one name this reads, counted from 1.

    Attributes:
        name: as given.
    """

    def __init__(self, document: Mapping[str, Any], *, text: str, name: str, folder: Path, occurrence: int = 1) -> None:
        self._document = document
        self._text = text
        self.name = name
        self._folder = folder
        self._occurrence = occurrence

    def place(self, section: str, key: str) -> Place:
        """Return where a key stands, or its section if the key is missing."""
        line = find_line(self._text, table=section, key=key, occurrence=self._occurrence)
        return Place(self.name, line, f"{section}.{key}")

    def has(self, section: str, key: str) -> bool:
        """Say whether a key is there."""
        return key in self._document.get(section, {})

    def subtable(self, section: str, key: str) -> Reader:
        """Return a reader of the table below a section, empty if it is not there. Its section is ``section.key``.

        Raises:
            ConfigError: it is no table.
        """
        value = self._take(section, key, {})
        if not isinstance(value, dict):
            raise self.place(section, key).error("must be a table", f"write [{section}.{key}]")
        return self._below(f"{section}.{key}", value, occurrence=self._occurrence)

    def subtables(self, section: str, key: str, *, most: int) -> tuple[Reader, ...]:
        """Return a reader of each of the tables ``[[section.key]]``, at most ``most``.

        Raises:
            ConfigError: they are no tables, or too many.
        """
        value = self._take(section, key, [])
        if not isinstance(value, list) or len(value) > most or not all(isinstance(item, dict) for item in value):
            raise self.place(section, key).error(f"must be at most {most} tables", f"write [[{section}.{key}]]")
        return tuple(
            self._below(f"{section}.{key}", item, occurrence=number) for number, item in enumerate(value, start=1)
        )

    def strings(self, section: str, key: str, *, most: int) -> dict[str, str]:
        """Return a table of strings by name, at most ``most``, empty if it is not there.

        Raises:
            ConfigError: it is none, or too long.
        """
        value = self._take(section, key, {})
        if not isinstance(value, dict) or len(value) > most or not all(isinstance(one, str) for one in value.values()):
            problem = f"must be a table of at most {most} strings"
            raise self.place(section, key).error(problem, 'write { "name" = "value" }')
        return value

    def path(self, section: str, key: str) -> Path:
        """Return the absolute path of what may come to be there later.

        Raises:
            ConfigError: it is no path.
        """
        return self._path(section, key, "file", lambda _path: True)

    def text(
        self, section: str, key: str, pattern: re.Pattern[str], description: str, *, default: str | None = None
    ) -> str:
        """Return a string that matches the pattern as a whole; the default if there is one and the key is missing.

        Raises:
            ConfigError: it is missing or does not match; ``description`` says what would.
        """
        if default is not None and not self.has(section, key):
            return default
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
        if not self.has(section, key):
            return default
        value = self._take(section, key)
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

    def peek(self, section: str, key: str) -> object:
        """Return a value as it stands, or None."""
        return self._document.get(section, {}).get(key)

    def settings(self, section: str, key: str) -> tuple[dict[str, Setting], dict[str, Place]]:
        """Return the settings in a table below a section, and where each stands; none where there is no table.

        A setting is text, true or false, or a whole number, which becomes text; or ``{ file = "path" }``, which becomes
        the absolute path of a file that is there.

        Raises:
            ConfigError: it is no table, or one of its settings is something else.
        """
        values = self._take(section, key, {})
        if not isinstance(values, dict):
            raise self.place(section, key).error("must be a table", f"write [{section}.{key}]")
        settings: dict[str, Setting] = {}
        places: dict[str, Place] = {}
        for name, value in values.items():
            line = find_line(self._text, table=f"{section}.{key}", key=name) or self.place(section, key).line
            place = places[name] = Place(self.name, line, f"{section}.{key}.{name}")
            match value:
                case bool() | str():
                    settings[name] = value
                case int():
                    settings[name] = str(value)
                case {"file": str() as path, **rest} if path and "\0" not in path and not rest:
                    settings[name] = self._folder / path
                    if not (self._folder / path).is_file():
                        raise place.error(f"no such file: {self._folder / path}", f"create it, or set {name}")
                case _:
                    problem = 'must be text, true or false, a whole number, or { file = "path" }'
                    raise place.error(problem, f"set {name}")
        return settings, places

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
                raise Place(self.name, line, section).error("no such section", _suggest(section, known))
            if not isinstance(values, dict):
                line = find_line(self._text, key=section)
                raise Place(self.name, line, section).error("must be a section", f"write [{section}]")
            for key in values:
                if key not in known[section]:
                    raise self.place(section, key).error("no such key", _suggest(key, known[section]))

    def _take(self, section: str, key: str, default: object = _MISSING) -> Any:
        value = self._document.get(section, {}).get(key, default)
        if value is _MISSING:
            line = find_line(self._text, table=section, occurrence=self._occurrence)
            raise Place(self.name, line, f"{section}.{key}").error("is missing", f"set {key} in [{section}]")
        return value

    def _below(self, section: str, table: Mapping[str, Any], *, occurrence: int) -> Reader:
        return Reader({section: table}, text=self._text, name=self.name, folder=self._folder, occurrence=occurrence)

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
