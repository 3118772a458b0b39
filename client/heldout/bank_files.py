"""Files of prompts: one JSON object a line (JSONL), plain or gzip, read as a stream in bounded memory.

Keys of a row: ``prompt`` (or ``text``), ``intent``, ``category``, and where wanted ``language``, ``tags``, ``family``.
A row that will not do is named by its line and a reason code, never quoted. A file that is none (empty, binary,
truncated, not UTF-8, a line past 1 MiB) is refused as a whole. Whether a text may enter the bank is for the bank to
say: only what could not be sent is judged here.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import stat
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from heldout.errors import BankFileError
from heldout.services.bank import BadRow, Intent, Prompt, PromptRow

MAX_LINE_BYTES: Final = 1 << 20
MAX_TEXT_BYTES: Final = 65_536
MAX_TAGS: Final = 16
KEYS: Final = frozenset({"prompt", "text", "intent", "category", "language", "tags", "family"})
DEFAULT_LANGUAGE: Final = "en"

_GZIP_MAGIC: Final = b"\x1f\x8b"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_IDENTIFIER: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_LANGUAGE: Final = re.compile(r"[a-z]{2,8}(-[a-z0-9]{1,8})*")


class _BadRow(Exception):
    """Carry why a row will not do."""


def read_rows(path: Path) -> Iterator[PromptRow | BadRow]:
    """Yield each row of a file, or why it will not do. Blank lines are passed over.

    Raises:
        BankFileError: the file is not one of prompts.
    """
    found = False
    for line, raw in read_lines(path):
        found = True
        try:
            yield PromptRow(line, _parse_row(raw))
        except _BadRow as error:
            yield BadRow(line, str(error))
    if not found:
        raise BankFileError(f"{path.name}: is empty: there is no row in it")


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a file that are not blank, each with its 1-based number, in bounded memory.

    Raises:
        BankFileError: it cannot be read, is binary, truncated or not UTF-8, or has a line past 1 MiB.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe could wait for ever
            raise BankFileError(f"{path.name}: is not a plain file")
        with path.open("rb") as file:
            yield from _decode_lines(_uncompressed(file), path.name)
    except FileNotFoundError:
        raise BankFileError(f"{path}: no such file") from None
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise BankFileError(f"{path.name}: is a truncated or damaged gzip file") from None
    except OSError as error:
        raise BankFileError(f"{path.name}: cannot be read ({error.strerror})") from None


def _uncompressed(file: io.BufferedReader) -> io.BufferedIOBase:
    magic = file.peek(len(_GZIP_MAGIC))[: len(_GZIP_MAGIC)]
    return gzip.GzipFile(fileobj=file) if magic == _GZIP_MAGIC else file


def _decode_lines(file: io.BufferedIOBase, name: str) -> Iterator[tuple[int, str]]:
    number = 0
    while raw := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if b"\x00" in raw:
            raise BankFileError(f"{name} line {number}: is binary, not a text")
        if len(raw) > MAX_LINE_BYTES:
            raise BankFileError(f"{name} line {number}: is longer than {MAX_LINE_BYTES:,} bytes")
        if number == 1:
            raw = raw.removeprefix(_BYTE_ORDER_MARK)
        if not raw.strip():
            continue
        try:
            yield number, raw.decode()
        except UnicodeDecodeError:
            raise BankFileError(f"{name} line {number}: is not UTF-8") from None


def _parse_row(raw: str) -> Prompt:
    fields = _parse_object(raw)
    if not fields.keys() <= KEYS:
        raise _BadRow("unknown_key")
    texts = [fields[key] for key in ("prompt", "text") if key in fields]
    if len(texts) != 1:
        raise _BadRow("prompt_twice" if texts else "prompt_missing")
    tags = fields.get("tags", [])
    if not isinstance(tags, list):
        raise _BadRow("tags_invalid")
    if len(tags) > MAX_TAGS:
        raise _BadRow("too_many_tags")
    if any(not _matches(_IDENTIFIER, tag) for tag in tags):
        raise _BadRow("tag_invalid")
    return Prompt(
        text=_text(texts[0]),
        intent=_intent(fields),
        category=_word(fields, "category", _IDENTIFIER),
        language=_word(fields, "language", _LANGUAGE, default=DEFAULT_LANGUAGE),
        tags=tuple(tags),
        family=_word(fields, "family", _IDENTIFIER, default=""),
    )


def _parse_object(raw: str) -> dict[str, Any]:
    try:
        pairs = json.loads(raw, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        # ValueError is also raised for numbers with thousands of digits.
        raise _BadRow("not_json") from None
    if not isinstance(pairs, _Pairs):
        raise _BadRow("not_object")
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise _BadRow("duplicate_key")
    return fields


class _Pairs(list[tuple[str, Any]]):
    """Keep the pairs of a JSON object, so that a key that stands twice shows."""


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _BadRow("text_invalid")
    if not value or value.isspace():
        raise _BadRow("text_empty")
    try:
        size_bytes = len(value.encode())
    except UnicodeEncodeError:  # half of a surrogate pair, as JSON can write it
        raise _BadRow("text_not_unicode") from None
    if size_bytes > MAX_TEXT_BYTES:
        raise _BadRow("text_too_long")
    return value


def _intent(fields: Mapping[str, Any]) -> Intent:
    if "intent" not in fields:
        raise _BadRow("intent_missing")
    try:
        return Intent(fields["intent"])
    except ValueError:
        raise _BadRow("intent_invalid") from None


def _word(fields: Mapping[str, Any], key: str, pattern: re.Pattern[str], *, default: str | None = None) -> str:
    if key not in fields:
        if default is None:
            raise _BadRow(f"{key}_missing")
        return default
    value = fields[key]
    if value == "" and default == "":
        return ""
    if not _matches(pattern, value):
        raise _BadRow(f"{key}_invalid")
    return str(value)


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
