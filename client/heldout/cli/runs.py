"""Commands for testers: checkpoints, runs and exact results."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Final

import typer

from heldout.cli.explanations import PLAIN, explain_plan, explain_preflight, explain_proposal, explain_run
from heldout.cli.help import TESTERS, Group, examples
from heldout.cli.identifiers import check_identifier, verify_identifier
from heldout.cli.session import Json, RatesCsv, RatesJson, UsageProblem, session_of, write_note
from heldout.cli.suggestions import suggest
from heldout.errors import HeldoutClientError, InvalidRequest, Refused, WrongState

if TYPE_CHECKING:
    from collections.abc import Callable

    from heldout.client import Client
    from heldout.services.runs import Run

LEAST_STACK: Final = 2
AS_PLANNED: Final = 0
MANY_ATTEMPTS: Final = 10
"""From there on the number of trials is said aloud: it may be a slip, and takes as many times as long."""
DIGEST: Final = re.compile(r"[0-9a-f]{64}")
FIRST_PAUSE_S: Final = 2.0
LAST_PAUSE_S: Final = 30.0
"""Each question is two entries in the log, so a long wait asks more and more seldom."""

run = typer.Typer(cls=Group, no_args_is_help=True, help="Runs: propose, approve, start and watch them, for testers.")
RunId = Annotated[str, typer.Argument(help="The run's id.", callback=check_identifier)]
CheckpointName = Annotated[str, typer.Argument(help="The checkpoint's name.", callback=check_identifier)]


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    app.add_typer(run, name="run", rich_help_panel=TESTERS)
    app.command("results", rich_help_panel=TESTERS, epilog=examples("results v3", "results run-4f0c9a1be2d37c55"))(
        show_results
    )
    app.command("checkpoints", rich_help_panel=TESTERS, epilog=examples("checkpoints"))(list_checkpoints)


@run.command("propose", epilog=examples("run propose v3 --technique plain --technique base64"))
def propose_run(
    context: typer.Context,
    *,
    checkpoint: CheckpointName,
    technique: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID",
            help="In table order, plain first; the standing plan if none is named.",
            callback=check_identifier,
        ),
    ] = None,
    stack: Annotated[
        list[str] | None, typer.Option(metavar="ID+ID", help="Like base64+fiction, the first innermost.")
    ] = None,
    attempts: Annotated[
        int | None,
        typer.Option(min=1, max=100, help="Trials of each prompt in each cell; as in the standing plan if left out."),
    ] = None,
    allow_exposed: Annotated[
        bool,
        typer.Option(
            "--allow-exposed", help="Let the prompts go to a server that can log them: all of the epoch are burnt."
        ),
    ] = False,
    anchor: Annotated[
        bool, typer.Option("--anchor", help="Restate a checkpoint of an earlier epoch or judge: paid from the reserve.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write a manifest: what to test, fixed before it starts."""
    stacks = [one.split("+") for one in stack or []]
    if stacks and not technique:
        raise UsageProblem("--stack needs the techniques named too: --technique plain …")
    if any(len(one) < LEAST_STACK or not all(one) for one in stacks):
        raise UsageProblem("--stack takes techniques joined by +, such as base64+fiction")
    for part in (part for one in stacks for part in one):
        verify_identifier("--stack", part)
    for option, named in (("--technique", technique or []), ("--stack", stack or [])):
        if twice := next((one for one in named if named.count(one) > 1), ""):
            raise UsageProblem(f"{option} {twice} is named twice: name it once")
    if technique and PLAIN not in technique:
        raise UsageProblem("--technique plain must be among them: nothing else measures over-refusal")
    session = session_of(context)
    with session.client() as client:
        try:
            proposed = client.runs.propose(
                checkpoint,
                techniques=technique or [],
                stacks=stacks,
                attempts=attempts or AS_PLANNED,
                allow_exposed=allow_exposed,
                anchor=anchor,
            )
        except InvalidRequest:
            explain_plan(client, [*(technique or []), *(one for stack_ in stacks for one in stack_)])
            raise
        except WrongState as error:
            explain_proposal(client, checkpoint, error)
            raise
    _show(context, proposed, as_json=as_json)
    if attempts is not None and attempts >= MANY_ATTEMPTS:
        write_note(
            f"{proposed.planned_trials:,} trials, {attempts} of each prompt in each cell, are many:"
            f" heldout run cancel {proposed.run_id} drops it at no cost before it starts"
        )


@run.command("approve", epilog=examples("run approve run-4f0c9a1be2d37c55"))
def approve_run(
    context: typer.Context,
    run_id: RunId,
    *,
    digest: Annotated[str, typer.Option(help="Approve only if the manifest has this SHA-256.")] = "",
    standing: Annotated[
        bool, typer.Option("--standing", help="Also for every later checkpoint, as long as nothing else differs.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Approve a run's manifest, exactly as it stands."""
    if digest and not DIGEST.fullmatch(digest):
        raise UsageProblem(f"--digest takes all 64 hex digits of the manifest: heldout run show {run_id}")
    session = session_of(context)
    with session.client() as client:
        manifest_digest = digest or client.runs.get(run_id).manifest_digest
        try:
            approved = client.runs.approve(run_id, manifest_digest=manifest_digest, standing=standing)
        except WrongState as error:
            explain_run(client, run_id, "approve", error)
            raise
    _show(context, approved, as_json=as_json)
    if standing:
        write_note(f"it holds for later checkpoints of {approved.tested.line} too: heldout run standing")


@run.command("standing", epilog=examples("run standing"))
def list_standing(context: typer.Context, as_json: Json = False) -> None:
    """List approvals that hold for later checkpoints as well: given by heldout run approve RUN --standing."""
    from heldout.cli.screens.runs import standing_page  # noqa: PLC0415 - help must be fast

    session = session_of(context)
    with session.client() as client:
        approvals = client.runs.standing_approvals()
    session.show(standing_page(approvals), as_json=as_json)


@run.command("revoke", epilog=examples("run revoke 1f9ad0c3  # as many digits as tell it from others"))
def revoke_standing(
    context: typer.Context,
    digest: Annotated[str, typer.Argument(help="Digest in heldout run standing, or how it begins.")],
    as_json: Json = False,
) -> None:
    """Take standing approvals back, whoever gave them. Runs that started go on."""
    from heldout.cli.screens.page import Page  # noqa: PLC0415 - help must be fast

    session = session_of(context)
    with session.client() as client:
        known = {one.template_digest for one in client.runs.standing_approvals()}
        meant = [one for one in known if one.startswith(digest)]
        if len(meant) != 1:
            said = "no standing approval begins" if not meant else f"{len(meant)} standing approvals begin"
            raise HeldoutClientError(f"{said} with that digest: heldout run standing")
        client.runs.revoke_standing_approval(meant[0])
    said = f"{meant[0][:12]}: revoked · receipt verified"
    session.show(Page(lines=(said,), data={"revoked": meant[0]}), as_json=as_json)


@run.command("preflight", epilog=examples("run preflight v3"))
def preflight_checkpoint(
    context: typer.Context,
    checkpoint: CheckpointName,
    as_json: Json = False,
) -> None:
    """Ask a checkpoint a few harmless questions, as a start does, and say what to change. It costs nothing."""
    from heldout.cli.screens.preflight import preflight_page  # noqa: PLC0415 - help must be fast

    session = session_of(context)
    with session.client() as client:
        try:
            preflight = client.runs.preflight(checkpoint)
        except WrongState as error:
            explain_preflight(client, checkpoint, error)
            raise
    session.show(preflight_page(checkpoint, preflight), as_json=as_json)


@run.command("start", epilog=examples("run start run-4f0c9a1be2d37c55"))
def start_run(context: typer.Context, run_id: RunId, as_json: Json = False) -> None:
    """Start a run. It takes a release, and always publishes from here on."""
    session = session_of(context)
    with session.client() as client:
        try:
            client.runs.start(run_id)
        except WrongState as error:
            explain_run(client, run_id, "start", error)
            raise
        started = client.runs.get(run_id)  # which holds what its preflight found
    _show(context, started, as_json=as_json)


@run.command("watch", epilog=examples("run watch run-4f0c9a1be2d37c55"))
def watch_run(context: typer.Context, run_id: RunId, as_json: Json = False) -> None:
    """Watch a run until it is published. Exact progress is for bank testers alone."""
    from heldout.cli.progress import progress_bar  # noqa: PLC0415 - help must be fast

    session = session_of(context)
    with session.client() as client:
        planned = client.runs.get(run_id).planned_trials
        try:
            with progress_bar("running", planned, unit="trials") as report:
                paused, faults = "", set[str]()
                for progress in client.runs.watch(run_id):
                    report(progress.finished_trials)
                    if progress.paused and progress.paused != paused:
                        write_note(f"paused: {progress.paused}; its trials are taken up again by themselves")
                    for fault in sorted({*progress.faults} - faults):
                        write_note(f"a fault of the appliance, for whoever maintains it: {fault}")
                    paused, faults = progress.paused, {*progress.faults}
        except Refused as error:
            # The run is there and ours to see, so it is the progress that is not.
            raise Refused(
                f"progress is for bank testers; to wait without it: heldout run show {run_id} --wait",
                reason=error.reason,
            ) from None
        ended = client.runs.get(run_id)
    _show(context, ended, as_json=as_json)


@run.command("cancel", epilog=examples("run cancel run-4f0c9a1be2d37c55"))
def cancel_run(context: typer.Context, run_id: RunId, as_json: Json = False) -> None:
    """Drop a proposed run. One that started ends early, spends its release, and no figure of it is published."""
    session = session_of(context)
    with session.client() as client:
        try:
            cancelled = client.runs.cancel(run_id)
        except WrongState as error:
            explain_run(client, run_id, "cancel", error)
            raise
    _show(context, cancelled, as_json=as_json)


@run.command("show", epilog=examples("run show run-4f0c9a1be2d37c55 --json"))
def show_run(
    context: typer.Context,
    run_id: RunId,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it is published, or cancelled.")] = False,
    as_json: Json = False,
) -> None:
    """Show a run; with --wait not before it has ended."""
    session = session_of(context)
    with session.client() as client:
        shown = _wait(client, run_id, session.pause) if wait else client.runs.get(run_id)
    _show(context, shown, as_json=as_json)


@run.command("list", epilog=examples("run list"))
def list_runs(context: typer.Context, as_json: Json = False) -> None:
    """List runs, oldest first."""
    from heldout.cli.screens.runs import runs_page  # noqa: PLC0415 - help must be fast

    session = session_of(context)
    with session.client() as client:
        listed = client.runs.list()
    session.show(runs_page(listed), as_json=as_json)


def show_results(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(help="A run's id, or a checkpoint: its newest run that started.", metavar="RUN")
    ],
    as_json: RatesJson = False,
    as_csv: RatesCsv = False,
) -> None:
    """Show exact results of a run, for bank testers alone."""
    from heldout.cli.screens.runs import results_page  # noqa: PLC0415 - help must be fast
    from heldout.services.runs import RunState  # noqa: PLC0415 - help must be fast

    session = session_of(context)
    with session.client() as client:
        runs = client.runs.list()
        named = [run for run in runs if name in {run.run_id, run.tested.checkpoint}]
        if not named:
            known = list(dict.fromkeys(run.tested.checkpoint for run in runs))
            raise HeldoutClientError(f"there is no run {name}{suggest(name, known)}")
        untried = {RunState.PROPOSED, RunState.CANCELLED}
        run = next((one for one in reversed(named) if one.state not in untried), named[-1])
        rows = client.runs.results(run.run_id)
    session.show(results_page(run, rows), as_json=as_json, as_csv=as_csv)


def list_checkpoints(context: typer.Context, as_json: Json = False) -> None:
    """List the checkpoints that were noticed."""
    from heldout.cli.screens.checkpoints import checkpoints_page  # noqa: PLC0415 - help must be fast

    session = session_of(context)
    with session.client() as client:
        listed = client.checkpoints.list()
    session.show(checkpoints_page(listed), as_json=as_json)


def _wait(client: Client, run_id: str, pause: Callable[[float], None]) -> Run:
    """Ask for a run's state, more and more seldom, until the run has ended."""
    from heldout.services.runs import RunState  # noqa: PLC0415 - help must be fast

    pause_s = FIRST_PAUSE_S
    while (run := client.runs.get(run_id)).state not in {RunState.PUBLISHED, RunState.CANCELLED}:
        pause(pause_s)
        pause_s = min(LAST_PAUSE_S, pause_s * 1.5)
    return run


def _show(context: typer.Context, shown: Run, *, as_json: bool) -> None:
    from heldout.cli.screens.runs import run_page  # noqa: PLC0415 - help must be fast

    session_of(context).show(run_page(shown), as_json=as_json)
