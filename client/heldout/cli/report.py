"""What a report tells, gathered from logs that verify, the policy documents and the releases of an export."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from heldout.cli.evidence import Log, policy_folders
from heldout.cli.screens.exactness import count_bits
from heldout.errors import MissingExtra
from heldout.findings.documents import release_from
from heldout.findings.model import Release, TableKind
from heldout.verification import Entry
from heldout.verification.archive import read_documents, read_releases
from heldout.verification.history import ALLOW, DECIDED_BY, OK, CallGroup
from heldout.verification.replay import ReplayReport, replay

VAULT: Final = "vault"
LIFE: Final = (
    "start",
    "stop",
    "policy",
    "policy_refused",
    "start_sealed",
    "stop_sealed",
    "reload",
    "seal",
    "unseal",
    "reshare",
    "clock",
    "backup",
    "log_device_lost",
    "log_damaged",
    "repair",
    "restore",
    "burn",
    "epoch",
)
"""Events that are told one by one."""

NANO_RHO_PER_BIT: Final = 1e9 * math.log(2)
"""The ledger keeps rho = bits · ln 2."""

ANCHOR: Final = "anchor"
DENIALS: Final = "denials"
REFUSED: Final = "REFUSED"
"""The status with which a call ends that the rules refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """Sum up what one identity asked for with one method, how that was decided, and how it ended.

    Attributes:
        allowed: whether the rules let it through.
        calls: how many.
        first_s, last_s: when, in Unix seconds.
        first: place of the first in its log.
        failed: of those that were allowed, how many ended otherwise than well, by their status in the log.
    """

    half: str
    identity: str
    role: str
    method: str
    allowed: bool
    calls: int
    first_s: int
    last_s: int
    first: int
    failed: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Debit:
    """Say what the ledger had debited each unit of an epoch once a release was out, in billionths of zCDP rho.

    Attributes:
        harmful, benign: by the release, of a unit of each side; 0 where figures carry no noise: nothing bounds those.
        harmful_total, benign_total: by all releases of its epoch up to it.
        exact_rows: rows of it that carry no noise; each can tell one bit of one unit.
        exact_rows_total: such rows of all releases of its epoch up to it.
    """

    release: Release
    entry: Entry
    harmful: int
    benign: int
    harmful_total: int
    benign_total: int
    exact_rows: int = 0
    exact_rows_total: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Hold what is told.

    Attributes:
        logs: the logs it is about, all verified.
        uses: calls by identity, method and decision; refused ones too.
        debits: releases in order, with what they cost; those whose documents are in the export.
        unread: publications that the log records and whose documents are not in the export.
        denials: refused calls that the log counts and does not list.
        events: what happened to the appliance, in order of time: half and event.
        anchors: anchors of each database: how many, and the last.
        replays: what came of making the decisions again, by origin; None where that could not be done.
        budget_nano_rho: what a unit may spend over its life; 0 where the policy is not at hand.
        hours: calls that ended well and that did not, by the Unix hour in which they ended, over all logs.
    """

    logs: tuple[Log, ...]
    uses: tuple[Use, ...]
    debits: tuple[Debit, ...]
    unread: tuple[Entry, ...]
    denials: tuple[tuple[str, Entry], ...]
    events: tuple[tuple[str, Entry], ...]
    anchors: Mapping[tuple[str, str], tuple[int, Entry]]
    replays: Mapping[str, ReplayReport | None]
    budget_nano_rho: int
    hours: Mapping[int, tuple[int, int]] = field(default_factory=dict)

    @property
    def span_s(self) -> tuple[int, int]:
        """When the first and the last of what is told happened, in Unix seconds; zeros for nothing."""
        times = [event.time_s for log in self.logs for event in log.report.history.events]
        times += [time for use in self.uses for time in (use.first_s, use.last_s)]
        return (min(times), max(times)) if times else (0, 0)


def read_report(folder: Path, logs: Sequence[Log], policy: Sequence[Path]) -> Report:
    """Gather a report.

    Args:
        folder: of the export.
        logs: those in it, verified.
        policy: folders of further policy documents.

    Raises:
        VerificationError: a release or a document in the export is not what the log records.
    """
    documents = read_documents(policy_folders(folder, policy))
    events = [(log.half, event) for log in logs for event in log.report.history.events]
    debits: tuple[Debit, ...] = ()
    unread: list[Entry] = []
    for log in logs:
        if log.half == VAULT:
            entries = log.report.releases
            debits = _debits([release_from(one) for one in read_releases(folder, log.vkey, recorded=entries)], entries)
            there = {debit.release.release_id for debit in debits}
            unread += [entry for entry in entries if entry.details.get("release_id") not in there]
    hours: dict[int, tuple[int, int]] = {}
    for log in logs:
        for hour, (well, otherwise) in log.report.history.hours.items():
            before = hours.get(hour, (0, 0))
            hours[hour] = (before[0] + well, before[1] + otherwise)
    return Report(
        logs=tuple(logs),
        uses=_uses(logs),
        debits=debits,
        unread=tuple(unread),
        denials=tuple(pair for pair in events if pair[1].name == DENIALS),
        events=tuple(sorted((pair for pair in events if pair[1].name in LIFE), key=lambda pair: pair[1].time_s)),
        anchors=_anchors(events),
        replays={log.report.origin: _replayed(log, documents) for log in logs},
        budget_nano_rho=_budget(logs, documents),
        hours=hours,
    )


def _uses(logs: Sequence[Log]) -> tuple[Use, ...]:
    groups: dict[tuple[str, str, str, str, bool], list[CallGroup]] = {}
    for log in logs:
        for group in log.report.history.calls:
            key = (log.half, group.identity, group.role, group.name, group.decision == ALLOW)
            groups.setdefault(key, []).append(group)
    endings = {log.half: log.report.history.endings for log in logs}
    denied = {key[:4]: sum(group.calls for group in alike) for key, alike in groups.items() if not key[4]}
    return tuple(
        Use(
            half=half,
            identity=identity,
            role=role,
            method=method.rpartition("/")[2],
            allowed=allowed,
            calls=sum(group.calls for group in alike),
            first_s=min(group.first_s for group in alike),
            last_s=max(group.last_s for group in alike),
            first=min(group.first for group in alike),
            failed=_failed(
                endings[half], (identity, role, method), denied=denied.get((half, identity, role, method), 0)
            )
            if allowed
            else {},
        )
        for (half, identity, role, method, allowed), alike in sorted(
            groups.items(), key=lambda item: (*item[0][1:], item[0][0])
        )
    )


def _failed(
    endings: Mapping[tuple[str, str, str, str], int], call: tuple[str, str, str], *, denied: int
) -> dict[str, int]:
    """Return how calls that the rules allowed ended otherwise than well.

    Args:
        endings: outcomes of a log, see :class:`heldout.verification.history.History`.
        call: identity, role and method.
        denied: how many of these calls the rules refused: they end as such, and are counted apart.
    """
    found = {key[3]: number for key, number in endings.items() if key[:3] == call and key[3] != OK}
    found[REFUSED] = max(0, found.get(REFUSED, 0) - denied)
    return {status: number for status, number in sorted(found.items()) if number}


def _debits(releases: Sequence[Release], entries: Sequence[Entry]) -> tuple[Debit, ...]:
    recorded = {entry.details.get("release_id"): entry for entry in entries}
    totals: dict[str, tuple[int, int, int]] = {}
    debits = []
    for release in releases:
        benign = sum(table.debit_nano_rho for table in release.tables if table.kind is TableKind.OVER_REFUSAL)
        harmful = sum(table.debit_nano_rho for table in release.tables) - benign
        exact = count_bits([release])
        before = totals.get(release.epoch_id, (0, 0, 0))
        totals[release.epoch_id] = (before[0] + harmful, before[1] + benign, before[2] + exact)
        debits.append(
            Debit(
                release=release,
                entry=recorded[release.release_id],
                harmful=harmful,
                benign=benign,
                harmful_total=before[0] + harmful,
                benign_total=before[1] + benign,
                exact_rows=exact,
                exact_rows_total=before[2] + exact,
            )
        )
    return tuple(debits)


def _anchors(events: Sequence[tuple[str, Entry]]) -> dict[tuple[str, str], tuple[int, Entry]]:
    anchors: dict[tuple[str, str], tuple[int, Entry]] = {}
    for half, event in events:
        if event.name == ANCHOR:
            key = (half, str(event.details.get("database", "")))
            anchors[key] = (anchors.get(key, (0, event))[0] + 1, event)
    return anchors


def _replayed(log: Log, documents: Mapping[str, bytes]) -> ReplayReport | None:
    if not documents:
        return None
    try:
        return replay(log.report.history, documents)
    except MissingExtra:
        return None


def _budget(logs: Sequence[Log], documents: Mapping[str, bytes]) -> int:
    """Return what the newest policy at hand lets a unit spend, in billionths of zCDP rho; 0 if none is."""
    digests = [event.details.get("policy_digest") for log in logs for event in log.report.history.named(*DECIDED_BY)]
    for digest in reversed(digests):
        content = documents.get(digest) if isinstance(digest, str) else None
        if content is not None:
            try:
                return round(float(tomllib.loads(content.decode())["bits_per_prompt"]) * NANO_RHO_PER_BIT)
            except (ValueError, KeyError, TypeError):
                return 0
    return 0
