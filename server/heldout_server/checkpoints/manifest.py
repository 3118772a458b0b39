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

from heldout_server.checkpoints.refusal import Reason, Unacceptable
from heldout_server.domain import IDENTIFIER

MANIFEST: Final = "checkpoint.toml"
MAX_MANIFEST_BYTES: Final = 64 * 1024
MAX_LINE_CHARACTERS: Final = 1024
MAX_DOTS: Final = 3
MAX_BRACKETS: Final = 4
"""How many dots (those of a key with four parts) and opening brackets a line may have outside quotes and comments."""

NAMES: Final = ("name", "line", "runtime")
BASE: Final = "base"
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
        Unacceptable: it is not one.
    """
    if len(document) > MAX_MANIFEST_BYTES:
        raise Unacceptable(Reason.MANIFEST_INVALID)
    try:
        text = document.decode()
        _verify_bounds(text)
        table: dict[str, Any] = tomllib.loads(text)
    except (ValueError, RecursionError):
        raise Unacceptable(Reason.MANIFEST_INVALID) from None
    names = [table.pop(key, None) for key in NAMES]
    files = table.pop("files", None)
    bases = [table.pop(BASE)] if BASE in table else []
    if table or not all(isinstance(name, str) and IDENTIFIER.fullmatch(name) for name in (*names, *bases)):
        raise Unacceptable(Reason.MANIFEST_INVALID)
    if files is not None and not (isinstance(files, dict) and all(map(_is_digest, files.values()))):
        raise Unacceptable(Reason.MANIFEST_INVALID)
    name, line, runtime = names
    return CheckpointManifest(name=name, line=line, runtime=runtime, files=files, base="".join(bases))


def _verify_bounds(text: str) -> None:
    """Refuse what would take the parser long."""
    if '"""' in text or "'''" in text:
        raise Unacceptable(Reason.MANIFEST_INVALID)
    for line in text.split("\n"):
        if len(line) > MAX_LINE_CHARACTERS:
            raise Unacceptable(Reason.MANIFEST_INVALID)
        bare = _QUOTED.sub("", line)
        if bare.count(".") > MAX_DOTS or bare.count("[") + bare.count("{") > MAX_BRACKETS:
            raise Unacceptable(Reason.MANIFEST_INVALID)


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None
