"""One field at a time: what can be sent of it, or the reason code of what cannot."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from heldout.bank_model import Intent

MAX_TEXT_BYTES: Final = 65_536
MAX_TAGS: Final = 16
MAX_IDENTIFIER: Final = 64
DEFAULT_LANGUAGE: Final = "en"

IDENTIFIER: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
LANGUAGE: Final = re.compile(r"[a-z]{2,8}(-[a-z0-9]{1,8})*")
_NOT_IN_AN_IDENTIFIER: Final = re.compile(r"[^a-z0-9._-]+")


class BadField(Exception):
    """Carry why a row will not do, as a code."""


@dataclass(frozen=True, slots=True)
class Record:
    """Hold one row as its file has it: not checked, and not in the ``repr``."""

    line: int
    fields: Mapping[str, object] = field(repr=False)


def slug(name: str) -> str:
    """Return a name as an identifier: ``Sexual/Adult content`` is ``sexual-adult-content``; may be empty."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return _NOT_IN_AN_IDENTIFIER.sub("-", plain).strip("-._")[:MAX_IDENTIFIER].rstrip("-._")


def check_text(value: object) -> str:
    """Return a text that can be sent.

    Raises:
        BadField: it cannot.
    """
    if not isinstance(value, str):
        raise BadField("text_invalid")
    if not value or value.isspace():
        raise BadField("text_empty")
    try:
        size_bytes = len(value.encode())
    except UnicodeEncodeError:  # half of a surrogate pair, as JSON can write it
        raise BadField("text_not_unicode") from None
    if size_bytes > MAX_TEXT_BYTES:
        raise BadField("text_too_long")
    return value


def check_intent(value: object) -> Intent:
    """Return an intent.

    Raises:
        BadField: it is none.
    """
    if not isinstance(value, str) or value not in set(Intent):
        raise BadField("intent_invalid")
    return Intent(value)


def check_identifier(value: object, code: str) -> str:
    """Return an identifier.

    Raises:
        BadField: it is none; with this code.
    """
    if not isinstance(value, str) or IDENTIFIER.fullmatch(value) is None:
        raise BadField(code)
    return value


def check_language(value: object) -> str:
    """Return a BCP 47 tag in lower case.

    Raises:
        BadField: it is none.
    """
    if not isinstance(value, str) or LANGUAGE.fullmatch(value) is None:
        raise BadField("language_invalid")
    return value


def check_tags(value: object) -> tuple[str, ...]:
    """Return tags.

    Raises:
        BadField: they are not at most 16 identifiers.
    """
    if not isinstance(value, list | tuple):
        raise BadField("tags_invalid")
    if len(value) > MAX_TAGS:
        raise BadField("too_many_tags")
    return tuple(check_identifier(tag, "tag_invalid") for tag in value)


def fold_tags(value: object) -> tuple[str, ...]:
    """Return what another tool's tags are as ours: split at commas if it is a text, each as :func:`slug` writes it."""
    parts = value.replace(";", ",").split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple):
        return ()
    return tuple(dict.fromkeys(name for name in (slug(str(part)) for part in parts) if name))[:MAX_TAGS]
