"""Commands for auditors that read: the logs' last entries, one entry and its proof, the policy, and an export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from heldout.cli import audit_checks
from heldout.cli.evidence import HALVES, Vkeys, find_logs, half_of, pinned_vkeys, take_away
from heldout.cli.help import AUDITORS, Group, examples
from heldout.cli.session import Json, Session, UsageProblem, session_of
from heldout.errors import HeldoutClientError

if TYPE_CHECKING:
    from heldout.verification.receipt import LogProof

MOST_TAIL: Final = 10_000
PAUSE_S: Final = 5.0

audit = typer.Typer(
    cls=Group, no_args_is_help=True, help="The logs: read and verify them without trusting the appliance."
)
LogOption = Annotated[str, typer.Option("--log", help="vault or window.")]
Index = Annotated[int, typer.Argument(min=0, help="0-based place of the entry.")]
Folder = Annotated[Path | None, typer.Argument(help="An exported folder of logs; else the live ones.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    app.add_typer(audit, name="audit", rich_help_panel=AUDITORS)
    audit_checks.register(audit)


@audit.command(
    "tail",
    epilog=examples(
        "audit tail",
        "audit tail export/  # offline, on what audit export wrote",
        "audit tail --follow --syslog tls://siem.example:6514 --cursor sent",
    ),
)
def show_tail(
    context: typer.Context,
    *,
    folder: Folder = None,
    log: LogOption = "window",
    number: Annotated[int, typer.Option("-n", min=1, max=MOST_TAIL, help="How many entries.")] = 20,
    vkey: Vkeys = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on as the log grows, until interrupted.")] = False,
    syslog: Annotated[
        str | None, typer.Option(help="Send to tcp://, tls:// or udp://host:port, or unix:/dev/log (RFC 5424).")
    ] = None,
    otlp: Annotated[str | None, typer.Option(help="Send to an OpenTelemetry collector, http://host:4318.")] = None,
    ca: Annotated[Path | None, typer.Option(help="Authority of the receiver's certificate (PEM).")] = None,
    cursor: Annotated[
        Path | None, typer.Option(help="File that keeps what was sent: a restart goes on from there.")
    ] = None,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = PAUSE_S,
    own: Annotated[bool, typer.Option("--own", help="Show the calls of this command itself too.")] = False,
    as_json: Json = False,
) -> None:
    """Show the last entries of a log; follow it, and send it to a SIEM."""
    from heldout.cli.screens.audit import tail_page  # noqa: PLC0415 - help must be fast
    from heldout.verification.entry import parse_entry  # noqa: PLC0415 - likewise

    _check_log(log)
    session = session_of(context)
    if follow or syslog or otlp:
        from heldout.cli.following import Following  # noqa: PLC0415 - likewise

        if folder is not None:
            raise UsageProblem("an export does not grow: --follow is for the live logs")
        Following(
            session=session, log=log, syslog=syslog, otlp=otlp, ca=ca, cursor=cursor, own=own, as_json=as_json
        ).run(number, every_s=every)
        return
    if folder is None:
        with session.client() as client:
            head = client.audit.head(log).head
            start = max(0, head.size - number)
            leaves = [leaf for page in client.audit.entries(log, start=start, stop=head.size) for leaf in page.entries]
        origin, size = head.origin, head.size
    else:
        origin, size, leaves = _exported_tail(folder, pinned_vkeys(session, vkey), log, number=number)
    entries = [parse_entry(leaf, index=index) for index, leaf in enumerate(leaves, start=size - len(leaves)) if leaf]
    session.show(tail_page(entries, origin=origin, size=size), as_json=as_json)


@audit.command(
    "show",
    epilog=examples("audit show 12803 --log vault", "audit show 12803 export/ --log vault  # offline"),
)
def show_entry(
    context: typer.Context,
    *,
    index: Index,
    folder: Folder = None,
    log: LogOption = "window",
    vkey: Vkeys = None,
    as_json: Json = False,
) -> None:
    """Show one entry in full, and check that the signed head includes it."""
    from heldout.cli.screens.audit import entry_page  # noqa: PLC0415 - help must be fast
    from heldout.verification.receipt import verify_logged  # noqa: PLC0415 - likewise

    session = session_of(context)
    proof, trusted = _prove(session, index, folder, log, vkey)
    entry, head = verify_logged(proof.extra, proof.text(), trusted)
    session.show(entry_page(entry, origin=head.origin, size=head.size), as_json=as_json)


@audit.command(
    "prove",
    epilog=examples(
        "audit prove 12803 --log vault > entry.proof", "audit prove --check entry.proof  # on any other machine"
    ),
)
def prove_entry(
    context: typer.Context,
    *,
    index: Annotated[int | None, typer.Argument(min=0, help="0-based place of the entry.")] = None,
    folder: Folder = None,
    log: LogOption = "window",
    vkey: Vkeys = None,
    check: Annotated[Path | None, typer.Option(help="Check such a file instead, and show the entry.")] = None,
    as_json: Json = False,
) -> None:
    """Print an entry with the proof that the log holds it, for somebody else to check (C2SP tlog-proof)."""
    from heldout.cli.screens.audit import entry_page, proof_page  # noqa: PLC0415 - help must be fast
    from heldout.verification.receipt import parse_proof, verify_logged  # noqa: PLC0415 - likewise

    session = session_of(context)
    if (index is None) == (check is None):
        raise UsageProblem("name the entry to prove, or a file with --check")
    if check is not None:
        proof = parse_proof(check.read_text(encoding="utf-8", errors="replace"))
        trusted = pinned_vkeys(session, vkey).get(proof.checkpoint.partition("\n")[0])
        if trusted is None:
            raise UsageProblem(f"{check}: is not of a log of this profile's appliance")
        entry, head = verify_logged(proof.extra, proof.text(), trusted)
        session.show(entry_page(entry, origin=head.origin, size=head.size), as_json=as_json)
        return
    proof, trusted = _prove(session, index or 0, folder, log, vkey)
    verify_logged(proof.extra, proof.text(), trusted)
    session.show(proof_page(proof), as_json=as_json)


@audit.command("policy", epilog=examples("audit policy"))
def show_policy(context: typer.Context, as_json: Json = False) -> None:
    """Show the policy documents in force, byte for byte."""
    from heldout.cli.screens.audit import policy_page  # noqa: PLC0415 - help must be fast

    session = session_of(context)
    with session.client() as client:
        policy = client.audit.policy()
    session.show(policy_page(policy), as_json=as_json)


@audit.command("export", epilog=examples("audit export export/"))
def export_logs(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="A new folder.")],
    as_json: Json = False,
) -> None:
    """Take away both logs in tlog-tiles layout, the policy documents and the releases, and check them."""
    from heldout.cli.screens.audit import exported_page  # noqa: PLC0415 - help must be fast
    from heldout.verification import verify_export  # noqa: PLC0415 - likewise

    session = session_of(context)
    if folder.is_dir() and any(folder.iterdir()):
        raise HeldoutClientError(f"{folder} is not empty")
    with session.client() as client:
        heads = take_away(client, folder)
        for half in heads:
            verify_export(folder / half, client.audit.vkey(half))
    sizes = [(head.head.origin, head.head.size) for head in heads.values()]
    session.show(exported_page(sizes, folder=str(folder)), as_json=as_json)


def _check_log(log: str) -> None:
    if log not in HALVES:
        raise UsageProblem("--log is vault or window")


def _exported_tail(folder: Path, vkeys: dict[str, str], log: str, *, number: int) -> tuple[str, int, list[bytes]]:
    """Return origin and size of an exported log, and its last leaves, once all of it is verified."""
    from heldout.verification import verify_export  # noqa: PLC0415 - help must be fast
    from heldout.verification.log_folder import read_entries  # noqa: PLC0415 - likewise

    place, vkey = _exported_log(folder, vkeys, log)
    report = verify_export(place, vkey)
    leaves = list(read_entries(place, size=report.size, start=max(0, report.size - number)))
    return report.origin, report.size, leaves


def _exported_log(folder: Path, vkeys: dict[str, str], log: str) -> tuple[Path, str]:
    from heldout.verification.note import VerifierKey  # noqa: PLC0415 - help must be fast

    for place, vkey in find_logs(folder, vkeys):
        if half_of(VerifierKey.parse(vkey).name) == log or place == folder:
            return place, vkey
    raise UsageProblem(f"{folder}: holds no log of the {log}")


def _prove(session: Session, index: int, folder: Path | None, log: str, vkey: list[str] | None) -> tuple[LogProof, str]:
    """Return an entry with its proof, not checked, and the key that it must hold under."""
    from heldout.verification.log_folder import prove_exported  # noqa: PLC0415 - help must be fast
    from heldout.verification.receipt import LogProof  # noqa: PLC0415 - likewise

    _check_log(log)
    if folder is not None:
        place, trusted = _exported_log(folder, pinned_vkeys(session, vkey), log)
        leaf, path, note, size = prove_exported(place, index)
    else:
        with session.client() as client:
            trusted, head = client.audit.vkey(log), client.audit.head(log)
            note, size, leaf, path = head.note, head.head.size, b"", ()
            if index < size:
                leaf = next(iter(client.audit.entries(log, start=index, stop=index + 1))).entries[0]
                path = client.audit.inclusion_proof(log, index=index, tree_size=size)
    if index >= size:
        raise HeldoutClientError(f"the log has {size:,} entries: 0 to {size - 1:,}")
    if not leaf:
        raise HeldoutClientError(f"entry {index} is damaged: its bytes are lost, and the log says so in a repair")
    return LogProof(index, path, note, leaf), trusted
