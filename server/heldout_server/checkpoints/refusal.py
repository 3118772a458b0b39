"""Why a checkpoint is not taken in: the codes, and the one way in which the room says so to itself."""

from __future__ import annotations

from enum import StrEnum

from heldout_server.errors import CheckpointError


class Reason(StrEnum):
    """Name what is wrong with a checkpoint, without saying where or quoting anything."""

    SYMLINK = "symlink"
    HARD_LINK = "hard_link"
    SPECIAL_FILE = "special_file"
    BAD_NAME = "bad_name"
    PICKLE = "pickle"
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


class Unacceptable(CheckpointError):
    """Say why a checkpoint is refused. Caught within the room, where it becomes a record."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(f"the checkpoint is refused: {reason}", reason=reason.value)
        self.code = reason
