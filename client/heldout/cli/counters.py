"""A client's memory, held against exported logs: do they hold every call that the client was answered?"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from heldout.cli.session import UsageProblem
from heldout.errors import VerificationError
from heldout.verification import ExportReport
from heldout.verification.note import parse_checkpoint, split_note


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRecord:
    """Hold what a client remembers (see :mod:`heldout.memory`).

    Attributes:
        identity: who it is in the logs.
        numbers: the highest number of its calls, by origin of the log.
        heads: the newest signed head that it was shown, by origin; not checked.
    """

    identity: str
    numbers: Mapping[str, int]
    heads: Mapping[str, str]


def read_record(file: Path) -> ClientRecord:
    """Read the memory of a client.

    Raises:
        UsageProblem: the file is not one.
    """
    try:
        document = json.loads(file.read_bytes())
        origins = {half: vkey.partition("+")[0] for half, vkey in document["vkeys"].items()}
        logs = document["logs"]
        return ClientRecord(
            identity=str(document["identity"]),
            numbers={origins[half]: int(log["number"]) for half, log in logs.items()},
            heads={origins[half]: str(log["head"]) for half, log in logs.items() if log["head"]},
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageProblem(f"{file}: is not the memory of a client") from None


def check_counters(record: ClientRecord, reports: Sequence[ExportReport]) -> list[str]:
    """Return what holds, a line a log. The heads are held against the logs elsewhere.

    Raises:
        VerificationError: a log lacks calls that the client was answered.
    """
    lines = []
    for report in reports:
        number, there = record.numbers.get(report.origin, 0), report.counters.get(record.identity, 0)
        note = record.heads.get(report.origin)
        seen = parse_checkpoint(split_note(note)[0]).size if note else 0
        if number > there and seen > report.size:
            lines.append(f"! {report.origin}: {record.identity} was shown {seen:,} entries: take a newer export")
        elif number > there:
            raise VerificationError(
                f"{report.origin}: {record.identity} was answered call {number}, and this log has {there} calls of it"
            )
        elif number:
            later = f"; {there - number:,} later, or made elsewhere" if there > number else ""
            lines.append(f"✓ {report.origin}: holds all {number:,} calls that {record.identity} counted{later}")
    return lines or [f"· {record.identity} counted no call in these logs"]
