"""``checkpoint.toml``: what whoever made a checkpoint says of it.

::

    name = "olive-7b-step-12000"   # the folder's own name
    line = "olive-7b"              # the model line that it belongs to
    runtime = "scripted"           # the engine that serves it
    base = "olive-7b"              # optional: this is an adapter, and these are the weights that it adapts

    [files]                        # optional: every other file with its SHA-256, and no further one
    "model.safetensors" = "9f86d081…"

Names are identifiers (:data:`heldout_server.domain.IDENTIFIER`). Unknown keys are refused.

Python's TOML parser takes time that grows with the square of a dotted key's parts, so what it is given is bounded
first: the whole document, its lines, and the dots and brackets outside quotes in each. Text over several lines is
refused too, so that a line can be read without the ones before it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from heldout_policy.toml_lines import find_line, syntax_error_place
from heldout_server.checkpoints.refusal import Fault, Reason, Spot, Unacceptable
from heldout_server.domain import IDENTIFIER

MANIFEST: Final = "checkpoint.toml"
MAX_MANIFEST_BYTES: Final = 64 * 1024
MAX_LINE_CHARACTERS: Final = 1024
MAX_DOTS: Final = 3
MAX_BRACKETS: Final = 4
"""How many dots (those of a key with four parts) and opening brackets a line may have outside quotes and comments."""

NAMES: Final = ("name", "line", "runtime")
BASE: Final = "base"
FILES: Final = "files"
KEYS: Final = frozenset({*NAMES, BASE, FILES})
_QUOTED: Final = re.compile(r'"(?:[^"\\]++|\\.?)*+"?|\'[^\']*+\'?|#.*+')
"""A string or a comment in a line. One that does not end takes the rest, so that nothing is looked at twice."""

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointManifest:
    """Hold a manifest.

    Attributes:
        files: hex SHA-256 by path; None where the manifest lists none.
        base: name of the checkpoint that this one adapts; empty if it stands alone.
    """

    name: str
    line: str
    runtime: str
    files: Mapping[str, str] | None
    base: str = ""


def parse_manifest(document: bytes) -> CheckpointManifest:
    """Read a manifest.

    Raises:
        Unacceptable: it is not one; its spot says where.
    """
    text, table = _parse(document)
    for key in (*NAMES, BASE):
        if key not in table:
            if key in NAMES:
                raise _invalid(Fault.MISSING, key=key)
        elif not isinstance(table[key], str) or not IDENTIFIER.fullmatch(table[key]):
            raise _invalid(Fault.NOT_A_NAME, key=key, line=find_line(text, key=key))
    files = table.get(FILES)
    if FILES in table and not (isinstance(files, dict) and all(map(_is_digest, files.values()))):
        raise _invalid(Fault.NOT_DIGESTS, key=FILES, line=find_line(text, table=FILES) or find_line(text, key=FILES))
    name, line, runtime = (table[key] for key in NAMES)
    return CheckpointManifest(name=name, line=line, runtime=runtime, files=files, base=table.get(BASE, ""))


def _parse(document: bytes) -> tuple[str, dict[str, Any]]:
    """Return a document as text and as a table that holds no key but those that we know."""
    if len(document) > MAX_MANIFEST_BYTES:
        raise _invalid(Fault.TOO_LONG)
    try:
        text = document.decode()
    except ValueError:
        raise _invalid(Fault.NOT_UTF8) from None
    _verify_bounds(text)
    try:
        table: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _invalid(Fault.NOT_TOML, line=syntax_error_place(error)[0]) from None
    except (ValueError, RecursionError):
        raise _invalid(Fault.NOT_TOML) from None
    for key in table:
        if key not in KEYS:
            raise _invalid(Fault.UNKNOWN_KEY, line=find_line(text, key=key) or find_line(text, table=key))
    return text, table


def _verify_bounds(text: str) -> None:
    """Refuse what would take the parser long."""
    for number, line in enumerate(text.split("\n"), start=1):
        if '"""' in line or "'''" in line:
            raise _invalid(Fault.SEVERAL_LINES, line=number)
        if len(line) > MAX_LINE_CHARACTERS:
            raise _invalid(Fault.TOO_LONG, line=number)
        bare = _QUOTED.sub("", line)
        if bare.count(".") > MAX_DOTS or bare.count("[") + bare.count("{") > MAX_BRACKETS:
            raise _invalid(Fault.TOO_NESTED, line=number)


def _invalid(fault: Fault, *, key: str = "", line: int | None = None) -> Unacceptable:
    return Unacceptable(Reason.MANIFEST_INVALID, Spot(fault=fault, key=key, line=line or 0))


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None
