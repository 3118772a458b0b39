"""Commands for auditors: read the logs, verify them, take them away."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from heldout.cli.session import Json, UsageProblem, session_of
from heldout.errors import HeldoutClientError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from heldout.cli.screens.audit import VerifiedLog
    from heldout.client import Client
    from heldout.profile import Profile
    from heldout.services.audit import SignedHead
    from heldout.verification import ExportReport

HALVES: Final = ("vault", "window")
MOST_TAIL: Final = 10_000

audit = typer.Typer(no_args_is_help=True, help="The logs: read and verify them without trusting the appliance.")
Log = Annotated[str, typer.Option("--log", help="vault or window.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    app.add_typer(audit, name="audit")


@audit.command("tail", epilog="Examples: heldout audit tail · offline, on an export: heldout audit tail export/")
def show_tail(
    context: typer.Context,
    folder: Annotated[Path | None, typer.Argument(help="An exported folder of logs; else the live ones.")] = None,
    log: Log = "window",
    number: Annotated[int, typer.Option("-n", min=1, max=MOST_TAIL, help="How many entries.")] = 20,
    as_json: Json = False,
) -> None:
    """Show the last entries of a log, of an export once it is verified."""
    from heldout.cli.screens.audit import tail_page  # noqa: PLC0415 - help must be fast
    from heldout.verification.entry import parse_entry  # noqa: PLC0415 - likewise

    _check_log(log)
    session = session_of(context)
    if folder is None:
        with session.client() as client:
            head = client.audit.head(log).head
            start = max(0, head.size - number)
            leaves = [leaf for page in client.audit.entries(log, start=start, stop=head.size) for leaf in page]
        origin, size = head.origin, head.size
    else:
        origin, size, leaves = _exported_tail(folder / log, session.profile().vkeys[log], number=number)
    entries = [parse_entry(leaf, index=index) for index, leaf in enumerate(leaves, start=size - len(leaves))]
    session.show(tail_page(entries, origin=origin, size=size), as_json=as_json)


@audit.command("show", epilog="Example: heldout audit show 12803 --log vault")
def show_entry(
    context: typer.Context,
    index: Annotated[int, typer.Argument(min=0, help="0-based place of the entry.")],
    log: Log = "window",
    as_json: Json = False,
) -> None:
    """Show one entry in full, and check that the signed head includes it."""
    from heldout.cli.screens.audit import entry_page  # noqa: PLC0415 - help must be fast
    from heldout.verification.entry import parse_entry  # noqa: PLC0415 - likewise
    from heldout.verification.merkle import leaf_hash, verify_inclusion  # noqa: PLC0415 - likewise

    _check_log(log)
    session = session_of(context)
    with session.client() as client:
        head = client.audit.head(log).head
        if index >= head.size:
            raise HeldoutClientError(f"the log has {head.size:,} entries: 0 to {head.size - 1:,}")
        (leaf,) = next(iter(client.audit.entries(log, start=index, stop=index + 1)))
        proof = client.audit.inclusion_proof(log, index=index, tree_size=head.size)
    verify_inclusion(index=index, size=head.size, leaf=leaf_hash(leaf), proof=proof, root=head.root)
    session.show(entry_page(parse_entry(leaf, index=index), origin=head.origin, size=head.size), as_json=as_json)


@audit.command("policy", epilog="Example: heldout audit policy")
def show_policy(context: typer.Context, as_json: Json = False) -> None:
    """Show the policy documents in force, byte for byte."""
    from heldout.cli.screens.audit import policy_page  # noqa: PLC0415 - help must be fast

    session = session_of(context)
    with session.client() as client:
        policy = client.audit.policy()
    session.show(policy_page(policy), as_json=as_json)


@audit.command("export", epilog="Example: heldout audit export export/")
def export_logs(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="A new folder; each log gets one in it.")],
    as_json: Json = False,
) -> None:
    """Take both logs away, in tlog-tiles layout, and check them."""
    from heldout.cli.screens.audit import exported_page  # noqa: PLC0415 - help must be fast
    from heldout.verification import verify_export  # noqa: PLC0415 - likewise

    session = session_of(context)
    with session.client() as client:
        heads = {half: client.audit.head(half) for half in HALVES}
        for half, head in heads.items():
            _export(client, half, head, folder / half)
            verify_export(folder / half, client.audit.vkey(half))
    sizes = [(head.head.origin, head.head.size) for head in heads.values()]
    session.show(exported_page(sizes, folder=str(folder)), as_json=as_json)


@audit.command("verify", epilog="Examples: heldout audit verify · offline, on an export: heldout audit verify export/")
def verify_logs(
    context: typer.Context,
    folder: Annotated[
        Path | None, typer.Argument(help="An exported log or folder of logs; else the live ones.")
    ] = None,
    head: Annotated[
        list[Path] | None,
        typer.Option(help="A file with a signed head that somebody else was given: log_head of budget --json."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check every entry of both logs against their signed heads, live or offline."""
    from heldout.cli.screens.audit import verified_page  # noqa: PLC0415 - help must be fast

    session = session_of(context)
    profile = session.profile()
    told = _read_heads(head or [], profile)
    notes: list[str] = []
    if folder is not None:
        logs = _verify_offline(folder, profile, notes, told)
    else:
        with session.client() as client:
            logs = _verify_live(client, notes, told, identity=profile.identity)
    session.show(verified_page(logs, notes=notes), as_json=as_json)


def _check_log(log: str) -> None:
    if log not in HALVES:
        raise UsageProblem("--log is vault or window")


def _export(client: Client, half: str, head: SignedHead, folder: Path) -> bytes:
    """Write a log up to the head that was fetched first, and return its last leaf.

    Our own calls make the window's log grow.
    """
    from heldout.cli.progress import progress_bar  # noqa: PLC0415 - help must be fast
    from heldout.verification import LogExport  # noqa: PLC0415 - likewise

    export = LogExport(folder)
    with progress_bar(f"reading {half}", head.head.size) as report:
        done, last = 0, b""
        for page in client.audit.entries(half, start=0, stop=head.head.size):
            export.add(page)
            done, last = done + len(page), page[-1]
            report(done)
    export.finish(head.note)
    return last


def _exported_tail(folder: Path, vkey: str, *, number: int) -> tuple[str, int, list[bytes]]:
    """Return origin and size of an exported log, and its last leaves, once all of it is verified."""
    from collections import deque  # noqa: PLC0415 - help must be fast

    from heldout.verification import verify_export  # noqa: PLC0415 - likewise
    from heldout.verification.export import read_entries  # noqa: PLC0415 - likewise

    report = verify_export(folder, vkey)
    return report.origin, report.size, list(deque(read_entries(folder, size=report.size), maxlen=number))


def _read_heads(files: Sequence[Path], profile: Profile) -> dict[str, list[str]]:
    """Return the signed notes in some files, by the verifier key of their log."""
    by_origin = _by_origin(profile)
    told: dict[str, list[str]] = {}
    for file in files:
        note = file.read_bytes().decode(errors="replace")
        note = note.rstrip("\n") + "\n"  # a note ends in one line break, however many a tool put behind it
        vkey = by_origin.get(note.partition("\n")[0])
        if vkey is None:
            raise UsageProblem(f"{file}: holds no head of a log of this profile's appliance")
        told.setdefault(vkey, []).append(note)
    return told


def _by_origin(profile: Profile) -> dict[str, str]:
    from heldout.verification.note import VerifierKey  # noqa: PLC0415 - help must be fast

    return {VerifierKey.parse(vkey).name: vkey for vkey in profile.vkeys.values()}


def _verify_live(
    client: Client, notes: list[str], told: Mapping[str, Sequence[str]], *, identity: str
) -> list[VerifiedLog]:
    from heldout.cli.heads import SeenHeads, default_root  # noqa: PLC0415 - help must be fast
    from heldout.cli.screens.audit import VerifiedLog  # noqa: PLC0415 - likewise
    from heldout.verification import verify_export  # noqa: PLC0415 - likewise

    # What is published is read first, so that everything read must stand in the heads fetched after it.
    published = {release.release_id for release in client.findings.releases()}
    logs = []
    for half in HALVES:
        head = client.audit.head(half)
        vkey = client.audit.vkey(half)
        seen = SeenHeads(vkey, root=default_root())
        with tempfile.TemporaryDirectory(prefix="heldout-") as scratch:
            folder = Path(scratch) / half
            last = _export(client, half, head, folder)
            report = verify_export(folder, vkey, earlier=[*seen.notes(), *told.get(vkey, ())])
        recorded = {entry.details.get("release_id") for entry in report.releases}
        if half == "vault" and not published <= recorded:
            raise VerificationError("a release is published that the log does not record")
        logs.append(
            VerifiedLog(
                report=report,
                published=len(published) if half == "vault" else None,
                own=_own_call(report, last, identity),
            )
        )
        try:
            seen.keep(head)
        except OSError as error:
            notes.append(f"this head could not be kept for the next time ({error.strerror}): {error.filename}")
    return logs


def _own_call(report: ExportReport, last: bytes, identity: str) -> int | None:
    """Return the last entry's index if it is our own call for the head that covers it: its outcome comes after."""
    from heldout.verification.entry import parse_entry  # noqa: PLC0415 - help must be fast

    index = report.size - 1
    if index not in report.open_intents:
        return None
    entry = parse_entry(last, index=index)
    return index if entry.identity == identity and entry.name.endswith("/GetTreeHead") else None


def _verify_offline(
    folder: Path, profile: Profile, notes: list[str], told: Mapping[str, Sequence[str]]
) -> list[VerifiedLog]:
    from heldout.cli.heads import SeenHeads, default_root  # noqa: PLC0415 - help must be fast
    from heldout.cli.screens.audit import VerifiedLog  # noqa: PLC0415 - likewise
    from heldout.verification import verify_export  # noqa: PLC0415 - likewise
    from heldout.verification.export import CHECKPOINT, read_checkpoint  # noqa: PLC0415 - likewise
    from heldout.verification.note import VerifierKey, open_checkpoint  # noqa: PLC0415 - likewise

    if not folder.is_dir():
        raise UsageProblem(f"{folder}: no such folder")
    found = [place for place in (folder, *(folder / half for half in HALVES)) if (place / CHECKPOINT).is_file()]
    if not found:
        raise UsageProblem(f"{folder}: holds no exported log (no file named {CHECKPOINT})")
    by_origin = _by_origin(profile)
    logs = []
    for place in found:
        note = read_checkpoint(place)
        vkey = by_origin.get(note.partition("\n")[0])
        if vkey is None:
            raise VerificationError(f"{place}: is not a log of this profile's appliance")
        size = open_checkpoint(note, VerifierKey.parse(vkey)).size
        kept = [*SeenHeads(vkey, root=default_root()).notes(), *told.get(vkey, ())]
        # An export may be older than what was seen since; those heads say nothing of it.
        earlier = [head for head in kept if open_checkpoint(head, VerifierKey.parse(vkey)).size <= size]
        if any(head not in earlier for head in told.get(vkey, ())):
            notes.append("a head that you named is newer than this export: it was not held against it")
        logs.append(VerifiedLog(report=verify_export(place, vkey, earlier=earlier)))
    missing = len(profile.vkeys) - len(found)
    if missing:
        notes.append("only one of the two logs is here")
    return logs
