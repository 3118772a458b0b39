"""Start a command that must not reach anything of ours.

::

    python -m heldout_server.hardening.contained [--required] --sockets FOLDER [--read PATH]… -- ARGUMENT…
    python -m heldout_server.hardening.contained [--required] --probe --sockets FOLDER

It contains itself, then becomes this same Python interpreter with the given arguments. The command can read the
interpreter, its libraries and what ``--read`` names, and make Unix sockets in one folder. It can write, list or remove
nothing, connect to nobody, signal, trace or dump no other process, and gain no privilege: see ``landlock`` and
``seccomp``. It ends with whoever started it. ``--probe`` starts nothing and says what holds, one name a word.

With ``--required`` it exits with 77 where Landlock or seccomp is missing; else it takes what there is. It exits with 78
where the libraries lie in a folder that holds the sockets or what ``--read`` names: that folder could hold keys too.
"""

from __future__ import annotations

import argparse
import contextlib
import mimetypes
import os
import resource
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from heldout_server.hardening.kernel import PR_SET_NO_NEW_PRIVS, control_process, drop_capabilities
from heldout_server.hardening.landlock import Access, landlock_version, restrict_files
from heldout_server.hardening.process import end_with_parent
from heldout_server.hardening.seccomp import has_filters, restrict_calls

REFUSED: Final = 77
MISPLACED: Final = 78
LIBRARIES: Final = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib")
MACHINE: Final = (
    *("/etc/ld.so.cache", "/etc/ssl/openssl.cnf", *mimetypes.knownfiles),
    *("/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system", "/dev/urandom"),
)
"""What libraries look at to load, and to count processors and memory: it says nothing of what this machine is for."""

NOTHING: Final = Path("/dev/null")
LIMITS: Final = (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_MSGQUEUE, resource.RLIMIT_MEMLOCK)
"""What the command gets none of: core dumps, bytes in files, message queues, locked memory."""


class Misplaced(Exception):
    """Say that the libraries cannot be granted without what must stay hidden."""


def can_contain() -> bool:
    """Say whether this machine has all that ``--required`` asks for. Nothing is restricted by asking."""
    return landlock_version() > 0 and has_filters()


def grants(*, readable: Sequence[Path], sockets: Path) -> Iterator[tuple[Path, Access]]:
    """Yield the paths that the command may use, and for what.

    Raises:
        Misplaced: a folder of modules holds what is readable or the sockets.
    """
    for folder in _modules():
        if any(path.resolve().is_relative_to(folder) for path in (*readable, sockets)):
            raise Misplaced
        yield folder, Access.READ
    yield from ((Path(folder), Access.READ | Access.EXECUTE) for folder in LIBRARIES)
    yield Path(sys.executable), Access.READ_FILE | Access.EXECUTE
    yield from ((Path(path), Access.READ) for path in MACHINE)
    yield NOTHING, Access.READ_FILE | Access.WRITE_FILE
    yield from ((path, Access.READ) for path in readable)
    yield sockets, Access.MAKE_SOCK


def contain(paths: Sequence[tuple[Path, Access]], *, required: bool) -> Iterator[str]:
    """Contain this process, step by step, and yield the name of each measure that holds.

    Raises:
        OSError: ``required``, and Landlock or seccomp is missing.
    """
    for limit in LIMITS:
        resource.setrlimit(limit, (0, 0))
    end_with_parent()
    control_process(PR_SET_NO_NEW_PRIVS, 1)
    drop_capabilities()
    yield "no_privileges"
    with contextlib.nullcontext() if required else contextlib.suppress(OSError):
        yield f"landlock_{restrict_files(paths)}"
    with contextlib.nullcontext() if required else contextlib.suppress(OSError):
        restrict_calls()
        yield "seccomp"


def main(arguments: Sequence[str] | None = None) -> int:
    """Contain this process and become the command; return an exit code where that is refused, or for a probe."""
    options = _parse(arguments)
    try:
        paths = list(grants(readable=options.read, sockets=options.sockets))
        held = tuple(contain(paths, required=options.required))
    except Misplaced:
        return MISPLACED
    except OSError:
        return REFUSED
    if not options.probe:
        os.execv(sys.executable, (sys.executable, "-I", *options.command))  # noqa: S606 - no shell is what is wanted
    sys.stdout.write(" ".join(held))
    return 0


def _modules() -> Iterator[Path]:
    """Yield where the interpreter's modules lie, whoever installed them, and what tells it so."""
    yield from (Path(entry).resolve() for entry in sys.path if Path(entry).exists())
    yield Path(sys.base_prefix).resolve() / "lib"
    yield Path(sys.prefix).resolve() / "pyvenv.cfg"


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="heldout_server.hardening.contained", description="Contain a command.")
    parser.add_argument("--required", action="store_true", help="exit with 77 unless all of it holds")
    parser.add_argument("--probe", action="store_true", help="start nothing, and say what holds")
    parser.add_argument("--read", type=Path, action="append", default=[], help="a path that may be read")
    parser.add_argument("--sockets", type=Path, required=True, help="the folder in which sockets may be made")
    parser.add_argument("command", nargs="*", help="arguments of the Python interpreter, after --")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
