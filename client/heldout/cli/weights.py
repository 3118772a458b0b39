"""``heldout verify-model``: which releases are about the weights in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from heldout.cli.help import TRAINERS, examples
from heldout.cli.session import Json, session_of


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("verify-model", rich_help_panel=TRAINERS, epilog=examples("verify-model checkpoints/nova-lite-v5"))(
        verify_model
    )


def verify_model(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="A checkpoint's folder, as it was given to the appliance.")],
    as_json: Json = False,
) -> None:
    """Say which releases are about exactly the files in a folder. Exits with 1 if none is.

    Of an adapter's folder: the releases about that adapter on its base. Of a base: also those about adapters of it.
    Every file counts, checkpoint.toml too: a changed bit anywhere is another model.
    """
    from heldout.cli.progress import progress_bar  # noqa: PLC0415 - help must be fast
    from heldout.cli.screens.weights import weights_page  # noqa: PLC0415 - likewise
    from heldout.verification.weights import digest_weights, measure_folder  # noqa: PLC0415 - likewise

    session = session_of(context)
    with progress_bar("reading", measure_folder(folder), unit="bytes") as report:
        digest = digest_weights(folder, report=report)
    with session.client() as client:
        releases = client.findings.releases()
    about = [release for release in releases if release.tested.checkpoint_digest == digest]
    adapters = [release for release in releases if release.tested.base_digest == digest]
    session.show(
        weights_page(folder.name, digest=digest, about=about, adapters=adapters, of=len(releases)), as_json=as_json
    )
    if not about:
        raise typer.Exit(1)
