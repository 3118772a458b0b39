"""Why a checkpoint is not taken in: the codes, and the one way in which the room says so to itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from heldout_server.errors import CheckpointError


class Reason(StrEnum):
    """Name what is wrong with a checkpoint, without saying where or quoting anything."""

    SYMLINK = "symlink"
    HARD_LINK = "hard_link"
    SPECIAL_FILE = "special_file"
    BAD_NAME = "bad_name"
    PICKLE = "pickle"
    PICKLE_NAME = "pickle_name"
    CODE = "code"
    ARCHIVE = "archive"
    CHANGED_WHILE_READ = "changed_while_read"
    UNREADABLE = "unreadable"
    TOO_MANY_FILES = "too_many_files"
    TOO_LARGE = "too_large"
    MANIFEST_MISSING = "manifest_missing"
    MANIFEST_INVALID = "manifest_invalid"
    NAME_MISMATCH = "name_mismatch"
    FILES_MISMATCH = "files_mismatch"
    EMPTY = "empty"
    TRUNCATED = "truncated"
    HEADER_TOO_LARGE = "header_too_large"
    HEADER_INVALID = "header_invalid"
    TOO_MANY_TENSORS = "too_many_tensors"
    DUPLICATE_NAME = "duplicate_name"
    UNKNOWN_DTYPE = "unknown_dtype"
    BAD_SHAPE = "bad_shape"
    BAD_OFFSETS = "bad_offsets"
    CONFIG_INVALID = "config_invalid"
    REMOTE_CODE = "remote_code"
    ADAPTER = "adapter"
    BASE_UNKNOWN = "base_unknown"


class Fault(StrEnum):
    """Name what is wrong with a line or a key of ``checkpoint.toml``."""

    NOT_UTF8 = "not_utf8"
    NOT_TOML = "not_toml"
    TOO_LONG = "too_long"
    TOO_NESTED = "too_nested"
    SEVERAL_LINES = "several_lines"
    UNKNOWN_KEY = "unknown_key"
    MISSING = "missing"
    NOT_A_NAME = "not_a_name"
    NOT_DIGESTS = "not_digests"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """Say where in a checkpoint something is wrong, in words of ours alone: whoever made it chose all others.

    Attributes:
        fault: what is wrong there; None where the reason says it.
        key: one of the keys that we know; empty for none.
        line: of ``checkpoint.toml``, counted from 1; 0 for none.
        file: the file's number among all of the checkpoint in the order of their paths, from 1; 0 for none.
        ending: of that file, if it is one that we know, without its dot.
    """

    fault: Fault | None = None
    key: str = ""
    line: int = 0
    file: int = 0
    ending: str = ""

    def code(self) -> str:
        """Return it as one identifier, such as ``unknown_key.line-4`` or ``file-2.ending-bin``."""
        parts = [self.fault.value] if self.fault else []
        parts += [f"{name}-{value}" for name in ("key", "line", "file", "ending") if (value := getattr(self, name))]
        return ".".join(parts)


class Unacceptable(CheckpointError):
    """Say why a checkpoint is refused. Caught within the room, where it becomes a record.

    Attributes:
        code: the reason.
        spot: where, as far as it is known.
    """

    def __init__(self, reason: Reason, spot: Spot | None = None) -> None:
        super().__init__(f"the checkpoint is refused: {reason}", reason=reason.value)
        self.code = reason
        self.spot = spot or Spot()
