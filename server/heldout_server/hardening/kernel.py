"""Call the kernel where Python has no function for it."""

from __future__ import annotations

import ctypes
import os
from typing import Final

PR_SET_PDEATHSIG: Final = 1
PR_SET_DUMPABLE: Final = 4
PR_SET_SECCOMP: Final = 22
PR_SET_NO_NEW_PRIVS: Final = 38
SECCOMP_MODE_FILTER: Final = 2
CAPABILITY_VERSION_3: Final = 0x20080522
MCL_CURRENT: Final = 1
MCL_FUTURE: Final = 2
MCL_ONFAULT: Final = 4

_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def syscall(number: int, *arguments: int) -> int:
    """Make a system call by its number (syscall(2)); pointers are passed as addresses.

    Raises:
        OSError: the kernel refuses.
    """
    return _checked(_libc.syscall(ctypes.c_long(number), *(ctypes.c_long(one) for one in arguments)))


def control_process(option: int, *arguments: int) -> int:
    """Change something about this process (prctl(2)).

    Raises:
        OSError: the kernel refuses.
    """
    four = (*arguments, 0, 0, 0, 0)[:4]
    return _checked(_libc.prctl(ctypes.c_int(option), *(ctypes.c_ulong(one) for one in four)))


def lock_memory() -> None:
    """Keep the pages of this process out of swap, each from when it is first used (mlockall(2)).

    Raises:
        OSError: the limit is too low.
    """
    _checked(_libc.mlockall(ctypes.c_int(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)))


def drop_capabilities() -> None:
    """Give up every capability; with ``no_new_privs`` set, exec does not bring one back (capabilities(7)).

    Raises:
        OSError: the kernel refuses.
    """
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    _checked(_libc.capset(header, (ctypes.c_uint32 * 6)()))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
