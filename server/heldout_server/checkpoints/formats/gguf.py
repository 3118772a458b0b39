"""Read the header of a GGUF file, version 2 or 3 in little endian (ggml-org/ggml, docs/gguf.md).

Magic, version, how many tensors, how many keys; the keys with their values; the tensors' names, shapes, types and
offsets; then, aligned, the data. Values that say nothing to us are passed over and never built.
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from typing import BinaryIO, Final

from heldout_server.checkpoints.formats.contents import MAX_TENSORS, Contents
from heldout_server.checkpoints.refusal import Reason, Unacceptable

MAGIC: Final = b"GGUF"
VERSIONS: Final = frozenset({2, 3})
MAX_HEADER_BYTES: Final = 32 * 1024 * 1024
MAX_KEYS: Final = 4096
MAX_KEY_BYTES: Final = 1024
MAX_KEPT_BYTES: Final = 1024 * 1024
MAX_TENSOR_NAME_BYTES: Final = 1024
MAX_DIMENSIONS: Final = 4
MAX_DIMENSION: Final = 2**48
MAX_ALIGNMENT: Final = 65_536
DEFAULT_ALIGNMENT: Final = 32

ARCHITECTURE: Final = b"general.architecture"
ALIGNMENT: Final = b"general.alignment"
TYPE: Final = b"general.type"
ADAPTER: Final = b"adapter"
CHAT_TEMPLATE: Final = b"tokenizer.chat_template"

UINT32: Final = 4
STRING: Final = 8
ARRAY: Final = 9
VALUE_BYTES: Final = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Bytes of one value by its type; strings and arrays say their own length."""

TENSOR_TYPES: Final = {
    0: ("f32", 1, 4),
    1: ("f16", 1, 2),
    2: ("q4_0", 32, 18),
    3: ("q4_1", 32, 20),
    6: ("q5_0", 32, 22),
    7: ("q5_1", 32, 24),
    8: ("q8_0", 32, 34),
    10: ("q2_k", 256, 84),
    11: ("q3_k", 256, 110),
    12: ("q4_k", 256, 144),
    13: ("q5_k", 256, 176),
    14: ("q6_k", 256, 210),
    16: ("iq2_xxs", 256, 66),
    17: ("iq2_xs", 256, 74),
    18: ("iq3_xxs", 256, 98),
    19: ("iq1_s", 256, 50),
    20: ("iq4_nl", 32, 18),
    21: ("iq3_s", 256, 110),
    22: ("iq2_s", 256, 82),
    23: ("iq4_xs", 256, 136),
    24: ("i8", 1, 1),
    25: ("i16", 1, 2),
    26: ("i32", 1, 4),
    27: ("i64", 1, 8),
    28: ("f64", 1, 8),
    29: ("iq1_m", 256, 56),
    30: ("bf16", 1, 2),
    34: ("tq1_0", 256, 54),
    35: ("tq2_0", 256, 66),
    39: ("mxfp4", 32, 17),
    40: ("nvfp4", 64, 36),
    41: ("q1_0", 128, 18),
}
"""Name, elements of a block and bytes of a block by tensor type, of those that are found in files."""


def read_gguf(file: BinaryIO, *, size: int) -> Contents:
    """Read a header from the start of a file.

    Args:
        file: open for reading and seeking, at its start.
        size: of the whole file, in bytes.

    Raises:
        Unacceptable: the file is truncated, or its header is none.
    """
    header = _Header(file, size)
    if header.take(len(MAGIC)) != MAGIC or header.uint32() not in VERSIONS:
        raise Unacceptable(Reason.HEADER_INVALID)
    tensors, keys = header.uint64(), header.uint64()
    if tensors > MAX_TENSORS:
        raise Unacceptable(Reason.TOO_MANY_TENSORS)
    if keys > MAX_KEYS:
        raise Unacceptable(Reason.HEADER_TOO_LARGE)
    kept = _read_keys(header, keys)
    alignment = int.from_bytes(kept[ALIGNMENT], "little") if ALIGNMENT in kept else DEFAULT_ALIGNMENT
    if not 0 < alignment <= MAX_ALIGNMENT or alignment & (alignment - 1):
        raise Unacceptable(Reason.HEADER_INVALID)
    spans, sizes = _read_tensors(header, tensors, alignment)
    data = header.position + -header.position % alignment
    _verify_spans(spans, size - data)
    return Contents(
        sizes=sizes,
        architecture=kept.get(ARCHITECTURE, b"").decode(errors="replace"),
        chat_template=kept.get(CHAT_TEMPLATE),
        adapter=kept.get(TYPE) == ADAPTER,
    )


class _Header:
    """Take values from a file one by one, and no more of it than a header may have."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.position = 0
        self._file = file
        self._size = size

    def take(self, length: int) -> bytes:
        self._advance(length)
        return self._file.read(length)

    def skip(self, length: int) -> None:
        self._advance(length)
        self._file.seek(length, 1)

    def uint32(self) -> int:
        return int.from_bytes(self.take(4), "little")

    def uint64(self) -> int:
        return int.from_bytes(self.take(8), "little")

    def string(self, *, most: int) -> bytes:
        length = self.uint64()
        if length > most:
            raise Unacceptable(Reason.HEADER_TOO_LARGE)
        return self.take(length)

    def skip_value(self, kind: int) -> None:
        if kind in VALUE_BYTES:
            self.skip(VALUE_BYTES[kind])
        elif kind == STRING:
            self.skip(self.uint64())
        elif kind == ARRAY:
            self._skip_array()
        else:
            raise Unacceptable(Reason.HEADER_INVALID)

    def _skip_array(self) -> None:
        kind, count = self.uint32(), self.uint64()
        if kind in VALUE_BYTES:
            self.skip(VALUE_BYTES[kind] * count)
        elif kind == STRING:  # each takes 8 bytes at least, so the header's bound is the loop's
            for _ in range(count):
                self.skip(self.uint64())
        else:  # an array of arrays is read by no engine
            raise Unacceptable(Reason.HEADER_INVALID)

    def _advance(self, length: int) -> None:
        self.position += length
        if self.position > MAX_HEADER_BYTES:
            raise Unacceptable(Reason.HEADER_TOO_LARGE)
        if self.position > self._size:
            raise Unacceptable(Reason.TRUNCATED)


def _read_keys(header: _Header, count: int) -> dict[bytes, bytes]:
    """Return the values that say something to us."""
    wanted = {ARCHITECTURE: STRING, CHAT_TEMPLATE: STRING, TYPE: STRING, ALIGNMENT: UINT32}
    seen: set[bytes] = set()
    kept: dict[bytes, bytes] = {}
    for _ in range(count):
        key, kind = header.string(most=MAX_KEY_BYTES), header.uint32()
        if key in seen:
            raise Unacceptable(Reason.DUPLICATE_NAME)
        seen.add(key)
        if key not in wanted:
            header.skip_value(kind)
        elif kind != wanted[key]:
            raise Unacceptable(Reason.HEADER_INVALID)
        else:
            kept[key] = header.string(most=MAX_KEPT_BYTES) if kind == STRING else header.take(4)
    return kept


def _read_tensors(header: _Header, count: int, alignment: int) -> tuple[list[tuple[int, int]], Counter[str]]:
    """Return where each tensor begins and ends in the data, and the bytes of each type."""
    names: set[bytes] = set()
    spans: list[tuple[int, int]] = []
    sizes: Counter[str] = Counter()
    for _ in range(count):
        name, dimensions = header.string(most=MAX_TENSOR_NAME_BYTES), header.uint32()
        if name in names:
            raise Unacceptable(Reason.DUPLICATE_NAME)
        names.add(name)
        if dimensions > MAX_DIMENSIONS:
            raise Unacceptable(Reason.BAD_SHAPE)
        shape = struct.unpack(f"<{dimensions}Q", header.take(8 * dimensions))
        kind, offset = header.uint32(), header.uint64()
        if kind not in TENSOR_TYPES:
            raise Unacceptable(Reason.UNKNOWN_DTYPE)
        called, block, block_bytes = TENSOR_TYPES[kind]
        if any(one > MAX_DIMENSION for one in shape) or (shape[0] if shape else 1) % block:
            raise Unacceptable(Reason.BAD_SHAPE)
        if offset % alignment:
            raise Unacceptable(Reason.BAD_OFFSETS)
        length = math.prod(shape) // block * block_bytes
        spans.append((offset, offset + length))
        sizes[called] += length
    return spans, sizes


def _verify_spans(spans: list[tuple[int, int]], size: int) -> None:
    covered = 0
    for begin, end in sorted(spans):
        if begin < covered:
            raise Unacceptable(Reason.BAD_OFFSETS)
        covered = end
    if covered > size:
        raise Unacceptable(Reason.TRUNCATED)
