"""Say from a file's name and first bytes whether it may come in. Pure.

A pickle runs what it says when it is loaded; so does a Python file where an engine trusts remote code. An archive
could hold either (PyTorch's own format is a ZIP of a pickle), and no engine here needs one.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Final

from heldout_server.checkpoints.refusal import Reason, Unacceptable

HEAD_BYTES: Final = 16
"""How much of a file's start :func:`verify_head` looks at."""

PICKLES: Final = frozenset({".bin", ".ckpt", ".joblib", ".pickle", ".pkl", ".pt", ".pth"})
CODE: Final = frozenset({".dll", ".dylib", ".exe", ".ipynb", ".pth", ".py", ".pyc", ".pyd", ".pyw", ".sh", ".so"})
ARCHIVES: Final = frozenset({".7z", ".bz2", ".egg", ".gz", ".npz", ".tar", ".tgz", ".whl", ".xz", ".zip", ".zst"})
ENDINGS: Final = PICKLES | CODE | ARCHIVES | {".safetensors", ".gguf", ".json", ".jinja", ".toml", ".txt", ".md"}
"""What may be said of a file's name: no word that whoever made it chose."""

MAGIC: Final = {
    b"\x7fELF": Reason.CODE,
    b"#!": Reason.CODE,
    b"PK\x03\x04": Reason.ARCHIVE,
    b"\x1f\x8b": Reason.ARCHIVE,
}
PROTO: Final = 0x80
"""The opcode that a pickle starts with from protocol 2 on (Python's pickletools, ``PROTO``)."""

MAX_PROTOCOL: Final = 5
SAFETENSORS: Final = ".safetensors"
SAFETENSORS_HEADER: Final = slice(8, 9)
"""Where the JSON header of a safetensors file opens, after its length: eight bytes that may look like a pickle's."""


def known_ending(path: str) -> str:
    """Return the suffix of a file without its dot, if it is one of those that we know; else nothing."""
    suffix = PurePosixPath(path).suffix.casefold()
    return suffix[1:] if suffix in ENDINGS else ""


def verify_name(path: str) -> None:
    """Refuse a file by its suffix, in whatever case.

    Raises:
        Unacceptable: ``pickle_name``, ``code`` or ``archive``.
    """
    suffix = PurePosixPath(path).suffix.casefold()
    for suffixes, reason in ((PICKLES, Reason.PICKLE_NAME), (CODE, Reason.CODE), (ARCHIVES, Reason.ARCHIVE)):
        if suffix in suffixes:
            raise Unacceptable(reason)


def verify_head(path: str, head: bytes) -> None:
    """Refuse a file by how it starts, whatever it is called.

    Args:
        path: its name.
        head: its first :data:`HEAD_BYTES` bytes, or more.

    Raises:
        Unacceptable: ``pickle``, ``code`` or ``archive``.
    """
    for magic, reason in MAGIC.items():
        if head.startswith(magic):
            raise Unacceptable(reason)
    pickled = len(head) > 1 and head[0] == PROTO and head[1] <= MAX_PROTOCOL
    if pickled and not (PurePosixPath(path).suffix == SAFETENSORS and head[SAFETENSORS_HEADER] == b"{"):
        raise Unacceptable(Reason.PICKLE)
