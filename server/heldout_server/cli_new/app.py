"""The ``heldout-server`` command: make an appliance, start it, sign its policy, measure its judge.

A person never sees a traceback: what goes wrong ends in one line that says what, where and what to do, and exit code 2.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from heldout_policy.errors import PolicyError
from heldout_server.domain import Intent
from heldout_server.errors import ConfigError, HeldoutError

if TYPE_CHECKING:  # a command imports what it needs when it runs, so that help is fast
    from heldout_server.config import Config
    from heldout_server.telemetry import Metrics

app = typer.Typer(
    name="heldout-server",
    help="Run a Heldout appliance: a clean room where checkpoints are tested with prompts that never leave it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
policy_app = typer.Typer(help="Read and sign the release policy.", no_args_is_help=True)
app.add_typer(policy_app, name="policy")
judge_app = typer.Typer(help="Measure the judge against people's labels.", no_args_is_help=True)
app.add_typer(judge_app, name="judge")

EXIT_REFUSED = 2
EXIT_LOG_FAILED = 3

console = Console(stderr=True, highlight=False)
ConfigPath = Annotated[
    Path, typer.Option("--config", "-c", help="The appliance's config.toml.", envvar="HELDOUT_CONFIG")
]


@app.command(epilog="Example: heldout-server init ./appliance && heldout-server serve -c ./appliance/config.toml")
def init(
    folder: Annotated[Path, typer.Argument(help="A folder that does not exist yet, or is empty.")],
    name: Annotated[str, typer.Option(help="Name of the appliance; its logs are called after it.")] = "heldout-dev",
    address: Annotated[str, typer.Option(help="Where the API will listen, mTLS.")] = "127.0.0.1:7443",
    health: Annotated[str, typer.Option(help="Where health will listen, plain.")] = "127.0.0.1:7444",
    policy: Annotated[
        Path | None, typer.Option(help="A release.toml to sign and install instead of the default.")
    ] = None,
) -> None:
    """Make a development appliance: keys, certificates, signed policy, config, one client profile a role."""
    from heldout_server.environment import SystemClock
    from heldout_server.installation import install

    install(folder, name=name, address=address, health=health, clock=SystemClock(), release_policy=policy)
    console.print(f"made {folder}: keys, certificates, signed policy, config, client profiles")
    console.print(f"  start it    heldout-server serve --config {folder / 'config.toml'}", soft_wrap=True)
    console.print(f"  ask it      heldout --profile {folder / 'profiles' / 'trainer.toml'} findings", soft_wrap=True)
    console.print("Its keys lie in files beside it: right for development alone.")


@app.command(epilog="Example: heldout-server serve --config ./appliance/config.toml")
def serve(config: ConfigPath = Path("config.toml")) -> None:
    """Start the appliance, both halves in one process, until SIGTERM or SIGINT."""
    raise typer.Exit(asyncio.run(_serve(config)))


@policy_app.command("sign", epilog="Example: heldout-server policy sign policy/release.toml --key policy_signer.key")
def policy_sign(
    document: Annotated[Path, typer.Argument(help="The release.toml that was read and is agreed to.")],
    key: Annotated[Path, typer.Option(help="The bank tester's Ed25519 private key, PEM.")],
) -> None:
    """Sign a release policy: without a good signature nothing leaves."""
    from heldout_policy.release_policy import parse_release_policy, policy_digest
    from heldout_server.keys import sign_policy

    content = _read(document)
    parse_release_policy(_decode(content, document))
    signature = document.with_name(document.name + ".sig")
    _write(signature, sign_policy(content, _read(key)))
    console.print(f"signed {document}: {policy_digest(content)}", soft_wrap=True)


@policy_app.command("show", epilog="Example: heldout-server policy show policy/release.toml")
def policy_show(document: Annotated[Path, typer.Argument(help="A release.toml.")]) -> None:
    """Say what a release policy lets out, in figures."""
    from heldout_policy.mechanism import state_claims
    from heldout_policy.release_policy import parse_release_policy, policy_digest

    content = _read(document)
    policy = parse_release_policy(_decode(content, document))
    said = state_claims(policy.budget_nano_rho)
    console.print(f"profile {policy.profile}, digest {policy_digest(content)}", soft_wrap=True)
    full = "all of them" if policy.full_every == 1 else f"one in {policy.full_every}"
    console.print(f"releases an epoch: {policy.releases_per_epoch}, {full} with stacks and categories")
    console.print(f"rows about fewer than {policy.minimum_units_per_cell} units are withheld")
    console.print(f"approvals before a start: {', '.join(policy.approval_roles) or 'none'}")
    console.print(f"per prompt, over its life: rho {policy.budget_nano_rho / 1e9:.3f} (zCDP)")
    console.print(f"  at most {said.tight_bits:.1f} bits on average ({said.general_bits:.1f} by the general bound)")
    console.print(f"  one yes/no question answered rightly at most {said.one_question_accuracy:.1%} of the time")


@judge_app.command(
    "measure",
    epilog="Examples: heldout-server judge measure labelled.jsonl --by source; "
    "heldout-server judge measure labelled.jsonl --intent harmful --json. "
    'A line: {"prompt": "…", "response": "…", "label": "refused"}.',
)
def judge_measure(
    file: Annotated[
        Path, typer.Argument(help="One JSON object a line: prompt, response, label.", metavar="FILE.jsonl")
    ],
    by: Annotated[str, typer.Option(help="A field to group by: source, technique, intent, …")] = "",
    intent: Annotated[
        Intent | None, typer.Option(help="Judge every prompt as this; otherwise as its line says, or harmful.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say how far the judge agrees with people on a file of labelled responses. No appliance is needed.

    Labels: complied, refused, partial; or achieved, not_achieved. Optional fields: intent, ending, source, technique.
    """
    from heldout_server.judges import PatternJudge
    from heldout_server.judges.labelled import agree_by_group, judge_cases, read_cases
    from heldout_server.judges.measure import agree
    from heldout_server.judges.measure_table import render_document, render_table

    judge = PatternJudge()
    cases = read_cases(_read(file).splitlines(), by=by, intent=intent)
    began = time.perf_counter()
    pairs = judge_cases(judge, cases)
    seconds = time.perf_counter() - began
    groups = agree_by_group(cases, pairs) if by else {}
    if as_json:
        document = render_document(agree(pairs), groups)
        document |= {"judge": judge.judge_id, "digest": judge.digest, "responses_per_s": len(cases) / seconds}
        typer.echo(json.dumps(document, ensure_ascii=False))
        return
    typer.echo(f"judge {judge.judge_id}, digest {judge.digest[:16]}, {len(cases):,} labelled responses\n")
    typer.echo(render_table(agree(pairs), groups))
    characters = sum(len(one.case.response) for one in cases)
    typer.echo(
        f"\n{len(cases) / seconds:,.0f} responses a second on one core, {characters / len(cases):,.0f} characters each"
    )


async def _serve(config_path: Path) -> int:
    began = time.monotonic()
    from heldout_server.config import load_config
    from heldout_server.telemetry import configure

    config = load_config(config_path)
    telemetry = configure(config.telemetry)
    try:
        return await _serve_until_told(config, telemetry.metrics, began)
    finally:
        telemetry.shutdown()


async def _serve_until_told(config: Config, metrics: Metrics, began: float) -> int:
    from heldout_server.app import serve as serve_appliance

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with serve_appliance(config, metrics) as appliance:
        host = config.listen.address.rpartition(":")[0]
        console.print(
            f"heldout-server: serving on {host}:{appliance.port} (health on {appliance.health_port}),"
            f" healthy after {time.monotonic() - began:.2f} s",
            soft_wrap=True,
        )
        waiting = [asyncio.ensure_future(event.wait()) for event in (stop, appliance.log_failed)]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for one in waiting:
            one.cancel()
        if appliance.log_failed.is_set():
            console.print(
                "heldout-server: an audit log cannot be written: nothing is answered any more. Stopping.",
                soft_wrap=True,
            )
            return EXIT_LOG_FAILED
    console.print("heldout-server: stopped")
    return 0


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}. Nothing was done.") from None


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}. Nothing was done.") from None


def _decode(content: bytes, path: Path) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text. Save it as UTF-8; nothing was done.") from None


def main() -> None:
    """Run the command. Errors end in one line on stderr; ``HELDOUT_TRACEBACK=1`` shows the trace instead."""
    os.umask(0o077)  # whatever is written here is for the appliance's own user
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # the core's lines name peers and say nothing that ours do not
    try:
        app(standalone_mode=True)
    except* Exception as errors:
        if os.environ.get("HELDOUT_TRACEBACK"):
            raise
        for error in _leaves(errors):
            console.print(f"heldout-server: {_explain(error)}", soft_wrap=True, markup=False)
        with contextlib.suppress(BrokenPipeError):
            sys.stderr.flush()
        sys.exit(EXIT_REFUSED)


def _explain(error: BaseException) -> str:
    if isinstance(error, HeldoutError | PolicyError):
        return str(error)
    return f"failed inside ({type(error).__name__}); HELDOUT_TRACEBACK=1 shows where"


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found


if __name__ == "__main__":
    main()
