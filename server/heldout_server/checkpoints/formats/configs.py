"""Read the JSON configs beside the weights: do they ask for code, and what do they say of the model?

``auto_map`` names Python classes that an engine fetches and runs where it trusts remote code, from another repository
too; so it is refused wherever it stands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from heldout_server.checkpoints.refusal import Reason, Unacceptable

MAX_CONFIG_BYTES: Final = 4 * 1024 * 1024
MAX_BRACKETS: Final = 400_000
MAX_NESTING: Final = 64
ENDING: Final = "config.json"
ADAPTER: Final = "adapter_config.json"
_NO_BRACKET: Final = re.compile(r'"(?:[^"\\]++|\\.?)*+"?|[^"\[\]{}]++', re.DOTALL)
REMOTE: Final = frozenset({"auto_map", "trust_remote_code", "custom_generate", "custom_pipelines"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Hold what a config says, unchecked; empty or None where it does not. An adapter's says that it is one."""

    architecture: str = ""
    chat_template: bytes | None = None
    adapter: bool = False


def is_config(path: str) -> bool:
    """Return whether a file is one of those that engines read: ``config.json``, ``tokenizer_config.json``, …."""
    return PurePosixPath(path).name.casefold().endswith(ENDING)


def read_config(path: str, document: bytes) -> Said:
    """Read a config.

    Args:
        path: in the checkpoint; only configs in its own folder say something of the model.
        document: at most :data:`MAX_CONFIG_BYTES` and one more.

    Raises:
        Unacceptable: it asks for code, or is no JSON object, or repeats a key, which two readers read differently, or
            is nested deeper than any config is.
    """
    if len(document) > MAX_CONFIG_BYTES:
        raise Unacceptable(Reason.CONFIG_INVALID)
    try:
        text = document.decode()
        _verify_nesting(text)
        config = json.loads(text, object_pairs_hook=_read_object)
    except (ValueError, RecursionError):
        raise Unacceptable(Reason.CONFIG_INVALID) from None
    if not isinstance(config, dict):
        raise Unacceptable(Reason.CONFIG_INVALID)
    architecture, template = config.get("model_type"), config.get("chat_template")
    return Said(
        architecture=architecture if path == "config.json" and isinstance(architecture, str) else "",
        chat_template=_encode(template) if path == "tokenizer_config.json" and isinstance(template, str) else None,
        adapter=PurePosixPath(path).name.casefold() == ADAPTER,
    )


def _verify_nesting(text: str) -> None:
    """Refuse what would cost the parser, or an engine's, much memory or its stack."""
    brackets = _NO_BRACKET.sub("", text)
    depth = 0
    if len(brackets) > MAX_BRACKETS:
        raise Unacceptable(Reason.CONFIG_INVALID)
    for bracket in brackets:
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_NESTING:
            raise Unacceptable(Reason.CONFIG_INVALID)


def _read_object(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in REMOTE and value:
            raise Unacceptable(Reason.REMOTE_CODE)
        if key in found:
            raise Unacceptable(Reason.CONFIG_INVALID)
        found[key] = value
    return found


def _encode(template: str) -> bytes:
    try:
        return template.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        raise Unacceptable(Reason.CONFIG_INVALID) from None
