"""The logs, for auditors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from heldout.cli.screens import figures
from heldout.cli.screens.page import Page, clean, fill, join_parts, lay_out
from heldout.services.audit import PolicyDocuments
from heldout.verification import Entry, ExportReport
from heldout.verification.entry import Detail
from heldout.verification.receipt import LogProof
from heldout.verification.replay import ReplayReport

OPEN_SHOWN: Final = 5
EVENT_IDS: Final = ("release_id", "epoch_id", "run_id")
EVENT_DETAILS: Final = {
    "checkpoint": ("name", "state", "reason"),
    "epoch": ("number", "epoch_id"),
    "release": ("number", "release_id"),
    "run": ("run_id", "state"),
    "burn": ("prompts", "runtime", "run_id"),
    "anchor": ("database", "generation"),
    "restore": ("database", "cause", "backup_time", "reason"),
    "log_device_lost": ("device", "reason"),
    "log_damaged": ("device", "damage", "leaf"),
    "repair": ("damage", "leaf"),
    "reload": ("document", "status"),
    "policy": ("version", "profile"),
    "policy_refused": ("reason", "document", "line"),
    "seal": ("by",),
    "reshare": ("share_set", "threshold", "shares"),
    "unseal": ("threshold", "given_by", "kept_signed"),
    "backup": ("files", "keys"),
    "start": (),
    "stop": (),
    "start_sealed": (),
    "stop_sealed": (),
    "denials": ("count", "reason", "caller"),
    "clock": ("step_s",),
}
"""What of an event's details tells which thing it is about, by the event's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedLog:
    """Hold a log that was found whole.

    Attributes:
        report: what it holds.
        published: releases that the window gives out and that this log records; None if that was not looked at.
        own: index of the verification's own call for the head, which had no outcome yet when the head was signed.
        replay: what came of making its decisions again; None if that could not be done.
        witness: who cosigned it last, as a line; empty where no policy at hand names a witness.
    """

    report: ExportReport
    published: int | None = None
    own: int | None = None
    replay: ReplayReport | None = None
    witness: str = ""


def verified_page(logs: Sequence[VerifiedLog], *, notes: Sequence[str] = (), extra: Sequence[str] = ()) -> Page:
    """Show what was checked. Whatever does not hold never gets here: it is an error.

    Args:
        logs: those that were checked.
        notes: what an auditor should know and that is no failure.
        extra: what else was checked, each a line that begins with its mark.
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
        lines += [wrapped for line in _checks(log) for wrapped in fill(line, indent="   ", first=" ")]
    lines += [wrapped for line in extra for wrapped in fill(line, indent="   ", first=" ")]
    lines += [line for note in notes for line in fill(note, indent="   ", first=" ! ")]
    return Page(
        lines=tuple(lines), data={"logs": [_log_data(log) for log in logs], "notes": list(notes), "extra": list(extra)}
    )


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
    if report.damaged:
        lines.append(f"! {_count(len(report.damaged), 'damaged entry', 'damaged entries')}, each named by a repair")
    lines += [replay_line(log.replay)] if log.replay else []
    lines += [log.witness] if log.witness else []
    return lines + _open_calls(log)


def replay_line(replay: ReplayReport) -> str:
    """Say in a line what came of making the decisions again; it begins with ``✓`` or ``!``."""
    under = f" under {figures.short(replay.documents[-1])}" if replay.documents else ""
    if replay.differences:
        differing = sum(one.calls.calls for one in replay.differences)
        return f"! {differing:,} of {replay.decided:,} decisions differ from the documents: heldout audit replay"
    if replay.complete:
        return f"✓ {_count(replay.decided, 'decision')} replayed{under}: none differs"
    lacking = replay.unnamed + max(replay.missing.values(), default=0)
    return f"! {_count(lacking, 'decision')} not replayed (documents are missing); of {replay.decided:,} none differs"


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


def _count(number: int, noun: str, many: str = "") -> str:
    return f"{number:,} {noun if number == 1 else many or noun + 's'}"


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
        "damaged": list(report.damaged),
        "replay": replay_data(log.replay) if log.replay else None,
        "witness": log.witness,
        "verified": True,
    }


def replay_data(replay: ReplayReport) -> dict[str, Any]:
    """Return what came of making the decisions again, for JSON."""
    return {
        "decided": replay.decided,
        "undecided": replay.undecided,
        "unnamed": replay.unnamed,
        "missing": dict(replay.missing),
        "documents": list(replay.documents),
        "complete": replay.complete,
        "differences": [
            {
                "first": one.calls.first,
                "calls": one.calls.calls,
                "identity": one.calls.identity,
                "method": one.calls.name,
                "recorded": one.recorded,
                "replayed": one.replayed,
            }
            for one in replay.differences
        ],
    }


def tail_page(entries: Sequence[Entry], *, origin: str, size: int) -> Page:
    """List the last entries of a log."""
    rows = [[f"{one.index}", figures.moment(one.time_s)[:16], _who(one), _what(one)] for one in entries]
    lines = join_parts([f"log {origin}", f"{size:,} entries signed", "times in UTC"])
    lines += lay_out(rows, "><<<", flexible=3)
    return Page(lines=tuple(lines), data=[entry_data(one) for one in entries])


def entry_line(entry: Entry) -> str:
    """Return an entry in a line, for a log that is followed."""
    return clean(f"{entry.index}  {figures.moment(entry.time_s)[:16]}  {_who(entry)}  {_what(entry)}")


def proof_page(proof: LogProof) -> Page:
    """Show a proof as it is written: it is for a file."""
    text = proof.text()
    return Page(lines=tuple(text.removesuffix("\n").split("\n")), data={"index": proof.index, "proof": text})


def _who(entry: Entry) -> str:
    return entry.identity.rsplit("/", 1)[-1] or "—"


def _what(entry: Entry) -> str:
    name = entry.name.rsplit("/", 1)[-1]
    details = entry.details
    if entry.kind == "intent":
        return f"{name} {details.get('decision', '')}".rstrip()
    if entry.kind == "outcome":
        return f"{name} → {details.get('status', '')} (of {details.get('intent', '?')})"
    about = [told(details[key]) for key in EVENT_DETAILS.get(name, EVENT_IDS) if details.get(key)]
    return " ".join(["event", name, *about])


def told(detail: Detail) -> str:
    """Return a detail in words; of identities in a list the last part."""
    if isinstance(detail, tuple):
        return ", ".join(one.rpartition("/")[2] for one in detail)
    return str(detail)


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
    documents = {
        "release.toml": policy.release_toml,
        "authorization.cedar": policy.authorization_cedar,
        "principals.toml": policy.principals_toml,
    }
    texts = {name: content.decode(errors="replace") for name, content in documents.items() if content}
    lines: list[str] = []
    for name, text in texts.items():
        digest = hashlib.sha256(documents[name]).hexdigest()
        lines += ["", f"{name}, SHA-256 {figures.short(digest)} as in the log", "", *text.rstrip("\n").split("\n")]
    data = {name.replace(".", "_"): text for name, text in texts.items()}
    return Page(lines=tuple(lines[1:]), data={"policy_digest": policy.policy_digest, **data})


def exported_page(folders: Sequence[tuple[str, int]], *, folder: str) -> Page:
    """Show what was exported."""
    lines = [f"{name}: {size:,} entries" for name, size in folders]
    lines += fill(f"check it offline, on any machine: heldout audit verify {folder}", indent="  ", first="")
    return Page(lines=tuple(lines), data=dict(folders))
