"""What is in a file: plain or gzip, known by its first bytes, read in bounded memory and decoded as UTF-8."""

from __future__ import annotations

import contextlib
import gzip
import io
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from heldout.errors import BankFileError

MAX_LINE_BYTES: Final = 1 << 20
MAX_DOCUMENT_BYTES: Final = 16 << 20
"""Of what cannot be read piece by piece: a YAML or JSON document."""

MAX_UNPACKED_BYTES: Final = 8 << 30
MAX_RATIO: Final = 200
"""Gzip makes 3 to 10 of 1 from prose, and at most 1,032 of 1 from one byte again and again."""

RATIO_FROM_BYTES: Final = 8 << 20
"""Below this, what a file unpacks to is harmless whatever the ratio."""

PARQUET_MAGIC: Final = b"PAR1"
_HEAD_BYTES: Final = 64
_GZIP_MAGIC: Final = b"\x1f\x8b"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_OTHER_ENCODINGS: Final = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
_ARCHIVES: Final = (
    (b"PK\x03\x04", "a zip archive"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\x00", "an xz file"),
    (b"(\xb5/\xfd", "a Zstandard file"),
    (b"7z\xbc\xaf", "a 7z archive"),
)
_MIN_PAIRS: Final = 4


class Binary(Protocol):
    """Be what bytes are read from."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes; none at the end."""
        ...

    def readline(self, size: int, /) -> bytes:
        """Return a line, its end included, cut at ``size`` bytes."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Hold an open file of prompts.

    Attributes:
        name: of the file, for messages.
        suffix: of the name in lower case, less ``.gz``, such as ``.csv``.
        head: its first bytes, unpacked.
        file: from its first byte on, unpacked.
        seekable: the same where one can move in it: not for gzip.
    """

    name: str
    suffix: str
    head: bytes
    file: Binary
    seekable: io.BufferedReader | None


@contextlib.contextmanager
def open_content(path: Path) -> Iterator[Content]:
    """Open a file; what goes wrong in it while it is read is mapped here too.

    Raises:
        BankFileError: it cannot be read, or is a truncated or damaged gzip file, an archive, or a bomb.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe could wait for ever
            raise BankFileError(f"{path.name}: is not a plain file")
        with path.open("rb") as file:
            packed = file.peek(len(_GZIP_MAGIC)).startswith(_GZIP_MAGIC)
            unpacked = io.BufferedReader(_Unpacked(file, path.name)) if packed else file
            suffix = Path(path.stem).suffix if path.suffix.lower() in {".gz", ".gzip"} else path.suffix
            head = unpacked.peek(_HEAD_BYTES)[:_HEAD_BYTES]
            _refuse_other_kinds(head, path.name)
            yield Content(
                name=path.name,
                suffix=suffix.lower(),
                head=head,
                file=unpacked,
                seekable=None if packed else file,
            )
    except FileNotFoundError:
        raise BankFileError(f"{path}: no such file") from None
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise BankFileError(f"{path.name}: is a truncated or damaged gzip file") from None
    except OSError as error:
        raise BankFileError(f"{path.name}: cannot be read ({error.strerror})") from None


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a file that are not blank, each with its 1-based number, in bounded memory.

    Raises:
        BankFileError: it cannot be read, is binary, truncated or not UTF-8, or has a line past 1 MiB.
    """
    with open_content(path) as content:
        for number, line in decode_lines(content.file, content.name):
            if line.strip():
                yield number, line


def decode_lines(file: Binary, name: str) -> Iterator[tuple[int, str]]:
    """Yield each line with its 1-based number and its end, blank ones too.

    Raises:
        BankFileError: a line is binary, not UTF-8, or longer than 1 MiB.
    """
    number = 0
    while raw := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if b"\x00" in raw:
            raise BankFileError(f"{name} line {number}: is binary, not a text")
        if len(raw) > MAX_LINE_BYTES:
            raise BankFileError(f"{name} line {number}: is longer than {MAX_LINE_BYTES:,} bytes")
        if number == 1:
            raw = raw.removeprefix(_BYTE_ORDER_MARK)
        try:
            line = raw.decode()
        except UnicodeDecodeError:
            raise BankFileError(f"{name} line {number}: is not UTF-8: save it as UTF-8") from None
        yield number, line


def read_document(content: Content) -> str:
    """Return the whole of a file that has no pieces.

    Raises:
        BankFileError: it is binary, not UTF-8, or longer than 16 MiB.
    """
    raw = content.file.read(MAX_DOCUMENT_BYTES + 1)
    if len(raw) > MAX_DOCUMENT_BYTES:
        raise BankFileError(f"{content.name}: is longer than {MAX_DOCUMENT_BYTES:,} bytes: use JSONL, which has pieces")
    if b"\x00" in raw:
        raise BankFileError(f"{content.name}: is binary, not a text")
    try:
        return raw.removeprefix(_BYTE_ORDER_MARK).decode()
    except UnicodeDecodeError:
        raise BankFileError(f"{content.name}: is not UTF-8: save it as UTF-8") from None


def _refuse_other_kinds(head: bytes, name: str) -> None:
    for mark, encoding in _OTHER_ENCODINGS:
        if head.startswith(mark):
            raise BankFileError(f"{name}: is {encoding}: save it as UTF-8")
    for mark, kind in _ARCHIVES:
        if head.startswith(mark):
            raise BankFileError(f"{name}: is {kind}: unpack it, and import what is in it (gzip is read as it is)")
    zeros = {head[place::2].count(0) for place in (0, 1)}
    if len(head) >= 2 * _MIN_PAIRS and zeros == {0, len(head) // 2}:
        raise BankFileError(f"{name}: looks like UTF-16: save it as UTF-8")


class _Unpacked(io.RawIOBase):
    """Unpack gzip, and stop at what unpacks to far more than a file of prompts would."""

    def __init__(self, file: io.BufferedReader, name: str) -> None:
        self._packed = file
        self._unpacked = gzip.GzipFile(fileobj=file)
        self._name = name
        self._size_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # what BufferedReader passes
        piece = self._unpacked.read(len(buffer))
        buffer[: len(piece)] = piece
        self._size_bytes += len(piece)
        limit = max(RATIO_FROM_BYTES, min(MAX_UNPACKED_BYTES, MAX_RATIO * self._packed.tell()))
        if self._size_bytes > limit:
            raise BankFileError(f"{self._name}: unpacks to far more than a file of prompts would; nothing was imported")
        return len(piece)
