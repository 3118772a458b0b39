"""Commands for bank testers: what is in the bank."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from heldout.cli import imports
from heldout.cli.help import TESTERS, Group, examples
from heldout.cli.identifiers import check_identifier
from heldout.cli.session import Json, UsageProblem, session_of, write_note
from heldout.cli.suggestions import suggest

bank = typer.Typer(cls=Group, no_args_is_help=True, help="The bank of prompts, for bank testers.")
epoch = typer.Typer(cls=Group, no_args_is_help=True, help="Frozen sets of prompts, which releases are about.")


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    imports.register(bank)
    bank.add_typer(epoch, name="epoch")
    app.add_typer(bank, name="bank", rich_help_panel=TESTERS)


@bank.command("stats", epilog=examples("bank stats"))
def show_stats(context: typer.Context, as_json: Json = False) -> None:
    """Count what is in the bank."""
    from heldout.cli.screens.bank import stats_page  # noqa: PLC0415 - help must be fast

    session = session_of(context)
    with session.client() as client:
        stats = client.bank.stats()
    session.show(stats_page(stats), as_json=as_json)


@bank.command("show", epilog=examples("bank show prompt-4f0c9a1be2d37c55"))
def show_prompt(
    context: typer.Context,
    handle: Annotated[str, typer.Argument(help="The prompt's handle.", callback=check_identifier)],
    as_json: Json = False,
) -> None:
    """Show one prompt, text included."""
    from heldout.cli.screens.bank import prompt_page  # noqa: PLC0415 - help must be fast

    session = session_of(context)
    with session.client() as client:
        stored = client.bank.prompt(handle)
    session.show(prompt_page(stored), as_json=as_json)


@bank.command("list", epilog=examples("bank list > handles.txt"))
def list_handles(
    context: typer.Context,
    *,
    category: Annotated[str, typer.Option(help="Only those of this category.", callback=check_identifier)] = "",
    as_json: Json = False,
) -> None:
    """List the handles of all prompts, one a line."""
    from heldout.cli.screens.bank import handles_page  # noqa: PLC0415 - help must be fast

    session = session_of(context)
    with session.client() as client:
        handles = client.bank.handles(category=category)
        known = [one.category for one in client.bank.stats().counts] if category and not handles else []
    session.show(handles_page(handles), as_json=as_json)
    if category and not handles:
        write_note(f"no prompt is of the category {category}{suggest(category, list(dict.fromkeys(known)))}")


@bank.command("duplicates", epilog=examples("bank duplicates"))
def list_duplicates(context: typer.Context, as_json: Json = False) -> None:
    """List pairs of live prompts that say nearly the same, most alike first."""
    from heldout.cli.screens.imports import duplicates_page  # noqa: PLC0415 - help must be fast

    session = session_of(context)
    with session.client() as client:
        found = client.bank.duplicates()
    session.show(duplicates_page(found), as_json=as_json)


@bank.command("retire", epilog=examples("bank retire --from-file handles.txt"))
def retire_prompts(
    context: typer.Context,
    handles: Annotated[
        list[str] | None, typer.Argument(help="Handles of the prompts.", callback=check_identifier)
    ] = None,
    from_file: Annotated[Path | None, typer.Option("--from-file", help="A file of handles, one a line.")] = None,
    as_json: Json = False,
) -> None:
    """Take prompts out of every later epoch, all or none."""
    from heldout.bank_files import read_lines  # noqa: PLC0415 - help must be fast
    from heldout.bank_files.fields import IDENTIFIER  # noqa: PLC0415 - likewise
    from heldout.cli.screens.bank import retired_page  # noqa: PLC0415 - likewise

    named = list(handles or [])
    if from_file is not None:
        for number, line in read_lines(from_file):
            if IDENTIFIER.fullmatch(line.strip()) is None:  # which may be a prompt, so it is not repeated
                raise UsageProblem(f"{from_file.name} line {number}: is no handle: see heldout bank list")
            named.append(line.strip())
    if not named:
        raise UsageProblem("name handles, or a file of them with --from-file")
    named = list(dict.fromkeys(named))
    session = session_of(context)
    with session.client() as client:
        retired = client.bank.retire(named)
    session.show(retired_page(retired, len(named)), as_json=as_json)


@epoch.command("open", epilog=examples("bank epoch open"))
def open_epoch(
    context: typer.Context,
    *,
    all_withheld: Annotated[
        bool, typer.Option("--all-withheld", help="Open it even if no release of it can show a row.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Freeze all live prompts into a new epoch. Releases are counted anew; what a prompt has spent stays spent."""
    from heldout.cli.screens.bank import epoch_page  # noqa: PLC0415 - help must be fast
    from heldout.errors import WrongState  # noqa: PLC0415 - likewise

    session = session_of(context)
    with session.client() as client:
        try:
            opened = client.bank.open_epoch(only_if_shown=not all_withheld)
        except WrongState as error:
            if error.reason != "EPOCH_SHOWS_NOTHING":
                raise
            raise WrongState(f"{error}; --all-withheld opens it all the same", reason=error.reason) from None
    session.show(epoch_page(opened), as_json=as_json)
