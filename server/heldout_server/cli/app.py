"""The ``heldout-server`` command: make an appliance, start it, sign its policy, measure its judge.

A person never sees a traceback: what goes wrong ends in one line that says what, where and what to do, and exit code 2.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import textwrap
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from heldout_policy.errors import PolicyError
from heldout_server.cli import audit, judge, keys, policy
from heldout_server.cli.attack import attack
from heldout_server.cli.backup import backup
from heldout_server.cli.options import AsJson, examples
from heldout_server.cli.restore import restore
from heldout_server.cli.serving import serve_until_stopped
from heldout_server.errors import HeldoutError
from heldout_server.hardening.process import harden_process

app = typer.Typer(
    name="heldout-server",
    help="Run a Heldout appliance: a clean room where checkpoints are tested with prompts that never leave it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

EXIT_REFUSED = 2
EXIT_INTERRUPTED = 130
HELP = "NoArgsIsHelpError"
"""What Typer raises for a command without arguments: its class has moved between versions, its name has not."""

console = Console(stderr=True, highlight=False)


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"heldout-server {version('heldout')}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    pass  # the option does its work by itself


@app.command(epilog=examples("init ./appliance", "init ./appliance --shares 5 --threshold 3"))
def init(
    folder: Annotated[Path, typer.Argument(help="A folder that does not exist yet, or is empty.")],
    name: Annotated[str, typer.Option(help="Name of the appliance; its logs are called after it.")] = "heldout-dev",
    address: Annotated[str, typer.Option(help="Where the API will listen, mTLS.")] = "127.0.0.1:7443",
    health: Annotated[
        str | None,
        typer.Option(
            help="Where health will listen, plain; by default on loopback, the next port.", show_default=False
        ),
    ] = None,
    window: Annotated[
        str | None, typer.Option(help="Where the window half will listen, if it is to be a process of its own.")
    ] = None,
    policy: Annotated[
        Path | None, typer.Option(help="A release.toml to sign and install instead of the default.")
    ] = None,
    shares: Annotated[
        int, typer.Option(help="Split the root key into so many shares, one a key holder, 2 to 16; 0: a file.")
    ] = 0,
    threshold: Annotated[int, typer.Option(help="How many of the shares open the bank, 2 or more.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Make an appliance, with keys, policy, config, client profiles.

    Without --shares its root key lies in a file, for development alone. With it the key is written nowhere: the
    appliance starts sealed, and opens once as many key holders as --threshold says have each given a share.
    """
    from heldout_server.environment import SystemClock
    from heldout_server.installation import Sharing, install

    sharing = Sharing(shares=shares, threshold=threshold) if shares or threshold else None
    install(
        folder,
        name=name,
        address=address,
        health=health,
        window=window,
        clock=SystemClock(),
        release_policy=policy,
        sharing=sharing,
    )
    if as_json:
        typer.echo(json.dumps(_made(folder, shared=sharing is not None)))
        return
    console.print(f"made {folder}: keys, certificates, signed policy, config, client profiles")
    console.print(f"  start it    heldout-server serve --config {folder / 'config.toml'}", soft_wrap=True)
    if sharing is not None:
        holder = f"heldout --profile {folder / 'profiles' / 'key-holder-1.toml'} seal give-share"
        console.print(f"  unseal it   {holder} {folder / 'shares' / 'key-holder-1.toml'}", soft_wrap=True)
    console.print(f"  ask it      heldout --profile {folder / 'profiles' / 'trainer.toml'} findings", soft_wrap=True)
    if sharing is None:
        console.print("Its keys lie in files beside it: right for development alone.")
    if policy is None:
        console.print(
            "Its policy is for development too: releases appear when a run is complete, and not at set times; and runs"
            " start without anybody's approval. Read and sign one of your own: --policy."
        )
    if sharing is None:
        return
    console.print(
        f"It starts sealed. {threshold} of the {shares} shares in {folder / 'shares'} open its bank: give each to its"
        " key holder, with profile and certificate, and delete it here. The root key was written nowhere."
    )


def _made(folder: Path, *, shared: bool) -> dict[str, Any]:
    profiles = {path.stem: str(path) for path in sorted((folder / "profiles").glob("*.toml"))}
    shares = [str(path) for path in sorted((folder / "shares").glob("*.toml"))] if shared else []
    return {"folder": str(folder), "config": str(folder / "config.toml"), "profiles": profiles, "shares": shares}


@app.command(
    epilog=examples("serve --config ./appliance/config.toml", "serve --half window --config ./appliance/window.toml")
)
def serve(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", help="config.toml; of a window by itself, window.toml.", envvar="HELDOUT_CONFIG"
        ),
    ] = None,
    half: Annotated[Literal["both", "vault", "window"], typer.Option(help="What this process serves.")] = "both",
) -> None:
    """Start the appliance, or one half of it, until SIGTERM or SIGINT.

    Both halves are one process unless --half says otherwise. Apart, the vault answers testers and operators, and the
    window trainers and auditors: it reads what the vault published, and has no key and no code for anything else.
    """
    path = config or Path("window.toml" if half == "window" else "config.toml")
    raise typer.Exit(asyncio.run(serve_until_stopped(path, half)))


app.add_typer(policy.app, name="policy")
app.add_typer(judge.app, name="judge")
app.add_typer(audit.app, name="audit")
app.add_typer(keys.app, name="keys")
app.command(
    epilog=examples(
        "backup --to /mnt/backup/monday -c config.toml", "backup --to monday --share anna.toml --share ben.toml"
    )
)(backup)
app.command(epilog=examples("restore -c config.toml", "restore -c config.toml --accept disk-lost"))(restore)
app.command(
    epilog=examples("attack --list", "attack --only refusals-told-apart", "attack --profiles staging/profiles --json")
)(attack)


def main() -> None:
    """Run the command. Errors end in one line on stderr; ``HELDOUT_TRACEBACK=1`` shows the trace instead."""
    os.umask(0o077)  # whatever is written here is for the appliance's own user
    harden_process()
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # the core's lines name peers and say nothing that ours do not
    code: object = None
    try:
        code = app(standalone_mode=False)
        sys.stdout.flush()
    except* (KeyboardInterrupt, typer.Abort):
        code = EXIT_INTERRUPTED
    except* BrokenPipeError:
        # Whoever read us has enough. What is still buffered must not raise again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except* Exception as errors:
        if os.environ.get("HELDOUT_TRACEBACK"):
            raise
        for error in _leaves(errors):
            line = _explain(error)
            asked = type(error).__name__ == HELP  # then it is the help page
            console.print(line if asked else _to_width(f"heldout-server: {line}"), soft_wrap=True, markup=False)
        code = EXIT_REFUSED
    if code == EXIT_INTERRUPTED:  # Typer makes an exit of an interrupt, and says nothing
        console.print("heldout-server: interrupted")
    with contextlib.suppress(BrokenPipeError):
        sys.stderr.flush()
    sys.exit(code if isinstance(code, int) else 0)


def _to_width(message: str) -> str:
    """Break lines between words for a terminal; elsewhere a line stays a line, and a path always stays whole."""
    if not console.is_terminal:
        return message
    return "\n".join(
        textwrap.fill(line, width=80, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
        for line in message.split("\n")
    )


def _explain(error: BaseException) -> str:
    if isinstance(error, HeldoutError | PolicyError):
        return str(error)
    # The command line's own errors: their class has moved between versions of Typer, their methods have not.
    message = getattr(error, "format_message", None)
    if callable(message):
        if type(error).__name__ == HELP:
            return str(message())
        command = getattr(getattr(error, "ctx", None), "command_path", "heldout-server")
        return f"{message().rstrip('.')}; see {command} --help"
    return f"failed inside ({type(error).__name__}); HELDOUT_TRACEBACK=1 shows where"


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found


if __name__ == "__main__":
    main()
