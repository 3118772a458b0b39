"""The egress gate: a message leaves whole, or not at all.

The rules:

1. Every field of a message that somebody other than a bank tester can receive has a disclosure class, declared in the
   ``.proto`` beside it. A field without a class does not leave, even if it is empty of meaning.
2. A value leaves only if it fits its class (:data:`CHECKS`).
3. Fields of message type are walked; maps, extensions and unknown fields do not leave.
4. What does not fit refuses the whole message. The refusal names the field and the class, never the value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from heldout_proto.v1 import options_pb2

Check = Callable[[Any, frozenset[str]], bool]

IDENTIFIER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,255}")
"""Names without spaces: no prose fits. SPIFFE names are the longest of them."""

DIGEST: Final = re.compile(r"[0-9a-f]{64}")
MINUTE_S: Final = 60
"""A time leaves as the minute it lies in: an exact one would tell how long something took."""

MAX_PROOF_BYTES: Final = 1 << 20


class NotDisclosable(Exception):
    """Say which field does not fit its class.

    Attributes:
        field: full name of the field.
        disclosure: name of its class.
    """

    def __init__(self, field: str, disclosure: str) -> None:
        super().__init__(f"{field} does not fit {disclosure}")
        self.field = field
        self.disclosure = disclosure


def _is_closed(value: Any, _approved: frozenset[str]) -> bool:
    return isinstance(value, int)  # bool and enum numbers; open enums are checked against their values in _fits


def _is_identifier(value: Any, _approved: frozenset[str]) -> bool:
    return value == "" or (isinstance(value, str) and IDENTIFIER.fullmatch(value) is not None)


def _is_grid_integer(value: Any, _approved: frozenset[str]) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_public_meta(value: Any, _approved: frozenset[str]) -> bool:
    if isinstance(value, str):
        return value == "" or DIGEST.fullmatch(value) is not None
    return isinstance(value, int)


def _is_approved_text(value: Any, approved: frozenset[str]) -> bool:
    return value in approved


def whole_minute(moment_s: float) -> int:
    """Return the minute that a moment lies in, both in Unix seconds, as it may leave."""
    return int(moment_s // MINUTE_S) * MINUTE_S


def _is_time_bucket(value: Any, _approved: frozenset[str]) -> bool:
    return isinstance(value, int) and value % MINUTE_S == 0


def _is_proof(value: Any, _approved: frozenset[str]) -> bool:
    return isinstance(value, bytes | str) and len(value) <= MAX_PROOF_BYTES


CHECKS: Final[dict[int, Check]] = {
    options_pb2.DISCLOSURE_ENUM: _is_closed,
    options_pb2.DISCLOSURE_IDENTIFIER: _is_identifier,
    options_pb2.DISCLOSURE_NOISED: _is_grid_integer,
    options_pb2.DISCLOSURE_PUBLIC_META: _is_public_meta,
    options_pb2.DISCLOSURE_APPROVED_TEXT: _is_approved_text,
    options_pb2.DISCLOSURE_TIME_BUCKET: _is_time_bucket,
    options_pb2.DISCLOSURE_PROOF: _is_proof,
}
"""What fits each class. A class that is not here (no class among them) fits nothing."""


def verify_disclosable(message: Message, *, approved_texts: frozenset[str]) -> None:
    """Check a whole message, field by field.

    Args:
        message: what is about to leave.
        approved_texts: every text of every approved card, exactly.

    Raises:
        NotDisclosable: a field has no class, or its value does not fit it.
    """
    if len(UnknownFieldSet(message)) > 0:
        raise NotDisclosable(message.DESCRIPTOR.full_name, "DISCLOSURE_UNSPECIFIED")
    for field, value in message.ListFields():
        rule = _rule_of(field)
        for one in value if rule.repeated else (value,):
            if rule.nested:
                verify_disclosable(one, approved_texts=approved_texts)
            elif not rule.fits(one, approved_texts):
                raise NotDisclosable(field.full_name, options_pb2.Disclosure.Name(disclosure_of(field)))


@dataclass(frozen=True, slots=True)
class _Rule:
    """Hold what a field's declaration asks of its values.

    Attributes:
        repeated: there are several.
        nested: they are messages, to be walked.
        check: what one must fit; None where nothing fits.
        numbers: the numbers that an enum declares, or None for what is no enum.
    """

    repeated: bool
    nested: bool
    check: Check | None
    numbers: frozenset[int] | None

    def fits(self, value: Any, approved: frozenset[str]) -> bool:
        if self.check is None or (self.numbers is not None and value not in self.numbers):
            return False
        return self.check(value, approved)


@cache
def _rule_of(field: FieldDescriptor) -> _Rule:
    """Read a declaration once: it takes longer than checking a value."""
    if _is_map(field):
        return _Rule(repeated=False, nested=False, check=None, numbers=None)
    return _Rule(
        repeated=field.is_repeated,
        nested=field.message_type is not None,
        check=CHECKS.get(disclosure_of(field)),
        numbers=None if field.enum_type is None else frozenset(field.enum_type.values_by_number),
    )


@cache
def disclosure_of(field: FieldDescriptor) -> int:
    """Return the declared class of a field, ``DISCLOSURE_UNSPECIFIED`` if it has none."""
    extension: Any = options_pb2.disclosure  # the generated stub is less exact than the type of an index
    return int(field.GetOptions().Extensions[extension])


def unclassified_fields(descriptor: Descriptor) -> tuple[str, ...]:
    """Return the full names of the fields, at any depth, that have no class and so could not leave."""
    return tuple(sorted(set(_unclassified(descriptor, set()))))


def _unclassified(descriptor: Descriptor, seen: set[str]) -> Iterator[str]:
    if descriptor.full_name in seen:
        return
    seen.add(descriptor.full_name)
    for field in descriptor.fields:
        if field.message_type is not None and not _is_map(field):
            yield from _unclassified(field.message_type, seen)
        elif _is_map(field) or disclosure_of(field) == options_pb2.DISCLOSURE_UNSPECIFIED:
            yield field.full_name


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)
