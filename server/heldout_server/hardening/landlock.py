"""Take the file system away from this process, but for a few paths (landlock(7), Linux 5.13 and later).

What holds: everything that is not granted cannot be opened, listed, created, renamed or removed, whoever owns it, by
this process and all it starts, for good. Processes outside cannot be traced. From ABI 4 on (Linux 6.7) no TCP port can
be bound or connected to, from ABI 6 on (6.12) no process outside can be signalled. What Landlock does not cover, as
``stat``, ``chmod`` and Unix sockets, is in part left to :mod:`heldout_server.hardening.seccomp`.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable
from enum import IntFlag
from pathlib import Path
from typing import Final

from heldout_server.hardening.kernel import PR_SET_NO_NEW_PRIVS, control_process, syscall

# Numbers are the same on every architecture.
CREATE_RULESET: Final = 444
ADD_RULE: Final = 445
RESTRICT_SELF: Final = 446
ASK_VERSION: Final = 1
RULE_PATH_BENEATH: Final = 1


class Access(IntFlag):
    """What can be done with a path (``linux/landlock.h``)."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    MAKE_SOCK = 1 << 9
    READ = READ_FILE | READ_DIR


OF_A_FILE: Final = Access.EXECUTE | Access.WRITE_FILE | Access.READ_FILE
"""What may be granted for a path that is no folder."""

HANDLED_BY_ABI: Final = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
"""Every access to files that a version of the interface knows, by the first version that does."""

TCP: Final = 0b11  # bind and connect, from ABI 4
SCOPES: Final = 0b11  # abstract Unix sockets and signals, from ABI 6
ABI_OF_TCP: Final = 4
ABI_OF_SCOPES: Final = 6


def landlock_version() -> int:
    """Return the version of the kernel's interface, or 0 where there is none."""
    try:
        return syscall(CREATE_RULESET, 0, 0, ASK_VERSION)
    except OSError:
        return 0


def restrict_files(grants: Iterable[tuple[Path, Access]]) -> int:
    """Take away all files but those at or below some paths, and return the version of the interface that does it.

    Args:
        grants: paths and what may be done there; those that do not exist are left out.

    Raises:
        OSError: the kernel has no Landlock, or refuses.
    """
    version = syscall(CREATE_RULESET, 0, 0, ASK_VERSION)
    handled = max(mask for first, mask in HANDLED_BY_ABI.items() if first <= version)
    words = [handled]
    if version >= ABI_OF_TCP:
        words.append(TCP)
    if version >= ABI_OF_SCOPES:
        words.append(SCOPES)
    attributes = ctypes.create_string_buffer(struct.pack(f"={len(words)}Q", *words), 8 * len(words))
    ruleset = syscall(CREATE_RULESET, ctypes.addressof(attributes), len(attributes), 0)
    try:
        for path, access in grants:
            _grant(ruleset, path, access)
        control_process(PR_SET_NO_NEW_PRIVS, 1)
        syscall(RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return version


def _grant(ruleset: int, path: Path, access: Access) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there, or not for us, needs no rule
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            access &= OF_A_FILE
        rule = ctypes.create_string_buffer(struct.pack("=Qi", access, descriptor), 12)
        syscall(ADD_RULE, ruleset, RULE_PATH_BENEATH, ctypes.addressof(rule), 0)
    finally:
        os.close(descriptor)
