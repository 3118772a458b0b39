"""What an auditor's commands work on: a folder that ``audit export`` wrote, verified; taken away anew if need be."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from heldout.cli.session import Session, UsageProblem
from heldout.errors import VerificationError

if TYPE_CHECKING:
    from heldout.client import Client
    from heldout.services.audit import SignedHead
    from heldout.verification import ExportReport

HALVES: Final = ("vault", "window")
COSIGNED: Final = "cosigned"

Vkeys = Annotated[
    list[str] | None,
    typer.Option("--vkey", metavar="KEY", help="Verifier key of a log, instead of the profile's; once for each log."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """Hold one exported log that was found whole.

    Attributes:
        half: ``vault`` or ``window``: the last part of its origin.
        folder: where it lies.
        vkey: the key by which it was verified.
        report: what it holds.
    """

    half: str
    folder: Path
    vkey: str
    report: ExportReport


def pinned_vkeys(session: Session, vkeys: Sequence[str] | None) -> dict[str, str]:
    """Return the verifier keys that are believed, by origin: those given, else the profile's.

    Raises:
        UsageProblem: a key that was given is not one.
    """
    from heldout.verification.note import VerifierKey  # noqa: PLC0415 - help must be fast

    chosen = vkeys or list(session.profile().vkeys.values())
    try:
        return {VerifierKey.parse(vkey).name: vkey for vkey in chosen}
    except VerificationError as error:
        raise UsageProblem(f"--vkey: {error}") from None


def find_logs(folder: Path, vkeys: Mapping[str, str]) -> list[tuple[Path, str]]:
    """Return the exported logs in a folder, or the one that it is, each with its verifier key.

    Raises:
        UsageProblem: there is no such folder, or none in it.
        VerificationError: a log in it is of another appliance.
    """
    from heldout.verification.log_folder import CHECKPOINT, read_checkpoint  # noqa: PLC0415 - help must be fast

    if not folder.is_dir():
        raise UsageProblem(f"{folder}: no such folder")
    found = [place for place in (folder, *(folder / half for half in HALVES)) if (place / CHECKPOINT).is_file()]
    if not found:
        raise UsageProblem(f"{folder}: holds no exported log (no file named {CHECKPOINT})")
    logs = []
    for place in found:
        vkey = vkeys.get(read_checkpoint(place).partition("\n")[0])
        if vkey is None:
            raise VerificationError(f"{place}: is not a log of this profile's appliance")
        logs.append((place, vkey))
    return logs


def verify_log(place: Path, vkey: str, *, earlier: Sequence[str] = ()) -> ExportReport:
    """Verify one exported log; what does not hold is told with the log's name.

    Args:
        place: where it lies.
        vkey: its verifier key.
        earlier: heads that were seen before.

    Raises:
        VerificationError: it does not hold.
    """
    from heldout.verification import verify_export  # noqa: PLC0415 - help must be fast

    try:
        return verify_export(place, vkey, earlier=earlier)
    except VerificationError as error:
        raise VerificationError(f"{vkey.partition('+')[0]}: {error}") from None


def read_logs(folder: Path, vkeys: Mapping[str, str]) -> list[Log]:
    """Verify every exported log in a folder.

    Raises:
        UsageProblem: there is none.
        VerificationError: one does not hold.
    """
    logs = []
    for place, vkey in find_logs(folder, vkeys):
        report = verify_log(place, vkey)
        logs.append(Log(half=half_of(report.origin), folder=place, vkey=vkey, report=report))
    return logs


def policy_folders(folder: Path, further: Sequence[Path] | None) -> list[Path]:
    """Return where policy documents may lie: in an export or beside one of its logs, and in further folders."""
    from heldout.verification.archive import POLICY  # noqa: PLC0415 - help must be fast

    return [folder / POLICY, folder.parent / POLICY, *(further or []), *(each / POLICY for each in further or [])]


def half_of(origin: str) -> str:
    """Return which half a log is of: the last part of its name."""
    return origin.rpartition("/")[2]


@contextlib.contextmanager
def evidence(session: Session, folder: Path | None) -> Iterator[Path]:
    """Yield an exported folder: the given one, or everything taken away now, for as long as the block runs."""
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="heldout-") as scratch:
        with session.client() as client:
            take_away(client, Path(scratch) / "export")
        yield Path(scratch) / "export"


def take_away(client: Client, folder: Path) -> dict[str, SignedHead]:
    """Write both logs, the policy documents and the releases into a new folder, and return the heads.

    The releases are read first: whatever they show must stand in the heads fetched after them.
    """
    from heldout.verification.archive import write_documents, write_releases  # noqa: PLC0415 - help must be fast

    releases = client.findings.receipted_releases()
    policy = client.audit.policy()
    heads = {half: client.audit.head(half) for half in HALVES}
    for half, head in heads.items():
        export_log(client, half, head, folder / half)
    documents = {
        "release.toml": policy.release_toml,
        "authorization.cedar": policy.authorization_cedar,
        "principals.toml": policy.principals_toml,
    }
    write_documents(folder, {name: content for name, content in documents.items() if content})
    write_releases(folder, releases)
    return heads


def export_log(client: Client, half: str, head: SignedHead, folder: Path) -> bytes:
    """Write a log up to the head that was fetched first, and return its last leaf; our own calls make logs grow."""
    from heldout.cli.progress import progress_bar  # noqa: PLC0415 - help must be fast
    from heldout.verification import LogExport  # noqa: PLC0415 - likewise

    export = LogExport(folder)
    with progress_bar(f"reading {half}", head.head.size) as report:
        last = b""
        for page in client.audit.entries(half, start=0, stop=head.head.size):
            export.add(page.entries, damaged=page.damaged)
            last = page.entries[-1]
            report(page.start + len(page.entries))
    export.finish(head.note)
    if head.cosigned:
        (folder / COSIGNED).write_text(head.cosigned, encoding="utf-8")
    return last
