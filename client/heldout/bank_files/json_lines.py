"""JSON: one object a line (JSONL), or one list of objects or of texts in a ``.json`` file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from heldout.bank_files.content import Content, decode_lines, read_document
from heldout.bank_files.fields import BadField, Record
from heldout.bank_model import BadRow
from heldout.errors import BankFileError


class _Pairs(list[tuple[str, Any]]):
    """Keep the pairs of a JSON object, so that a key that stands twice shows."""


def read_json_lines(content: Content) -> Iterator[Record | BadRow]:
    """Yield the object of each line that is not blank."""
    for number, line in decode_lines(content.file, content.name):
        if not line.strip():
            continue
        try:
            # ValueError is also raised for numbers with thousands of digits.
            pairs = json.loads(line, object_pairs_hook=_Pairs)
            yield Record(number, _object(pairs))
        except (ValueError, RecursionError):
            yield BadRow(number, "not_json")
        except BadField as error:
            yield BadRow(number, str(error))


def read_json_list(content: Content) -> Iterator[Record | BadRow]:
    """Yield the members of a list, numbered from 1: objects, or texts.

    Raises:
        BankFileError: it is not JSON, or longer than 16 MiB.
    """
    try:
        members = json.loads(read_document(content), object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        raise BankFileError(f"{content.name}: is not JSON") from None
    for number, member in enumerate(members, 1):
        try:
            yield Record(number, {"prompt": member} if isinstance(member, str) else _object(member))
        except BadField as error:
            yield BadRow(number, str(error))


def _object(pairs: object) -> dict[str, object]:
    if not isinstance(pairs, _Pairs):
        raise BadField("not_object")
    fields = {key: _plain(value) for key, value in pairs}
    if len(fields) < len(pairs):
        raise BadField("duplicate_key")
    return fields


def _plain(value: object) -> object:
    if isinstance(value, _Pairs):
        return _object(value)
    return [_plain(one) for one in value] if isinstance(value, list) else value
