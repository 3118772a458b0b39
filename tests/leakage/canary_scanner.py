"""Look for words that must not be somewhere, in every spelling that a careless program gives them."""

import contextlib
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

from heldout_server.attack.search import LEAST_LETTERS, spellings

CHUNK_BYTES = 16 * 1024 * 1024
OVERLAP_BYTES = 4096
"""More than the longest spelling of any word: what stands across two chunks is found in one of them."""

COMPRESSED = re.compile(rb"\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]")
"""How gzip (RFC 1952) and zlib (RFC 1950) begin, wherever in a content."""

EITHER_HEADER = zlib.MAX_WBITS | 32
UNPACKED_BYTES = 1 << 20
LEAST_UNPACKED = 8
"""By chance a few bytes look like the beginning of something compressed; so much of it does not come out of chance."""

CORE_PATTERN = Path("/proc/sys/kernel/core_pattern")
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - looked at, not used


@dataclass(frozen=True)
class Finding:
    """Say where a word stands, and how it is spelt."""

    place: str
    word: str
    spelling: str


class CanaryScanner:
    """Look for words plain (any case), in base64, hex, UTF-16, reversed and percent-encoded, compressed or not.

    Args:
        words: of lower-case letters and digits, so that they pass wherever an identifier may stand.
    """

    def __init__(self, *words):
        assert all(len(word) >= LEAST_LETTERS and word.isalnum() and word.islower() for word in words)
        self.words = words
        self._spellings = [(word, *spelling) for word in words for spelling in spellings(word)]

    def find(self, place, *contents):
        """Return what stands in some bytes or texts."""
        found = []
        for content in contents:
            raw = content.encode(errors="surrogateescape") if isinstance(content, str) else bytes(content)
            found += self._find_plain(place, raw)
            for unpacked in _unpack(raw):
                found += self._find_plain(f"{place}, compressed", unpacked)
        return found

    def _find_plain(self, place, raw):
        lower = raw.lower()
        return [
            Finding(place, word, spelling)
            for word, spelling, pattern, any_case in self._spellings
            if pattern in (lower if any_case else raw)
        ]

    def find_in_files(self, folder, *, without=()):
        """Return what stands in the files below a folder, and in their names, but for those below some folders."""
        found = []
        for path in sorted(folder.rglob("*")):
            if any(path.is_relative_to(other) for other in without):
                continue
            place = str(path.relative_to(folder))
            found += self.find(place, place)
            if path.is_file():
                found += self.find(place, path.read_bytes())
        return found

    def find_in_shared_memory(self):
        """Return what stands in the memory that processes of this machine share by name, and in the names."""
        found = []
        for path in sorted(SHARED_MEMORY.rglob("*")):
            found += self.find(f"shared memory {path.name}", str(path))
            with contextlib.suppress(OSError):  # somebody else's, or gone again
                found += self.find(f"shared memory {path.name}", path.read_bytes())
        return found

    def find_in_process(self, pid):
        """Return what stands in what the machine shows of a process, and in the files that it has open.

        That is its environment, its arguments, the names of its threads and of all it has mapped. Files that were
        deleted after they were opened are read too; what is no plain file is not. A hardened process shows only root
        most of it: what cannot be read here can be read by nobody else of this user.
        """
        process = Path("/proc") / str(pid)
        found = []
        threads = [thread / "comm" for thread in (process / "task").iterdir()]
        for path in (*(process / name for name in ("environ", "cmdline", "maps", "wchan", "stack")), *threads):
            with contextlib.suppress(PermissionError):
                found += self.find(f"{path.name} of a process", path.read_bytes())
        with contextlib.suppress(PermissionError):
            found += self._find_in_open_files(process)
        return found

    def find_in_memory(self, pid):
        """Return what stands in the memory of a process, whatever it was used for, and how many bytes were searched.

        Raises:
            PermissionError: only root can, and this is somebody else.
        """
        process = Path("/proc") / str(pid)
        found, searched = [], 0
        lines = (process / "maps").read_text().splitlines()
        with (process / "mem").open("rb", buffering=0) as memory:
            for line in lines:
                addresses, access, _, _, _, *name = line.split(None, 5)
                if access[0] != "r" or name[:1] in (["[vvar]"], ["[vsyscall]"]):
                    continue
                begin, end = (int(one, 16) for one in addresses.split("-"))
                for at in range(begin, end, CHUNK_BYTES):
                    with contextlib.suppress(OSError):  # unmapped meanwhile, or a device
                        memory.seek(at)
                        content = memory.read(min(end - at, CHUNK_BYTES + OVERLAP_BYTES))
                        searched += len(content)
                        found += self._find_plain(f"memory {' '.join(name)}", content)
        return found, searched

    def _find_in_open_files(self, process):
        found = []
        for descriptor in (process / "fd").iterdir():
            try:
                target = str(descriptor.readlink())
                content = descriptor.read_bytes() if descriptor.is_file() else b""
            except OSError:  # it was closed meanwhile, or cannot be read twice
                continue
            found += self.find(f"open file {target}", target, content)
        return found


def core_files(*folders):
    """Return the core files that lie in folders, or where this machine puts them."""
    pattern = CORE_PATTERN.read_text().strip()
    names = {"core", "core.*"}
    places = list(folders)
    if not pattern.startswith("|"):  # else another program is given them
        names.add(re.sub("%.", "*", Path(pattern).name))
        places += [Path(pattern).parent] if pattern.startswith("/") else []
    return sorted(
        path for place in places if place.is_dir() for name in names for path in place.glob(name) if path.is_file()
    )


def children_of(pid):
    """Return the ids of the processes that a process started, at any depth."""
    found = []
    for task in (Path("/proc") / str(pid) / "task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            found += [child, *children_of(child)]
    return found


def _unpack(raw):
    """Yield what comes out of whatever in a content begins like something compressed."""
    for begin in COMPRESSED.finditer(raw):
        unpacked = b""
        with contextlib.suppress(zlib.error):  # it only looked like it
            unpacker = zlib.decompressobj(EITHER_HEADER)
            unpacked = unpacker.decompress(raw[begin.start() : begin.start() + UNPACKED_BYTES], UNPACKED_BYTES)
        if len(unpacked) >= LEAST_UNPACKED:
            yield unpacked
