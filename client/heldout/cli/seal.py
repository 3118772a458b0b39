"""Commands for key holders and operators: whether the appliance is sealed, a share given, and sealing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from heldout.cli.help import KEEPERS, Group, examples
from heldout.cli.session import Json, UsageProblem, session_of
from heldout.errors import WrongState

seal = typer.Typer(
    cls=Group, no_args_is_help=True, help="Seal and unseal the appliance, for operators and key holders."
)


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    app.add_typer(seal, name="seal", rich_help_panel=KEEPERS)


@seal.command("status", epilog=examples("seal status"))
def show_status(context: typer.Context, as_json: Json = False) -> None:
    """Say whether the appliance is sealed, and how many shares it was given."""
    from heldout.cli.screens.seal import status_page  # noqa: PLC0415 - help must be fast

    session = session_of(context)
    with session.client() as client:
        status = client.seal.status()
    session.show(status_page(status), as_json=as_json)


@seal.command("give-share", epilog=examples("--profile key-holder-1.toml seal give-share key-holder-1.toml"))
def give_share(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The file with your share, mode 0600.")],
    as_json: Json = False,
) -> None:
    """Give your share of the root key. The last one that is needed opens the appliance."""
    from heldout.cli.screens.seal import status_page  # noqa: PLC0415 - help must be fast
    from heldout.key_share import read_key_share  # noqa: PLC0415 - likewise

    share = read_key_share(file)
    session = session_of(context)
    with session.client() as client:
        before = client.seal.status()
        if before.sealed and before.share_set != share.share_set:
            # Said before the share leaves this machine: whoever that appliance is, it is not for it.
            raise UsageProblem(
                f"{file} is a share of {share.appliance} ({share.share_set}); this appliance takes"
                f" {before.share_set or 'none'}. It was not sent"
            )
        status = client.seal.give_share(share)
    session.show(status_page(status), as_json=as_json)


@seal.command("now", epilog=examples("--profile operator.toml seal now"))
def seal_now(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Close the appliance: nothing is answered, and no run goes on, until key holders have given their shares.

    A window that is a process of its own has nothing to close, and still answers from what is published.
    """
    from heldout.cli.screens.seal import sealing_page  # noqa: PLC0415 - help must be fast

    session = session_of(context)
    with session.client() as client:
        before = client.seal.status()
        if not before.shares:
            raise WrongState("its root key lies in a file, so it cannot be sealed", reason="NO_SHARES")
        question = f"Seal it? {before.threshold} of {before.shares} key holders must then open it"
        if not yes and not before.sealed and not typer.confirm(question):
            raise UsageProblem("not sealed: nobody said yes")
        status = client.seal.seal()
    session.show(sealing_page(status), as_json=as_json)
