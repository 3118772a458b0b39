"""Read the header of a safetensors file (huggingface/safetensors, README, "Format").

Eight bytes say how long the header is, in little endian; it is one JSON object, padded with spaces, of tensors and an
optional ``__metadata__`` of strings; then comes the data, which the tensors cover without holes or overlaps.

The header is read tensor by tensor, so that a hostile one cannot make us build what it describes.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import Any, BinaryIO, Final, NoReturn

from heldout_server.checkpoints.formats.contents import MAX_TENSORS, Contents
from heldout_server.checkpoints.refusal import Reason, Unacceptable

MAX_HEADER_BYTES: Final = 16 * 1024 * 1024
MAX_TENSOR_CHARACTERS: Final = 2048
MAX_DIMENSIONS: Final = 16
MAX_DIMENSION: Final = 2**48
LENGTH_BYTES: Final = 8
METADATA: Final = "__metadata__"

BITS: Final = {
    "BOOL": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "C64": 64,
    "F64": 64,
    "I64": 64,
    "U64": 64,
}
"""Bits of one element by type."""

_SPACE: Final = r"[ \t\r\n]*+"
_TEXT: Final = r'"(?:[^"\\\x00-\x1f]|\\.)*+"'
_PAIR: Final = rf"{_TEXT}{_SPACE}:{_SPACE}{_TEXT}{_SPACE}"
_OPEN: Final = re.compile(rf"\{{{_SPACE}")
_EMPTY: Final = re.compile(rf"\{{{_SPACE}\}}{_SPACE}")
_NAME: Final = re.compile(rf"({_TEXT}){_SPACE}:{_SPACE}")
_TENSOR: Final = re.compile(rf"(\{{[^{{}}]{{0,{MAX_TENSOR_CHARACTERS}}}+\}}){_SPACE}")
_STRINGS: Final = re.compile(rf"\{{{_SPACE}(?:{_PAIR}(?:,{_SPACE}{_PAIR})*+)?+\}}{_SPACE}")
_NEXT: Final = re.compile(rf",{_SPACE}")
_END: Final = re.compile(rf"\}}{_SPACE}")


def read_safetensors(file: BinaryIO, *, size: int) -> Contents:
    """Read a header from the start of a file.

    Args:
        file: open for reading, at its start.
        size: of the whole file, in bytes.

    Raises:
        Unacceptable: the file is truncated, or its header is none.
    """
    start = file.read(LENGTH_BYTES)
    if len(start) < LENGTH_BYTES:
        raise Unacceptable(Reason.TRUNCATED)
    length = int.from_bytes(start, "little")
    if length > MAX_HEADER_BYTES:
        raise Unacceptable(Reason.HEADER_TOO_LARGE)
    header = file.read(length)
    if len(header) < length:
        raise Unacceptable(Reason.TRUNCATED)
    try:
        tensors = _read_tensors(header.decode())
    except (ValueError, RecursionError):  # no UTF-8, no JSON, or a number too long
        raise Unacceptable(Reason.HEADER_INVALID) from None
    _verify_spans(tensors, size - LENGTH_BYTES - length)
    sizes: Counter[str] = Counter()
    for dtype, begin, end in tensors.values():
        sizes[dtype.lower()] += end - begin
    return Contents(sizes=sizes)


def _read_tensors(header: str) -> dict[str, tuple[str, int, int]]:
    """Return the type and the span in the data of each tensor."""
    tensors: dict[str, tuple[str, int, int]] = {}
    if _EMPTY.fullmatch(header):
        return tensors
    has_metadata = False
    at = _match(_OPEN, header, 0).end()
    while True:
        found = _match(_NAME, header, at)
        name: str = json.loads(found[1])
        if name in tensors or (name == METADATA and has_metadata):
            raise Unacceptable(Reason.DUPLICATE_NAME)
        if name == METADATA:
            has_metadata = True
            at = _match(_STRINGS, header, found.end()).end()
        else:
            if len(tensors) == MAX_TENSORS:
                raise Unacceptable(Reason.TOO_MANY_TENSORS)
            body = _match(_TENSOR, header, found.end())
            tensors[name] = _read_tensor(body[1])
            at = body.end()
        if (further := _NEXT.match(header, at)) is None:
            break
        at = further.end()
    if _match(_END, header, at).end() != len(header):
        raise Unacceptable(Reason.HEADER_INVALID)
    return tensors


def _match(pattern: re.Pattern[str], header: str, at: int) -> re.Match[str]:
    if (found := pattern.match(header, at)) is None:
        raise Unacceptable(Reason.HEADER_INVALID)
    return found


def _read_tensor(body: str) -> tuple[str, int, int]:
    pairs: list[tuple[str, Any]] = json.loads(body, object_pairs_hook=list, parse_constant=_refuse_constant)
    fields = dict(pairs)
    if len(pairs) != len(fields) or fields.keys() != {"dtype", "shape", "data_offsets"}:
        raise Unacceptable(Reason.HEADER_INVALID)
    dtype, shape, offsets = fields["dtype"], fields["shape"], fields["data_offsets"]
    if not isinstance(dtype, str) or dtype not in BITS:
        raise Unacceptable(Reason.UNKNOWN_DTYPE)
    if not _are_counts(shape) or len(shape) > MAX_DIMENSIONS or any(one > MAX_DIMENSION for one in shape):
        raise Unacceptable(Reason.BAD_SHAPE)
    if not _are_counts(offsets) or len(offsets) != 2:  # noqa: PLR2004 - a begin and an end
        raise Unacceptable(Reason.BAD_OFFSETS)
    begin, end = offsets
    if math.prod(shape) * BITS[dtype] != (end - begin) * 8:
        raise Unacceptable(Reason.BAD_OFFSETS)
    return dtype, begin, end


def _are_counts(value: object) -> bool:
    return isinstance(value, list) and all(type(one) is int and one >= 0 for one in value)


def _refuse_constant(_name: str) -> NoReturn:
    raise Unacceptable(Reason.BAD_SHAPE)  # NaN and Infinity: Python's parser would take them for numbers


def _verify_spans(tensors: dict[str, tuple[str, int, int]], size: int) -> None:
    covered = 0
    for begin, end in sorted((begin, end) for _, begin, end in tensors.values()):
        if begin != covered:
            raise Unacceptable(Reason.BAD_OFFSETS)
        covered = end
    if covered > size:
        raise Unacceptable(Reason.TRUNCATED)
    if covered < size:
        raise Unacceptable(Reason.BAD_OFFSETS)
