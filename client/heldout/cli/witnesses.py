"""Which witnesses a policy trusts, and what they cosigned of an exported log."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from heldout.cli.screens import figures
from heldout.errors import VerificationError
from heldout.verification import ExportReport
from heldout.verification.cosignature import WitnessKey, cosigned_at
from heldout.verification.history import DECIDED_BY, History
from heldout.verification.note import parse_checkpoint, split_note

HOUR_S: Final = 3600


@dataclass(frozen=True, slots=True)
class Trusted:
    """Hold the witnesses of a policy.

    Attributes:
        keys: any one of them will do.
        maximum_age_s: how old a cosignature may be when a release is published.
    """

    keys: tuple[WitnessKey, ...]
    maximum_age_s: int


def trusted_witnesses(history: History, documents: Mapping[str, bytes]) -> Trusted | None:
    """Return whom the last release policy of a log trusts, if it is at hand and trusts anybody."""
    events = history.named(*DECIDED_BY)
    digest = events[-1].details.get("policy_digest") if events else None
    content = documents.get(digest) if isinstance(digest, str) else None
    if content is None:
        return None
    try:
        section = tomllib.loads(content.decode())["witness"]
        return Trusted(tuple(WitnessKey.parse(key) for key in section["keys"]), int(section["maximum_age_s"]))
    except (ValueError, KeyError, TypeError, VerificationError):
        return None


def newest_cosignature(note: str | None, trusted: Trusted, report: ExportReport) -> str:
    """Say who cosigned the log last, and whether that is lately enough; a line that begins with ``✓`` or ``!``.

    Args:
        note: a cosigned head of the log, which was held against its entries; None if there is none.
        trusted: whose cosignatures count.
        report: of the log.
    """
    allowed = f"policy allows {trusted.maximum_age_s / HOUR_S:.0f} h"
    found: list[tuple[int, str]] = []
    for key in trusted.keys if note else ():
        try:
            found.append((cosigned_at(note or "", key), key.name))
        except VerificationError:
            continue
    if not found:
        return f"! no cosignature of a trusted witness ({allowed})"
    time_s, name = max(found)
    size = parse_checkpoint(split_note(note or "")[0]).size
    last_s = max((group.last_s for group in report.history.calls), default=time_s)
    seen = f"cosigned by {name} at {size:,} entries, {figures.moment(time_s)}"
    return f"! last {seen} ({allowed})" if last_s - time_s > trusted.maximum_age_s else f"✓ {seen}"
