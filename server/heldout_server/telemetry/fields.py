"""The allow-list: every field that a log line may hold, and its shape. Whoever adds one says here what it is.

What may never stand here: text of prompts or responses, verdicts, how many trials are finished or failed, anything
else that is an outcome of a checkpoint. A string has the shape of what it names, a run's id or a reason code, so that
no prose fits in one, and no secret word does unless it is registered as somebody's name. Attributes of metrics and
spans pass by the same list.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from heldout_server.domain import IDENTIFIER

_WORD: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_CODE_OR_TYPE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_ID: Final = re.compile(r"[a-z]{1,16}-[0-9a-f]{1,32}")
_FILE: Final = re.compile(r"[a-z][a-z0-9._-]{0,63}")
_MODULE: Final = r"[A-Za-z_<][A-Za-z0-9_.<>]{0,127}"


@dataclass(frozen=True, slots=True)
class Several:
    """Say that a field holds a tuple of strings, each of a shape."""

    of: re.Pattern[str]


Shape: TypeAlias = re.Pattern[str] | Several | type[int] | type[float]

DROPPED: Final = "dropped_fields"
"""How many fields of a line were not let through: the processor's own to say."""

FIELDS: Final[Mapping[str, Shape]] = {
    # the line itself
    "event": _WORD,  # a fixed name such as call_failed
    "level": re.compile(r"debug|info|warning|error|critical"),
    "time": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z"),
    "room": _WORD,  # which room speaks
    "logger": re.compile(_MODULE),  # which library speaks: a module that is imported here
    # calls
    "method": re.compile(r"/heldout\.v1\.[A-Za-z]{1,64}/[A-Za-z]{1,64}|other"),
    "status": re.compile(r"[A-Z][A-Z_]{0,63}|other"),
    "identity": re.compile(r"spiffe://[a-z0-9._-]{1,128}(/[A-Za-z0-9._-]{1,64}){1,8}"),
    # failures
    "error": _CODE_OR_TYPE,  # name of the exception's type
    "error_at": re.compile(rf"{_MODULE}:[0-9]{{1,7}}"),  # module:line that raised it
    "reason": _CODE_OR_TYPE,  # code of an exception of ours
    "opaque_id": _ID,  # ties a line to what the caller was told
    # what it is about
    "origin": re.compile(r"[a-z0-9][a-z0-9._-]{0,127}/(vault|window)"),
    "tree_size": int,
    "device": re.compile(r"first|second"),  # of the audit log
    "leaf": int,  # of the audit log: which entry is damaged
    "damage": _WORD,  # what of it: entry, hashes or head
    "run_id": _ID,
    "release_id": _ID,
    "checkpoint": IDENTIFIER,
    "line": IDENTIFIER,
    "runtime": IDENTIFIER,
    # where in a refused checkpoint: a key of ours, a line, a file's number and an ending that is known here
    "detail": re.compile(r"(?:[a-z0-9_]{1,20}\b\.?)?(?:(?:key|line|file|ending)-[a-z0-9]{1,12}\b\.?){0,3}"),
    "findings": Several(_WORD),  # codes of a preflight with harmless questions of ours: nothing of the bank is in them
    "document": _FILE,  # of the policy or the certificates, that was read again
    "document_line": int,
    "document_key": re.compile(r"[a-z0-9._-]{0,64}"),  # empty where it is about no key
    "step_s": int,  # of the wall clock
    # how far the system lets us keep things in
    "isolation": re.compile(r"namespace|none"),
    "containment": Several(_WORD),  # measures around a runtime
    "tracing": re.compile(r"on|off"),  # whether other processes of this user can read our memory
    "memory": re.compile(r"locked|not_locked"),
    "swap": re.compile(r"on|off|unknown"),
    # metrics
    "metric": re.compile(r"heldout\.[a-z.]{1,64}"),
    "value": float,
    "count": int,
}


def is_declared(key: str, value: object) -> bool:
    """Return whether a field may stand in a log line, or an attribute in a metric or a span, as it is."""
    declared = FIELDS.get(key)
    if declared is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if declared is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if isinstance(declared, Several):
        return isinstance(value, tuple) and all(_has_shape(declared.of, one) for one in value)
    return isinstance(declared, re.Pattern) and _has_shape(declared, value)


def _has_shape(shape: re.Pattern[str], value: object) -> bool:
    # StrEnum members are strings too; SecretText is not one.
    return isinstance(value, str) and shape.fullmatch(value) is not None
