"""Parquet, where the optional ``pyarrow`` is installed: read a few rows at a time, and only flat columns."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from typing import Any, Final

from heldout.bank_files.content import Content
from heldout.bank_files.fields import Record
from heldout.bank_model import BadRow
from heldout.errors import BankFileError

BATCH_ROWS: Final = 64
MAX_GROUP_BYTES: Final = 512 << 20
MAX_PACKED_BYTES: Final = 256 << 20
"""Of a Parquet file inside gzip, which must be held whole: one moves about in it."""

INSTALL: Final = 'reading Parquet needs pyarrow: pip install "heldout[parquet]"'


def open_parquet(content: Content, stack: contextlib.ExitStack) -> tuple[tuple[str, ...], Iterator[Record | BadRow]]:
    """Return the names of the columns, and the rows, numbered from 1.

    Raises:
        BankFileError: pyarrow is not installed, or it is not Parquet, has nested columns, or unpacks to too much.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415 - optional, and slow
        from pyarrow import parquet  # noqa: PLC0415 - likewise
    except ImportError:
        raise BankFileError(f"{content.name}: {INSTALL}") from None
    source: io.BufferedIOBase | io.BytesIO
    if content.seekable is not None:
        source = content.seekable
    else:
        held = content.file.read(MAX_PACKED_BYTES + 1)
        if len(held) > MAX_PACKED_BYTES:
            raise BankFileError(f"{content.name}: Parquet inside gzip is too long: unpack it first")
        source = io.BytesIO(held)
    try:
        table = stack.enter_context(parquet.ParquetFile(source))
        schema, metadata = table.schema_arrow, table.metadata
    except (pa.ArrowException, OSError):
        raise _damaged(content.name) from None
    names = tuple(schema.names)
    if len(set(names)) < len(names):
        raise BankFileError(f"{content.name}: two columns have one name")
    for place, kind in enumerate(schema.types, 1):
        flat_list = pa.types.is_list(kind) and not pa.types.is_nested(kind.value_type)
        if pa.types.is_nested(kind) and not flat_list:
            raise BankFileError(f"{content.name}: column {place} is nested: make it flat")
    if any(metadata.row_group(n).total_byte_size > MAX_GROUP_BYTES for n in range(metadata.num_row_groups)):
        raise BankFileError(f"{content.name}: unpacks to far more than a file of prompts would; nothing was imported")
    kept = tuple(name for name in names if not name.startswith("__index_level_"))
    return kept, _rows(content.name, table, kept, pa)


def _rows(name: str, table: Any, columns: tuple[str, ...], pa: Any) -> Iterator[Record | BadRow]:
    number = 0
    try:
        for batch in table.iter_batches(batch_size=BATCH_ROWS, columns=list(columns), use_threads=False):
            for fields in batch.to_pylist():
                number += 1
                # A null says nothing.
                yield Record(number, {key: value for key, value in fields.items() if value is not None})
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        raise _damaged(name) from None


def _damaged(name: str) -> BankFileError:
    return BankFileError(f"{name}: is a truncated or damaged Parquet file")
