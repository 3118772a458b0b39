"""The canonical form of a manifest: what approvals, releases and receipts name by its digest.

Compact JSON in UTF-8 with sorted keys (in the manner of RFC 8785), every field present, and what can be a fraction
always a float: equal manifests have equal bytes.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from typing import Any, Final

from heldout_server.domain import Manifest, Sampling, TrustClass
from heldout_server.errors import IntegrityError, InvalidRequest

FRACTIONS: Final = ("temperature", "top_p", "min_p", "repetition_penalty")


def encode(manifest: Manifest) -> str:
    """Return the canonical JSON of a manifest.

    Raises:
        InvalidRequest: a number in it is not finite.
    """
    values = asdict(manifest)
    values["deadline_s"] = float(manifest.deadline_s)
    for name in FRACTIONS:
        values["sampling"][name] = float(values["sampling"][name])
    try:
        return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except ValueError:
        raise InvalidRequest("a number of the manifest is not finite", reason="MANIFEST_INVALID") from None


def decode(text: str) -> Manifest:
    """Return the manifest that :func:`encode` wrote.

    Raises:
        IntegrityError: it is not the canonical JSON of a manifest.
    """
    try:
        values: dict[str, Any] = json.loads(text)
        manifest = Manifest(
            **{
                **values,
                "techniques": tuple(values["techniques"]),
                "stacks": tuple(tuple(stack) for stack in values["stacks"]),
                "filters": tuple(values.get("filters", ())),  # what came later is not in older manifests
                "cards": tuple((technique, digest) for technique, digest in values.get("cards", ())),
                "trust": TrustClass(values["trust"]),
                "sampling": Sampling(**values["sampling"]),
            }
        )
    except (ValueError, TypeError, KeyError):
        raise IntegrityError("a stored manifest cannot be read", reason="MANIFEST_BROKEN") from None
    return manifest


def template_digest(manifest: Manifest) -> str:
    """Return the hex SHA-256 of a manifest without its checkpoint: what a standing approval is of.

    The line stays in it, and what else the files of the checkpoint say (its base, precision and chat template).

    Raises:
        InvalidRequest: a number in the manifest is not finite.
    """
    return manifest_digest(replace(manifest, checkpoint="", checkpoint_digest=""))


def manifest_digest(manifest: Manifest) -> str:
    """Return the hex SHA-256 of the canonical JSON.

    Raises:
        InvalidRequest: a number in the manifest is not finite.
    """
    return hashlib.sha256(encode(manifest).encode()).hexdigest()
