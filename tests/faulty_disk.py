"""A disk that fails, hangs, or is recorded, for one process: by a shim that is compiled here and preloaded there."""

import os
import shutil
import struct
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("fault_shim.c")
HEADER = struct.Struct("<cI")
PLACE = struct.Struct("<QQ")
TABLE = Path(__file__).parents[1] / "build" / "log-faults.txt"


@dataclass
class FaultyDisk:
    """Hold the shim, and the file by which it is told what to do."""

    shim: Path
    folder: Path

    @property
    def environment(self):
        """Return the variables that a process needs to have its disk fail."""
        return {"LD_PRELOAD": str(self.shim), "HELDOUT_FAULT": str(self.folder / "fault")}

    def fail(self, kind, word):
        """Let what is written to files whose path holds a word fail from now on."""
        new = self.folder / "fault.new"
        new.write_text(f"{kind} {word}")
        new.rename(self.folder / "fault")

    def heal(self):
        (self.folder / "fault").unlink(missing_ok=True)


@dataclass(frozen=True)
class Write:
    """Hold what was done to a file: ``w`` a write, ``t`` a truncation to ``offset``, ``s`` an fsync, ``u`` unlink."""

    kind: str
    path: str
    offset: int
    data: bytes


@cache
def compiled(folder):
    """Compile the shim, or skip the test where no C compiler is."""
    shim = Path(folder) / "fault_shim.so"
    compiler = shutil.which("cc")
    if compiler is None or os.uname().sysname != "Linux":
        pytest.skip("needs Linux and a C compiler")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", shim, SOURCE, "-ldl", "-lpthread"], check=True)
    return shim


def read_record(path):
    """Return what was written, in order; the last of it may be cut off."""
    data, place, found = path.read_bytes(), 0, []
    while place + HEADER.size <= len(data):
        kind, length = HEADER.unpack_from(data, place)
        place += HEADER.size
        name = data[place : place + length].decode()
        offset, size = PLACE.unpack_from(data, place + length)
        place += length + PLACE.size
        content = data[place : place + size] if kind == b"w" else b""
        place += len(content)
        found.append(Write(kind.decode(), name, offset, content))
    return found


def note(fault, rounds, found):
    """Put a row into the table of faults, ``build/log-faults.txt``, in place of what an earlier run found."""
    TABLE.parent.mkdir(exist_ok=True)
    rows = TABLE.read_text().splitlines() if TABLE.exists() else []
    line = f"{fault:<56} {rounds:>5}  {found}"
    print(line)  # noqa: T201 - people read the table
    kept = [row for row in rows if not row.startswith(f"{fault:<56}")]
    TABLE.write_text("\n".join(sorted([*kept, line])) + "\n")
