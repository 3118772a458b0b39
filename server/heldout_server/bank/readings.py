"""Every way in which a card could be read: as it stands, backwards, and with what is encoded in it decoded.

Readings of readings are read too, so that base64 of a reversed hexadecimal text is found; how many there may be is
bounded, and a text that has more is one that nobody should publish.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import re
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Final

MAX_READINGS: Final = 96
MAX_CHARACTERS: Final = 400_000
"""Of all readings together."""

MIN_DECODED: Final = 12
"""Bytes from which something decoded is worth reading."""

MIN_LETTERS: Final = 0.85
"""Share of letters, digits and blanks from which something decoded is taken for text."""

_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{8,}(?:\s+[A-Za-z0-9+/_-]{8,})*")
_BASE32: Final = re.compile(r"[A-Za-z2-7]{20,}")
_BASE32_NEVER: Final = (1, 3, 6)
"""Letters past whole eights that no encoding ends with (RFC 4648, section 6)."""

_HEX: Final = re.compile(r"(?:(?:\\x|0x)?[0-9A-Fa-f]{2}[\s:,;-]*){6,}")
_HEX_NOISE: Final = re.compile(r"\\x|0x|[^0-9A-Fa-f]")
_ESCAPE: Final = re.compile(r"\\u([0-9A-Fa-f]{4})")
_PERCENT: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_TAGS: Final = {0xE0000 + code: code for code in range(0x20, 0x7F)}


class TooManyReadings(Exception):
    """A text can be read in more ways than are looked at."""


def read_all(text: str) -> list[str]:
    """Return all readings of a text, itself first.

    Raises:
        TooManyReadings: there are more, or longer ones, than are looked at.
    """
    readings = {text: None}  # a set that keeps its order
    waiting = [text]
    characters = len(text)
    while waiting:
        reading = waiting.pop(0)
        for decode in _WAYS:
            for found in decode(reading):
                if found in readings:
                    continue
                characters += len(found)
                if len(readings) >= MAX_READINGS or characters > MAX_CHARACTERS:
                    raise TooManyReadings
                readings[found] = None
                waiting.append(found)
    return list(readings)


def _backwards(text: str) -> Iterator[str]:
    yield text[::-1]


def _words_backwards(text: str) -> Iterator[str]:
    yield " ".join(reversed(text.split()))


def _rot13(text: str) -> Iterator[str]:
    yield codecs.encode(text, "rot13")


def _unescaped(text: str) -> Iterator[str]:
    if _PERCENT.search(text):
        yield urllib.parse.unquote(text)
    if "&" in text and (plain := html.unescape(text)) != text:
        yield plain
    if _ESCAPE.search(text):
        yield _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
    if not text.isascii() and (shown := text.translate(_TAGS)) != text:
        yield shown


def _from_base64(text: str) -> Iterator[str]:
    for found in _BASE64.finditer(text):
        whole = found[0]
        pieces = {"".join(whole.split()), *(whole.split() if " " in whole or "\n" in whole else ())}
        for piece in sorted(pieces):
            standard = piece.translate(str.maketrans("-_", "+/"))
            for start in range(4):  # something may have been put before it
                usable = standard[start : start + (len(standard) - start) // 4 * 4]
                rest = standard[start + len(usable) :]
                padded = usable + (rest + "=" * (4 - len(rest)) if len(rest) > 1 else "")
                try:
                    yield from _as_text(base64.b64decode(padded, validate=True))
                except binascii.Error:
                    continue


def _from_hex(text: str) -> Iterator[str]:
    for found in _HEX.finditer(text):
        digits = _HEX_NOISE.sub("", found[0])
        yield from _as_text(bytes.fromhex(digits[: len(digits) // 2 * 2]))


def _from_base32(text: str) -> Iterator[str]:
    for found in _BASE32.finditer(text):
        letters = found[0].upper()
        for start in range(8):  # something may have been put before it
            usable = letters[start:]
            if len(usable) % 8 in _BASE32_NEVER:
                usable = usable[:-1]
            yield from _as_text(base64.b32decode(usable + "=" * (-len(usable) % 8)))


def _as_text(raw: bytes) -> Iterator[str]:
    """Yield what bytes say, if they say anything: text in UTF-8, or another encoding."""
    if len(raw) < MIN_DECODED:
        return
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return
    if sum(one.isalnum() or one.isspace() for one in text) >= MIN_LETTERS * len(text):
        yield text


_WAYS: Final[tuple[Callable[[str], Iterator[str]], ...]] = (
    _backwards,
    _words_backwards,
    _rot13,
    _unescaped,
    _from_base64,
    _from_base32,
    _from_hex,
)
