"""Take system calls away from this process that no model's server needs (seccomp(2), a classic BPF filter).

The rest of :mod:`heldout_server.hardening.landlock`: it covers what is no opening of a file. A server on a Unix socket
binds, listens and accepts: it connects to nobody, and to no other kind of network. Refused calls fail with ``EPERM``.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import socket
import struct
from collections.abc import Iterator
from typing import Final

from heldout_server.hardening.kernel import (
    PR_SET_NO_NEW_PRIVS,
    PR_SET_SECCOMP,
    SECCOMP_MODE_FILTER,
    control_process,
)

ARCHITECTURES: Final = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""By the machine's name: the column in the tables below, and what the kernel calls it (``linux/audit.h``)."""

X32: Final = 0x40000000
"""Numbers from here on are a second way into x86-64: refused whole."""

REFUSED: Final[dict[str, tuple[tuple[int, ...], tuple[int, ...]]]] = {
    # Landlock knows no connection to a socket with a name: another appliance's, a container engine's, a message bus.
    "connect": ((42,), (203,)),
    # ptrace, process_vm_readv and _writev, pidfd_getfd, kcmp, process_madvise
    "memory of others": ((101, 310, 311, 438, 312, 440), (117, 270, 271, 438, 272, 440)),
    # kill, tkill, rt_sigqueueinfo, rt_tgsigqueueinfo, pidfd_send_signal
    "signals to others": ((62, 200, 129, 297, 424), (129, 130, 138, 240, 424)),
    # chmod, fchmod, fchmodat, fchmodat2, chown, fchown, lchown, fchownat: Landlock lets the owner do it
    "modes and owners": ((90, 91, 268, 452, 92, 93, 94, 260), (52, 53, 452, 55, 54)),
    # setxattr and removexattr by path, link and descriptor, and both *at; utime, utimes, futimesat, utimensat; truncate
    "attributes": ((188, 189, 190, 197, 198, 199, 463, 466, 132, 235, 261, 280, 76),
                   (5, 6, 7, 14, 15, 16, 463, 466, 88, 45)),
    # mount, umount2, pivot_root, chroot, unshare, setns, open_tree, move_mount, fsopen, fsconfig, fsmount, fspick,
    # mount_setattr
    "mounts and namespaces": ((165, 166, 155, 161, 272, 308, 428, 429, 430, 431, 432, 433, 442),
                              (40, 39, 41, 51, 97, 268, 428, 429, 430, 431, 432, 433, 442)),
    # io_uring_setup, _enter, _register: its requests pass this filter by
    "rings": ((425, 426, 427), (425, 426, 427)),
    # bpf, perf_event_open, userfaultfd, add_key, request_key, keyctl, syslog, open_by_handle_at
    "kernel": ((321, 298, 323, 248, 249, 250, 103, 304), (280, 241, 282, 217, 218, 219, 116, 265)),
    # init_module, finit_module, delete_module, kexec_load, kexec_file_load, reboot, swapon, swapoff, acct
    "machine": ((175, 313, 176, 246, 320, 169, 167, 168, 163), (105, 273, 106, 104, 294, 142, 224, 225, 89)),
    # shmget, msgget, semget, mq_open: memory and queues that processes of one user share
    "shared memory": ((29, 68, 64, 240), (194, 186, 190, 180)),
}  # fmt: skip
SOCKETS: Final = ((41, 53), (198, 199))
"""socket, socketpair: a Unix stream and nothing else, so that no datagram can be addressed to anybody."""

OWN_PROCESS: Final = ((234,), (131,))
"""tgkill: threads of this process alone, as ``abort`` does."""

OWN_LIMITS: Final = ((302,), (261,))
"""prlimit64: this process alone."""

CLONE: Final = ((56,), (220,))
CLONE3: Final = 435
"""Its flags are in memory that no filter sees. Whoever is told that there is none uses clone."""

NEW_NAMESPACES: Final = 0x7E020080

_LOAD, _AND, _EQUAL, _AT_LEAST, _ANY_OF, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_SOCKET_KIND: Final = 0xF

Instruction = tuple[int, int, int, int]


def restrict_calls() -> None:
    """Refuse the calls named above from now on, for this process and all it starts.

    Raises:
        OSError: the kernel has no seccomp, refuses, or is of an architecture without a table here.
    """
    program = compile_filter(platform.machine(), os.getpid())
    instructions = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *one) for one in program))
    header = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(instructions)))
    control_process(PR_SET_NO_NEW_PRIVS, 1)
    control_process(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(header))


def has_filters() -> bool:
    """Say whether :func:`restrict_calls` can work here. Nothing is restricted: a filter at no address is no filter.

    A kernel that has filters says ``EFAULT`` to it, any other ``EINVAL`` (prctl(2), ``PR_SET_SECCOMP``).
    """
    if platform.machine() not in ARCHITECTURES:
        return False
    try:
        control_process(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, 0)
    except OSError as error:
        return error.errno == errno.EFAULT
    return False


def compile_filter(machine: str, pid: int) -> list[Instruction]:
    """Return the filter's instructions (``linux/filter.h``: code, jump if true, jump if false, operand).

    Args:
        machine: the architecture, as ``uname -m`` says it.
        pid: the process that it is for; exec keeps it.

    Raises:
        OSError: there is no table for the architecture.
    """
    if machine not in ARCHITECTURES:
        raise OSError(errno.ENOSYS, f"no table of system calls for {machine}")
    column, architecture = ARCHITECTURES[machine]
    refuse = (_RETURN, 0, 0, _ERRNO | errno.EPERM)
    allow = (_RETURN, 0, 0, _ALLOW)
    program: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
        *((_AT_LEAST, 0, 1, X32), refuse),
        *((_EQUAL, 0, 1, CLONE3), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)),
    ]
    for numbers in REFUSED.values():
        for number in numbers[column]:
            program += [(_EQUAL, 0, 1, number), refuse]
    for number in SOCKETS[column]:
        kind = [_argument(1), (_AND, 0, 0, _SOCKET_KIND), (_EQUAL, 1, 0, socket.SOCK_STREAM), refuse]
        program += _case(number, [_argument(0), (_EQUAL, 1, 0, socket.AF_UNIX), refuse, *kind, allow])
    for number in OWN_PROCESS[column]:
        program += _case(number, [_argument(0), (_EQUAL, 1, 0, pid), refuse, allow])
    for number in OWN_LIMITS[column]:
        program += _case(number, [_argument(0), (_EQUAL, 2, 0, 0), (_EQUAL, 1, 0, pid), refuse, allow])
    for number in CLONE[column]:
        program += _case(number, [_argument(0), (_ANY_OF, 0, 1, NEW_NAMESPACES), refuse, allow])
    return [*program, allow]


def _argument(number: int) -> Instruction:
    """Load the lower half of an argument, all that the kernel looks at in these (little end first)."""
    return (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * number)


def _case(number: int, then: list[Instruction]) -> Iterator[Instruction]:
    yield (_EQUAL, 0, len(then), number)
    yield from then
