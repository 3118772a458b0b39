"""Commands for testers: checkpoints, runs and exact results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from heldout.cli.session import Csv, Json, UsageProblem, session_of

if TYPE_CHECKING:
    from heldout.services.runs import Run

LEAST_STACK: Final = 2

run = typer.Typer(no_args_is_help=True, help="Runs: propose, approve, start and watch them, for testers.")
RunId = Annotated[str, typer.Argument(help="The run's id.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    app.add_typer(run, name="run")
    app.command("results", epilog="Example: heldout results run-4f0c9a1be2d37c55")(show_results)
    app.command("checkpoints", epilog="Example: heldout checkpoints")(list_checkpoints)


@run.command("propose", epilog="Example: heldout run propose v3 --technique plain --technique base64")
def propose_run(
    context: typer.Context,
    *,
    checkpoint: Annotated[str, typer.Argument(help="The checkpoint's name.")],
    technique: Annotated[
        list[str] | None, typer.Option(help="In table order, plain first; the standing plan if none is named.")
    ] = None,
    stack: Annotated[list[str] | None, typer.Option(help="Like base64+fiction, the first innermost.")] = None,
    attempts: Annotated[int, typer.Option(min=0, max=100, help="Trials of each prompt in each cell.")] = 0,
    as_json: Json = False,
) -> None:
    """Write a manifest: what to test, fixed before it starts."""
    stacks = [one.split("+") for one in stack or []]
    if stacks and not technique:
        raise UsageProblem("--stack needs the techniques named too: --technique plain …")
    if any(len(one) < LEAST_STACK or not all(one) for one in stacks):
        raise UsageProblem("--stack takes techniques joined by +, such as base64+fiction")
    session = session_of(context)
    with session.client() as client:
        proposed = client.runs.propose(checkpoint, techniques=technique or [], stacks=stacks, attempts=attempts)
    _show(context, proposed, as_json=as_json)


@run.command("approve", epilog="Example: heldout run approve run-4f0c9a1be2d37c55")
def approve_run(
    context: typer.Context,
    run_id: RunId,
    digest: Annotated[str, typer.Option(help="Approve only if the manifest has this SHA-256.")] = "",
    as_json: Json = False,
) -> None:
    """Approve a run's manifest, exactly as it stands."""
    session = session_of(context)
    with session.client() as client:
        manifest_digest = digest or client.runs.get(run_id).manifest_digest
        approved = client.runs.approve(run_id, manifest_digest=manifest_digest)
    _show(context, approved, as_json=as_json)


@run.command("start", epilog="Example: heldout run start run-4f0c9a1be2d37c55")
def start_run(context: typer.Context, run_id: RunId, as_json: Json = False) -> None:
    """Start a run. It takes a release, and always publishes from here on."""
    session = session_of(context)
    with session.client() as client:
        started = client.runs.start(run_id)
    _show(context, started, as_json=as_json)


@run.command("watch", epilog="Example: heldout run watch run-4f0c9a1be2d37c55")
def watch_run(context: typer.Context, run_id: RunId, as_json: Json = False) -> None:
    """Watch a run until it is published. Exact progress is for bank testers alone."""
    from heldout.cli.progress import progress_bar  # noqa: PLC0415 - help must be fast

    session = session_of(context)
    with session.client() as client:
        planned = client.runs.get(run_id).planned_trials
        with progress_bar("running", planned, unit="trials") as report:
            for progress in client.runs.watch(run_id):
                report(progress.finished_trials)
        ended = client.runs.get(run_id)
    _show(context, ended, as_json=as_json)


@run.command("cancel", epilog="Example: heldout run cancel run-4f0c9a1be2d37c55")
def cancel_run(context: typer.Context, run_id: RunId, as_json: Json = False) -> None:
    """Drop a proposed run. One that started ends early and publishes all the same."""
    session = session_of(context)
    with session.client() as client:
        cancelled = client.runs.cancel(run_id)
    _show(context, cancelled, as_json=as_json)


@run.command("show", epilog="Example: heldout run show run-4f0c9a1be2d37c55 --json")
def show_run(context: typer.Context, run_id: RunId, as_json: Json = False) -> None:
    """Show a run."""
    session = session_of(context)
    with session.client() as client:
        shown = client.runs.get(run_id)
    _show(context, shown, as_json=as_json)


@run.command("list", epilog="Example: heldout run list")
def list_runs(context: typer.Context, as_json: Json = False) -> None:
    """List runs, oldest first."""
    from heldout.cli.screens.runs import runs_page  # noqa: PLC0415 - help must be fast

    session = session_of(context)
    with session.client() as client:
        listed = client.runs.list()
    session.show(runs_page(listed), as_json=as_json)


def show_results(context: typer.Context, run_id: RunId, as_json: Json = False, as_csv: Csv = False) -> None:
    """Show exact results of a run, for bank testers alone."""
    from heldout.cli.screens.runs import results_page  # noqa: PLC0415 - help must be fast

    session = session_of(context)
    with session.client() as client:
        rows = client.runs.results(run_id)
    session.show(results_page(rows), as_json=as_json, as_csv=as_csv)


def list_checkpoints(context: typer.Context, as_json: Json = False) -> None:
    """List the checkpoints that were noticed."""
    from heldout.cli.screens.runs import checkpoints_page  # noqa: PLC0415 - help must be fast

    session = session_of(context)
    with session.client() as client:
        listed = client.checkpoints.list()
    session.show(checkpoints_page(listed), as_json=as_json)


def _show(context: typer.Context, shown: Run, *, as_json: bool) -> None:
    from heldout.cli.screens.runs import run_page  # noqa: PLC0415 - help must be fast

    session_of(context).show(run_page(shown), as_json=as_json)
