"""Commands for a witness: its key, and the work."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from heldout.cli.evidence import HALVES
from heldout.cli.help import AUDITORS, Group, examples
from heldout.cli.session import Json, UsageProblem, session_of, write_note
from heldout.errors import CallError, InvalidRequest, Unavailable

if TYPE_CHECKING:
    from heldout.client import Client
    from heldout.witness import Witness

PAUSE_S: Final = 60.0
LONGEST_PAUSE_S: Final = 600.0

witness = typer.Typer(
    cls=Group, no_args_is_help=True, help="Follow the logs as a witness, and cosign heads that just grow."
)


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    app.add_typer(witness, name="witness", rich_help_panel=AUDITORS)


@witness.command("keygen", epilog=examples("witness keygen witness.key --name witness.example/one"))
def draw_key(
    context: typer.Context,
    *,
    key: Annotated[Path, typer.Argument(help="A new file; only its owner can read it.")],
    name: Annotated[str, typer.Option(help="Of the key: a domain of yours, with a path if need be.")],
    as_json: Json = False,
) -> None:
    """Draw the witness's own key, and print its public half for release.toml."""
    from heldout.cli.screens.witness import key_page  # noqa: PLC0415 - help must be fast
    from heldout.witness import write_signer  # noqa: PLC0415 - likewise

    signer = write_signer(key, name=name)
    session_of(context).show(key_page(signer.key, file=str(key)), as_json=as_json)


@witness.command(
    "run",
    epilog=examples(
        "witness run --key witness.key --state state/ --begin",
        "witness run --key witness.key --state state/",
    ),
)
def follow_logs(
    context: typer.Context,
    *,
    key: Annotated[Path, typer.Option(help="What keygen wrote.")],
    state: Annotated[Path, typer.Option(help="Folder of the heads that were cosigned; keep it as long as the key.")],
    log: Annotated[str, typer.Option("--log", help="vault, window or both.")] = "both",
    begin: Annotated[
        bool, typer.Option("--begin", help="This witness has cosigned nothing of these logs yet.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for the newest cosigned head of each log.")] = None,
    hand_in: Annotated[bool, typer.Option("--hand-in/--keep", help="Hand cosigned heads in at the appliance.")] = True,
    once: Annotated[bool, typer.Option("--once", help="Look once, and end.")] = False,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = PAUSE_S,
    as_json: Json = False,
) -> None:
    """Check that each new head continues the last one that was cosigned, note it durably, and cosign it."""
    from heldout.cli.screens.witness import cosigned_page  # noqa: PLC0415 - help must be fast
    from heldout.witness import HeadStore, Witness, read_signer  # noqa: PLC0415 - likewise

    if log not in {*HALVES, "both"}:
        raise UsageProblem("--log is vault, window or both")
    session = session_of(context)
    signer = read_signer(key)
    with session.client() as client:
        witnesses = {}
        for half in HALVES if log == "both" else (log,):
            vkey = client.audit.vkey(half)
            witnesses[half] = Witness(signer, HeadStore(state, vkey=vkey), vkey=vkey, begin=begin)
        pause_s = every
        while True:
            try:
                notes = {half: _cosign(client, half, one, hand_in=hand_in) for half, one in witnesses.items()}
                pause_s = every
                for half, note in notes.items():
                    if out is not None:
                        _write(out, half, note)
                session.show(cosigned_page(notes, signer.key), as_json=as_json)
            except Unavailable as error:
                if once:
                    raise
                pause_s = min(2 * pause_s, max(LONGEST_PAUSE_S, every))
                write_note(f"{error}; again in {pause_s:.0f} s")
            if once:
                return
            session.pause(pause_s)


def _cosign(client: Client, half: str, witness: Witness, *, hand_in: bool) -> str:
    head = client.audit.head(half)
    note = witness.cosign(
        head.note,
        prove=lambda old, new: client.audit.consistency_proof(half, old_size=old, new_size=new),
        now_s=time.time(),
    )
    if hand_in:
        try:
            client.audit.add_cosignature(half, note)
        except (InvalidRequest, Unavailable) as error:
            _explain_refusal(error, half)
    return note


def _explain_refusal(error: CallError, half: str) -> None:
    """Go on where the appliance does not want the cosignature: an auditor may have use for it all the same."""
    if isinstance(error, Unavailable) and error.reason != "UNKNOWN_METHOD":
        raise error
    why = "its release.toml does not name this witness" if isinstance(error, InvalidRequest) else str(error)
    write_note(f"the appliance did not take the cosignature of the {half}'s log: {why}")


def _write(folder: Path, half: str, note: str) -> None:
    from heldout.state_files import replace_file  # noqa: PLC0415 - help must be fast

    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / f"{half}.note", note.encode(), durable=True)
