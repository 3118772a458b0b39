"""The checks behind ``heldout audit verify``: live logs, exports, heads of others, and two exports of one log."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from heldout.cli.evidence import COSIGNED, HALVES, find_logs, policy_folders, read_logs, take_away, verify_log
from heldout.cli.heads import SeenHeads, default_root
from heldout.cli.screens.audit import VerifiedLog
from heldout.cli.session import Session, UsageProblem
from heldout.cli.witnesses import newest_cosignature, trusted_witnesses
from heldout.errors import MissingExtra, VerificationError
from heldout.verification import ExportReport
from heldout.verification.archive import read_documents, read_releases, receipt_heads
from heldout.verification.comparison import compare_exports
from heldout.verification.entry import parse_entry
from heldout.verification.log_folder import read_checkpoint, read_entries
from heldout.verification.note import VerifierKey, open_checkpoint
from heldout.verification.replay import ReplayReport, replay


@dataclass(kw_only=True)
class Verification:
    """Verify logs, and gather what an auditor should know and that is no failure.

    Attributes:
        vkeys: the verifier keys that are believed, by origin.
        told: signed heads that others were given, by verifier key.
        notes: what is no failure.
    """

    vkeys: Mapping[str, str]
    told: Mapping[str, Sequence[str]]
    notes: list[str] = field(default_factory=list)

    def live(self, session: Session) -> list[VerifiedLog]:
        """Take everything away from the appliance, verify it, and keep the heads for the next time.

        Raises:
            CallError: there is no answer.
            VerificationError: something does not hold.
        """
        identity = session.profile().identity
        logs = []
        with tempfile.TemporaryDirectory(prefix="heldout-") as scratch, session.client() as client:
            folder = Path(scratch) / "export"
            remembered = {half: client.memory.head(half) for half in HALVES}
            heads = take_away(client, folder)
            for half, head in heads.items():
                vkey, place = client.audit.vkey(half), folder / half
                seen = SeenHeads(vkey, root=default_root())
                earlier = dict.fromkeys(filter(None, [*seen.notes(), remembered[half], *self.told.get(vkey, ())]))
                log = self._log(place, vkey, list(earlier))
                log = replace(log, own=_own_call(log.report, _last_leaf(place, log.report.size), identity))
                if half == "vault":
                    log = replace(log, published=len(read_releases(folder, vkey, recorded=log.report.releases)))
                logs.append(log)
                try:
                    seen.keep(head)
                except OSError as error:
                    self.notes.append(
                        f"this head could not be kept for the next time ({error.strerror}): {error.filename}"
                    )
        return logs

    def offline(self, folder: Path) -> list[VerifiedLog]:
        """Verify what was exported.

        Raises:
            UsageProblem: nothing was.
            VerificationError: something does not hold.
        """
        found = find_logs(folder, self.vkeys)
        logs = []
        for place, vkey in found:
            key = VerifierKey.parse(vkey)
            size = open_checkpoint(read_checkpoint(place), key).size
            told = self.told.get(vkey, ())
            kept = dict.fromkeys([*SeenHeads(vkey, root=default_root()).notes(), *told])
            # An export may be older than what was seen since; those heads say nothing of it.
            earlier = [note for note in kept if open_checkpoint(note, key).size <= size]
            if any(note not in earlier for note in told):
                self.notes.append("a head that you named is newer than this export: it was not held against it")
            logs.append(self._log(place, vkey, earlier))
        if len(found) < len(self.vkeys):
            self.notes.append("only one of the two logs is here")
        return logs

    def _log(self, place: Path, vkey: str, earlier: Sequence[str]) -> VerifiedLog:
        """Verify one log; the heads that witnesses and the receipts of releases were under must be of it too.

        Args:
            place: where it lies.
            vkey: its verifier key.
            earlier: heads that were seen before.
        """
        cosigned = place / COSIGNED
        note = cosigned.read_text(encoding="utf-8", errors="replace") if cosigned.is_file() else None
        beside = receipt_heads(place.parent, vkey)
        report = verify_log(place, vkey, earlier=[*earlier, *beside, *([note] if note else [])])
        documents = read_documents(policy_folders(place, None))
        trusted = trusted_witnesses(report.history, documents)
        return VerifiedLog(
            report=replace(report, earlier_heads=len(earlier)),
            replay=self._replayed(report, documents),
            witness="" if trusted is None else newest_cosignature(note, trusted, report),
        )

    def _replayed(self, report: ExportReport, documents: Mapping[str, bytes]) -> ReplayReport | None:
        if not documents:
            return None
        try:
            return replay(report.history, documents)
        except MissingExtra as error:
            if str(error) not in self.notes:
                self.notes.append(str(error))
            return None


def read_heads(files: Sequence[Path], vkeys: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the signed notes in some files, by the verifier key of their log.

    Raises:
        UsageProblem: a file holds none.
    """
    told: dict[str, list[str]] = {}
    for file in files:
        note = file.read_bytes().decode(errors="replace")
        note = note.rstrip("\n") + "\n"  # a note ends in one line break, however many a tool put behind it
        vkey = vkeys.get(note.partition("\n")[0])
        if vkey is None:
            raise UsageProblem(f"{file}: holds no head of a log of this profile's appliance")
        told.setdefault(vkey, []).append(note)
    return told


def compare(folder: Path, other: Path, vkeys: Mapping[str, str]) -> list[str]:
    """Compare two exports log by log, and say which continues which.

    Args:
        folder: an export that was verified.
        other: another; it is verified here.
        vkeys: the verifier keys that are believed, by origin.

    Raises:
        ForkError: they differ at an entry that both have.
        VerificationError: the other does not hold.
    """
    ours = {vkey: place for place, vkey in find_logs(folder, vkeys)}
    try:
        theirs = {log.vkey: log for log in read_logs(other, vkeys)}
    except VerificationError as error:
        raise VerificationError(f"{other}: {error}") from None
    shared = [vkey for vkey in ours if vkey in theirs]
    if not shared:
        raise UsageProblem(f"{other}: holds no log that is in {folder} too")
    lines = []
    for vkey in shared:
        size, other_size = compare_exports(ours[vkey], theirs[vkey].folder, vkey)
        end = "both end at the same entry"
        if size != other_size:
            end = f"{folder if size > other_size else other} has {abs(size - other_size):,} more"
        lines.append(f"✓ {theirs[vkey].report.origin}: one history with {other}; {end}")
    return lines


def _last_leaf(folder: Path, size: int) -> bytes:
    return next(read_entries(folder, size=size, start=size - 1), b"") if size else b""


def _own_call(report: ExportReport, last: bytes, identity: str) -> int | None:
    """Return the last entry's index if it is our own call for the head that covers it: its outcome comes after."""
    index = report.size - 1
    if index not in report.open_intents:
        return None
    entry = parse_entry(last, index=index)
    return index if entry.identity == identity and entry.name.endswith("/GetTreeHead") else None
