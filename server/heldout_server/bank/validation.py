"""The rules for one prompt, pure: what may enter the bank, and the reason code of what may not.

1. The text is Unicode that UTF-8 can write, 1 to 65,536 bytes, not white space alone, without control characters
   (C0 but for tab, line feed and carriage return).
2. Category, tags and family are identifiers, at most 16 tags; the family may be empty.
3. The language is a BCP 47 tag in lower case, at most 35 characters (RFC 5646 section 4.4.1).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from heldout_server.domain import IDENTIFIER, PromptDraft

MAX_TEXT_BYTES: Final = 65_536
MAX_TAGS: Final = 16
MAX_LANGUAGE_CHARACTERS: Final = 35

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_LANGUAGE: Final = re.compile(r"[a-z]{2,8}(-[a-z0-9]{1,8})*")


def decide_reason(draft: PromptDraft) -> str | None:
    """Return why a prompt may not enter the bank, as a code, or None if it may."""
    reason = _text_reason(draft.text.reveal())
    if reason is not None:
        return reason
    if not _is_identifier(draft.category):
        return "category_invalid"
    if not _is_language(draft.language):
        return "language_invalid"
    if draft.family and not _is_identifier(draft.family):
        return "family_invalid"
    return _tags_reason(draft.tags)


def _tags_reason(tags: tuple[str, ...]) -> str | None:
    if len(tags) > MAX_TAGS:
        return "too_many_tags"
    if not all(map(_is_identifier, tags)):
        return "tag_invalid"
    return None


def _text_reason(text: str) -> str | None:
    if not text or text.isspace():
        return "text_empty"
    if len(text) > MAX_TEXT_BYTES:
        return "text_too_long"
    if not text.isascii():
        try:
            size_bytes = len(text.encode())
        except UnicodeEncodeError:
            return "text_not_unicode"
        if size_bytes > MAX_TEXT_BYTES:
            return "text_too_long"
    if _CONTROL.search(text) is not None:
        return "text_control_characters"
    return None


# The same few names stand in row after row.
@lru_cache(maxsize=4096)
def _is_identifier(name: str) -> bool:
    return IDENTIFIER.fullmatch(name) is not None


@lru_cache(maxsize=256)
def _is_language(tag: str) -> bool:
    return len(tag) <= MAX_LANGUAGE_CHARACTERS and _LANGUAGE.fullmatch(tag) is not None
