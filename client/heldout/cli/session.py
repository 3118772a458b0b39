"""What every command shares: the profile, the connection, and the way out to the terminal."""

from __future__ import annotations

import csv
import io
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from heldout.cli.screens.page import Page
    from heldout.client import Client
    from heldout.profile import Profile

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV.")]
RatesJson = Annotated[bool, typer.Option("--json", help="Print JSON; rates are 0 to 1 and not clamped.")]
RatesCsv = Annotated[bool, typer.Option("--csv", help="Print CSV; rates are 0 to 1 and not clamped.")]

STYLES: Final = {"worse": "bold red", "better": "green", "withheld": "dim"}
"""Colours of words that say the same without them."""


class UsageProblem(Exception):
    """Say what is wrong with the command or its configuration: exit code 2."""


def read_profile(path: Path) -> Profile:
    """Read a profile; late, because it needs cryptography."""
    from heldout.profile import read_profile as read  # noqa: PLC0415 - see above

    return read(path)


def connect(profile: Profile) -> Client:
    """Connect over mTLS; late, because it needs gRPC."""
    from heldout.client import Client  # noqa: PLC0415 - see above

    return Client.from_profile(profile)


@dataclass(kw_only=True)
class Session:
    """Carry what the options before the command said.

    Attributes:
        connector: makes the client of a profile.
        profile_path: of the profile, if it was given.
        as_json: whether ``--json`` stood before the command.
        clients: every client that the command used.
        pause: waits so many seconds.
    """

    connector: Callable[[Profile], Client] = connect
    pause: Callable[[float], None] = time.sleep
    profile_path: Path | None = None
    as_json: bool = False
    clients: list[Client] = field(default_factory=list)

    def profile(self) -> Profile:
        """Read the profile.

        Raises:
            UsageProblem: none was given.
            ProfileError: something in it is missing or malformed.
        """
        if self.profile_path is None:
            raise UsageProblem("no profile: pass --profile PATH before the command, or set HELDOUT_PROFILE")
        return read_profile(self.profile_path)

    def client(self) -> Client:
        """Return a client of the profile; close it."""
        self.clients.append(self.connector(self.profile()))
        return self.clients[-1]

    def write_notes(self) -> None:
        """Say on stderr what the clients noticed and what is no failure of the command."""
        for client in self.clients:
            for gap in client.memory.gaps:
                write_note(str(gap))
            if client.memory.failure:
                write_note(f"nothing can be remembered for the next time: {client.memory.failure}")

    def show(self, page: Page, *, as_json: bool = False, as_csv: bool = False) -> None:
        """Print a page.

        Raises:
            UsageProblem: JSON and CSV were asked for together.
        """
        as_json = as_json or self.as_json
        if as_json and as_csv:
            raise UsageProblem("--json and --csv do not go together")
        if as_json:
            sys.stdout.write(json.dumps(page.data, indent=2, ensure_ascii=False) + "\n")
        elif as_csv:
            sheet = io.StringIO()
            writer = csv.writer(sheet, lineterminator="\n")
            writer.writerow(page.header)
            writer.writerows(page.records)
            sys.stdout.write(sheet.getvalue())
        else:
            _print_lines(page.lines)


def write_note(text: str) -> None:
    """Write one line beside the answer, on stderr: what was asked for is done, and yet there is something to know."""
    from heldout.cli.screens.page import clean  # noqa: PLC0415 - only notes need it

    sys.stderr.write(f"note: {clean(text)}\n".replace("\n", " ").rstrip() + "\n")


def session_of(context: typer.Context) -> Session:
    """Return the session of a command."""
    session = context.find_object(Session)
    if session is None:
        raise UsageProblem("the command was started without a session")
    return session


def _print_lines(lines: tuple[str, ...]) -> None:
    if not sys.stdout.isatty():
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        return
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
    from rich.text import Text  # noqa: PLC0415 - likewise

    console = Console(highlight=False, soft_wrap=True)  # honours NO_COLOR
    for line in lines:
        text = Text(line)
        for word, style in STYLES.items():
            text.highlight_regex(rf"\b{word}\b", style)
        console.print(text)
