"""``heldout-server keys``: what people do about key shares while the appliance does not run."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from heldout_server.cli.offline import read_config
from heldout_server.cli.options import AsJson, ConfigPath, Shares, examples

app = typer.Typer(help="Key shares: give an appliance new ones.", no_args_is_help=True)


@app.callback()
def _keys() -> None:
    pass  # one command today; without this it would have no name


@app.command(
    "reshare",
    epilog=examples(
        "keys reshare --share a.toml --shares 3 --threshold 2 --to new",
        note="Pass --share once for each old share that is needed.",
    ),
)
def reshare(
    shares: Annotated[int, typer.Option(help="How many new shares, one a key holder, 2 to 16.")],
    threshold: Annotated[int, typer.Option(help="How many of them open the bank, 2 or more.")],
    to: Annotated[Path, typer.Option("--to", help="A folder that does not exist yet; its parent must.")],
    share: Shares = None,
    config: ConfigPath = Path("config.toml"),
    as_json: AsJson = False,
) -> None:
    """Exchange a shared root key, and share out the new one.

    It is split among new key holders, and both logs record it.
    The appliance must not run. Pass --share for as many old shares as open it: from then on they open nothing here. A
    copy of the key ring from before, as in a backup made --with-keys, they still open.
    """
    from heldout_server.app.resharing import reshare as share_out_anew

    made = asyncio.run(
        share_out_anew(read_config(config), share or (), to.absolute(), shares=shares, threshold=threshold)
    )
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(made)))
        return
    typer.echo(f"{to}: {len(made.files)} shares, {made.share_set}; {made.threshold} of them open the bank")
    typer.echo("  the shares of before open nothing here any more; recorded in both logs")
    typer.echo("  give each to its key holder, who must be in principals.toml, and delete it here")
