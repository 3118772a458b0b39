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

_CONTROL: Final = bytes({*range(0x20)} - {*b"\t\n\r"})
_LANGUAGE: Final = re.compile(r"[a-z]{2,8}(-[a-z0-9]{1,8})*")


def decide_reason(draft: PromptDraft) -> str | None:
    """Return why a prompt may not enter the bank, as a code, or None if it may."""
    return _text_reason(draft.text.reveal()) or _labels_reason(draft.category, draft.language, draft.family, draft.tags)


# The same few names stand together in row after row.
@lru_cache(maxsize=4096)
def _labels_reason(category: str, language: str, family: str, tags: tuple[str, ...]) -> str | None:
    if IDENTIFIER.fullmatch(category) is None:
        return "category_invalid"
    if len(language) > MAX_LANGUAGE_CHARACTERS or _LANGUAGE.fullmatch(language) is None:
        return "language_invalid"
    if family and IDENTIFIER.fullmatch(family) is None:
        return "family_invalid"
    if len(tags) > MAX_TAGS:
        return "too_many_tags"
    if not all(map(IDENTIFIER.fullmatch, tags)):
        return "tag_invalid"
    return None


def _text_reason(text: str) -> str | None:
    if not text or text.isspace():
        return "text_empty"
    if len(text) > MAX_TEXT_BYTES:
        return "text_too_long"
    try:
        written = text.encode()
    except UnicodeEncodeError:
        return "text_not_unicode"
    if len(written) > MAX_TEXT_BYTES:
        return "text_too_long"
    if len(written.translate(None, _CONTROL)) != len(written):
        return "text_control_characters"
    return None
