"""The command's root: global options, the commands by audience, and the one place where errors end."""

from __future__ import annotations

import os
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from heldout.cli import audit, bank, cards, findings, memory, runs, scores, seal, weights, witness
from heldout.cli.help import Group, examples
from heldout.cli.session import Session, UsageProblem, connect
from heldout.errors import (
    BankFileError,
    HeldoutClientError,
    ProfileError,
    Refused,
    VerificationError,
)

if TYPE_CHECKING:
    from heldout.client import Client
    from heldout.profile import Profile

DONE: Final = 0
NO: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130
TRACEBACK: Final = "HELDOUT_TRACEBACK"
HELP: Final = "NoArgsIsHelpError"
"""What Typer raises for a group without a command."""

app = typer.Typer(
    name="heldout",
    cls=Group,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Read and run a Heldout appliance: findings for trainers, bank and runs for testers, the log for auditors.",
    epilog=examples(
        "--profile trainer.toml trend nova-lite",
        "--profile bank_tester.toml bank import prompts.jsonl",
        "--profile auditor.toml audit verify",
        note="The appliance's operator hands out profiles, one a person.",
    ),
)
findings.register(app)
scores.register(app)
weights.register(app)
bank.register(app)
cards.register(app)
runs.register(app)
audit.register(app)
witness.register(app)
memory.register(app)
seal.register(app)


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version  # noqa: PLC0415 - only this needs it

        typer.echo(f"heldout {version('heldout')}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True)
    ] = False,
    profile: Annotated[
        Path | None,
        typer.Option(
            "--profile", envvar="HELDOUT_PROFILE", help="Profile of the appliance and the certificate to use."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a page.")] = False,
) -> None:
    session = context.find_object(Session)
    if session is not None:
        session.profile_path = profile
        session.as_json = as_json


def main() -> None:
    """Run the command and exit."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character shows a question mark, and the command goes on.
        stream.reconfigure(errors="replace")  # type: ignore[union-attr] # the standard streams are text files
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # the core writes lines of its own
    sys.exit(run(sys.argv[1:]))


def run(
    arguments: Sequence[str],
    *,
    connector: Callable[[Profile], Client] = connect,
    pause: Callable[[float], None] = time.sleep,
) -> int:
    """Run the command and return its exit code.

    Args:
        arguments: those after the command's name.
        connector: makes the client of a profile.
        pause: waits so many seconds.
    """
    session = Session(connector=connector, pause=pause)
    try:
        code = app(args=list(arguments), prog_name="heldout", standalone_mode=False, obj=session)
        sys.stdout.flush()
        session.write_notes()
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:
        # Whoever read us has enough. What is still buffered must not raise again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:
        if os.environ.get(TRACEBACK):
            raise
        # The command line's own errors: their class has moved between versions of Typer, their methods have not.
        message = getattr(error, "format_message", None)
        if callable(message):
            if type(error).__name__ == HELP:
                sys.stderr.write(f"{message()}\n")
                return USAGE
            command = getattr(getattr(error, "ctx", None), "command_path", "heldout")
            line = f"heldout: {message().rstrip('.')}; see {command} --help"
            return _fail(line, int(getattr(error, "exit_code", USAGE)))
        return _fail(*explain(error))
    if code == INTERRUPTED:  # Typer makes an exit of an interrupt, and says nothing
        return _fail("heldout: interrupted", INTERRUPTED)
    return code if isinstance(code, int) else DONE


def explain(error: Exception) -> tuple[str, int]:
    """Return the one line for an error, and the exit code."""
    match error:
        case Refused():
            return f"refused: {error}", NO
        case VerificationError():
            return f"heldout: does not verify: {error}", NO
        case ProfileError() | BankFileError() | UsageProblem():
            return f"heldout: {error}", USAGE
        case HeldoutClientError():
            return f"heldout: {error}", NO
        case OSError():
            return f"heldout: {error.filename or 'a file'}: {error.strerror or type(error).__name__}", NO
    return f"heldout: failed inside ({type(error).__name__}); {TRACEBACK}=1 shows where", NO


def _fail(line: str, code: int) -> int:
    from heldout.cli.screens.page import WIDTH, clean  # noqa: PLC0415 - only failures need it

    if line.partition(":")[2].strip():
        said = clean(line).replace("\n", " ")
        if sys.stderr.isatty():  # elsewhere a line stays a line; a path stays whole everywhere
            said = textwrap.fill(said, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
        sys.stderr.write(said + "\n")
    return code
