"""The logs, for auditors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from heldout.cli.screens import figures
from heldout.cli.screens.page import Page, fill, join_parts, lay_out
from heldout.services.audit import PolicyDocuments
from heldout.verification import Entry, ExportReport

OPEN_SHOWN: Final = 5
EVENT_IDS: Final = ("release_id", "epoch_id", "run_id")
EVENT_DETAILS: Final = {
    "checkpoint": ("name", "state", "reason"),
    "epoch": ("number", "epoch_id"),
    "release": ("number", "release_id"),
    "run": ("run_id", "state"),
    "burn": ("prompts", "runtime", "run_id"),
}
"""What of an event's details tells which thing it is about, by the event's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedLog:
    """Hold a log that was found whole.

    Attributes:
        report: what it holds.
        published: releases that the window gives out and that this log records; None if that was not looked at.
        own: index of the verification's own call for the head, which had no outcome yet when the head was signed.
    """

    report: ExportReport
    published: int | None = None
    own: int | None = None


def verified_page(logs: Sequence[VerifiedLog], *, notes: Sequence[str] = ()) -> Page:
    """Show what was checked. Whatever does not hold never gets here: it is an error.

    Args:
        logs: those that were checked.
        notes: what an auditor should know and that is no failure.
    """
    lines: list[str] = []
    for log in logs:
        report = log.report
        lines += join_parts(
            [
                f"log {report.origin}",
                f"{report.size:,} entries",
                f"head {report.size:,} signed",
                f"root {figures.short(report.root)}",
            ]
        )
        lines += [f" {line}" for line in _checks(log)]
    lines += [line for note in notes for line in fill(note, indent="   ", first=" ! ")]
    return Page(lines=tuple(lines), data={"logs": [_log_data(log) for log in logs], "notes": list(notes)})


def _checks(log: VerifiedLog) -> list[str]:
    report = log.report
    lines = ["✓ every entry hashes to the signed head"]
    if report.earlier_heads:
        heads = "the head" if report.earlier_heads == 1 else f"the {report.earlier_heads:,} heads"
        lines.append(f"✓ consistent with {heads} seen before")
    identities = len(report.counters)
    lines.append(f"✓ counters of {identities:,} {'identity has' if identities == 1 else 'identities have'} no gap")
    lines.append(f"✓ each of {report.outcomes:,} outcomes follows its own call")
    if log.published is not None:
        lines.append(f"✓ {_count(log.published, 'release')} recorded before {_was(log.published)} read")
    elif report.releases:
        lines.append(f"✓ {_count(len(report.releases), 'release')} recorded")
    return lines + _open_calls(log)


def _open_calls(log: VerifiedLog) -> list[str]:
    """Return which calls have no outcome. That of whoever asks for a head cannot have one under that very head."""
    report = log.report
    others = [index for index in report.open_intents if index != log.own]
    lines = []
    if others:
        shown = ", ".join(f"{index:,}" for index in others[:OPEN_SHOWN])
        more = ", …" if len(others) > OPEN_SHOWN else ""
        cause = "under way or cut off"
        if log.own is None and others == [report.size - 1]:
            cause = "under way as this head was signed"
        lines.append(f"· no outcome: {_count(len(others), 'call')}, {cause} (entry {shown}{more})")
    if log.own is not None:
        lines.append(f"· no outcome yet: this verification's own call for the head (entry {log.own:,})")
    return lines


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _was(number: int) -> str:
    return "it was" if number == 1 else "they were"


def _log_data(log: VerifiedLog) -> dict[str, Any]:
    report = log.report
    return {
        "origin": report.origin,
        "size": report.size,
        "root": report.root,
        "intents": report.intents,
        "outcomes": report.outcomes,
        "events": report.events,
        "open_intents": list(report.open_intents),
        "own_intent": log.own,
        "counters": dict(report.counters),
        "releases": [entry.details.get("release_id") for entry in report.releases],
        "published": log.published,
        "earlier_heads": report.earlier_heads,
        "verified": True,
    }


def tail_page(entries: Sequence[Entry], *, origin: str, size: int) -> Page:
    """List the last entries of a log."""
    rows = [[f"{one.index}", figures.moment(one.time_s)[:16], _who(one), _what(one)] for one in entries]
    lines = join_parts([f"log {origin}", f"{size:,} entries signed", "times in UTC"])
    lines += lay_out(rows, "><<<", flexible=3)
    return Page(lines=tuple(lines), data=[entry_data(one) for one in entries])


def _who(entry: Entry) -> str:
    return entry.identity.rsplit("/", 1)[-1] or "—"


def _what(entry: Entry) -> str:
    name = entry.name.rsplit("/", 1)[-1]
    details = entry.details
    if entry.kind == "intent":
        return f"{name} {details.get('decision', '')}".rstrip()
    if entry.kind == "outcome":
        return f"{name} → {details.get('status', '')} (of {details.get('intent', '?')})"
    about = [str(details[key]) for key in EVENT_DETAILS.get(name, EVENT_IDS) if details.get(key)]
    return " ".join(["event", name, *about])


def entry_data(entry: Entry) -> dict[str, Any]:
    """Return an entry for JSON."""
    return {
        "index": entry.index,
        "kind": entry.kind,
        "name": entry.name,
        "identity": entry.identity,
        "role": entry.role,
        "time_s": entry.time_s,
        "counter": entry.counter,
        "details": {key: list(value) if isinstance(value, tuple) else value for key, value in entry.details.items()},
    }


def entry_page(entry: Entry, *, origin: str, size: int) -> Page:
    """Show one entry in full."""
    data = entry_data(entry)
    lines = join_parts([f"log {origin}", f"entry {entry.index:,}", figures.moment(entry.time_s)])
    for line in json.dumps(data, indent=2, ensure_ascii=False).split("\n"):
        indent = line[: len(line) - len(line.lstrip())]
        lines += fill(line, indent=f"  {indent}")
    lines += join_parts([f"included in the signed head of {size:,} entries"])
    return Page(lines=tuple(lines), data=data)


def policy_page(policy: PolicyDocuments) -> Page:
    """Show the policy documents in force, as they are."""
    release_toml = policy.release_toml.decode(errors="replace")
    authorization_cedar = policy.authorization_cedar.decode(errors="replace")
    lines = [
        f"release.toml, SHA-256 {figures.short(policy.policy_digest)} as in every release and entry",
        "",
        *release_toml.rstrip("\n").split("\n"),
        "",
        "authorization.cedar",
        "",
        *authorization_cedar.rstrip("\n").split("\n"),
    ]
    return Page(
        lines=tuple(lines),
        data={
            "policy_digest": policy.policy_digest,
            "release_toml": release_toml,
            "authorization_cedar": authorization_cedar,
        },
    )


def exported_page(folders: Sequence[tuple[str, int]], *, folder: str) -> Page:
    """Show what was exported."""
    lines = [f"{name}: {size:,} entries" for name, size in folders]
    lines += fill(f"check it offline, on any machine: heldout audit verify {folder}", indent="  ", first="")
    return Page(lines=tuple(lines), data=dict(folders))
