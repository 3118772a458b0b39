"""Runs and exact results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from statistics import fmean
from typing import Any, Final

from heldout.cli.screens import figures
from heldout.cli.screens.exactness import IN_FORCE
from heldout.cli.screens.findings import TITLES
from heldout.cli.screens.page import Page, fill, join_parts, lay_out
from heldout.cli.screens.preflight import preflight_data, run_lines
from heldout.cli.screens.tested import condition_parts, name_parts, tested_data
from heldout.findings.model import Profile, TableKind
from heldout.services.runs import ExactRow, PlannedTime, Run, RunState, StandingApproval

NEXT: Final = {
    RunState.PROPOSED: "next: heldout run start {id}",
    RunState.RUNNING: "next: heldout run show {id} --wait",
    RunState.COMPLETE: "complete: it publishes by itself",
    RunState.PUBLISHED: "published: heldout findings {checkpoint}",
    RunState.CANCELLED: "cancelled before it started: nothing was spent",
}
CANCELLED: Final = "cancelled after it started: its release is spent, and nothing is published of it"


def run_page(run: Run) -> Page:
    """Show a run: what it tests, who approved it, and what comes next."""
    tested = run.tested
    lines = join_parts(
        [
            f"{run.run_id}: {run.state.value}{', cancelled' if run.cancelled else ''}",
            " ".join(name_parts(tested)),
            f"{run.planned_trials:,} trials planned",
            f"release {run.release_number}" if run.release_number else "",
            "anchor: restates an earlier release" if run.anchor else "",
        ]
    )
    if run.profile is Profile.EXACT:
        lines += fill(IN_FORCE, indent="  ", first="")
    lines += _planned_time(run)
    lines += fill(f"manifest {run.manifest_digest}", indent="  ")
    lines += fill(f"techniques: {', '.join(run.techniques)}", indent="    ", first="  ")
    if run.stacks:
        lines += fill(f"stacks: {', '.join('+'.join(stack) for stack in run.stacks)}", indent="    ", first="  ")
    planned = run.state in {RunState.PROPOSED, RunState.RUNNING}
    lines += fill(" · ".join(condition_parts(tested, judge=run.judge, planned=planned)), indent="    ", first="  ")
    lines += fill(f"policy {figures.short(run.policy_digest)}", indent="  ")
    if run.preflight is not None:
        lines += run_lines(run.preflight)
    approvals = ", ".join(run.approvals) or "nobody"
    if not run.approvals and run.state is RunState.PROPOSED:
        approvals = f"nobody yet: heldout run approve {run.run_id}"
    lines += fill(f"approved by {approvals}", indent="    ", first="  ")
    lines += fill(CANCELLED if run.cancelled else NEXT[run.state].format(id=run.run_id, checkpoint=tested.checkpoint))
    lines.append("receipt verified")
    return Page(lines=tuple(lines), data=run_data(run))


def _planned_time(run: Run) -> list[str]:
    if run.planned is not None:
        return _time_to_be_given(run.planned, trials=run.planned_trials)
    if run.state is not RunState.RUNNING or not run.publishes_s:
        return []
    when = f"publishes at {figures.moment(run.publishes_s)}"
    return fill(f"about {run.planned_time_percent} % of its planned time · {when}", indent="  ")


def _time_to_be_given(planned: PlannedTime, *, trials: int) -> list[str]:
    if not planned.publishes_s:
        return fill("it publishes when it is complete: the moment tells how long it took", indent="  ")
    starting = f", {figures.duration(planned.start_s)} to come up" if planned.start_s else ""
    return fill(
        f"started now it publishes at {figures.moment(planned.publishes_s)}, whatever the checkpoint does:"
        f" {figures.duration(planned.run_s)} are kept for {trials:,} trials, {planned.width} at a time, and 3 more of"
        f" each of {planned.units:,} units alone, {figures.duration(planned.deadline_s)} each{starting}",
        indent="    ",
        first="  ",
    )


def run_data(run: Run) -> dict[str, Any]:
    """Return a run for JSON."""
    return {
        "run_id": run.run_id,
        "state": run.state.value,
        "checkpoint": run.tested.checkpoint,
        "line": run.tested.line,
        "tested": tested_data(run.tested),
        "manifest_digest": run.manifest_digest,
        "epoch_id": run.epoch_id,
        "techniques": list(run.techniques),
        "stacks": [list(stack) for stack in run.stacks],
        "judge": run.judge,
        "policy_digest": run.policy_digest,
        "approvals": list(run.approvals),
        "release_number": run.release_number,
        "planned_trials": run.planned_trials,
        "created_s": run.created_s,
        "cancelled": run.cancelled,
        "publishes_s": run.publishes_s,
        "planned_time_percent": run.planned_time_percent,
        "anchor": run.anchor,
        "profile": run.profile.value,
        "warning": IN_FORCE.removeprefix("! ") if run.profile is Profile.EXACT else None,
        "planned": None if run.planned is None else asdict(run.planned),
        "preflight": None if run.preflight is None else preflight_data(run.preflight),
    }


def standing_page(approvals: Sequence[StandingApproval]) -> Page:
    """List approvals that hold for later checkpoints as well."""
    rows = [["digest", "line", "given at", "by"]]
    rows += [[one.template_digest[:12], one.line, one.run_id, figures.short_name(one.identity)] for one in approvals]
    lines = lay_out(rows, "<<<<", flexible=3) if approvals else ["none: heldout run approve RUN --standing"]
    return Page(lines=(*lines, "receipt verified"), data=[asdict(one) for one in approvals])


def runs_page(runs: Sequence[Run]) -> Page:
    """List runs, oldest first."""
    slots = any(run.publishes_s for run in runs)
    rows = [["run", "checkpoint", "state", "release", "publishes" if slots else "created"]]
    rows += [
        [
            run.run_id,
            run.tested.checkpoint,
            f"{run.state.value}, cancelled" if run.cancelled else run.state.value,
            str(run.release_number or ""),
            _slot_or_creation(run, slots=slots),
        ]
        for run in runs
    ]
    lines = lay_out(rows, "<<<><", flexible=1) if runs else ["no run yet: heldout run propose CHECKPOINT"]
    if any(run.profile is Profile.EXACT for run in runs):
        lines += fill(IN_FORCE, indent="  ", first="")
    return Page(lines=(*lines, "receipt verified"), data=[run_data(run) for run in runs])


def _slot_or_creation(run: Run, *, slots: bool) -> str:
    if not slots:
        return figures.moment(run.created_s)
    return figures.moment(run.publishes_s) if run.publishes_s else ""


def results_page(run: Run, rows: Sequence[ExactRow]) -> Page:
    """Show exact figures, for bank testers alone."""
    cells = [["per cent, exact", "", "95 %", "worst", "units", "trials"]]
    techniques = [row for row in rows if row.table is TableKind.TECHNIQUE]
    if techniques:
        # As a release has it, so that the two can be compared.
        mean, worst = fmean(row.rate for row in techniques), fmean(row.worst for row in techniques)
        cells.append(["overall, mean of the techniques", figures.rate(mean), "", figures.rate(worst), "", ""])
    kind = None
    for row in rows:
        if row.table is not kind:
            kind = row.table
            cells.append([TITLES[kind]])
        span = f"[{figures.rate(row.low)}, {figures.rate(row.high)}]"
        cells.append(
            [f" {row.key}", figures.rate(row.rate), span, figures.rate(row.worst), f"{row.units:,}", f"{row.trials:,}"]
        )
    ended = f"{run.state.value}{', cancelled' if run.cancelled else ''}"
    lines = join_parts([" ".join(name_parts(run.tested)), f"{run.run_id}: {ended}", f"judge {run.judge}"])
    lines += lay_out(cells, "<>>>>>")
    lines += fill("undecided and failed trials count for the model; worst: as if each counted against it")
    lines += fill("95 %: of units like these; trials of one unit are not taken as independent")
    if run.cancelled:
        lines += fill("of a cancelled run, units without a trial are left out")
    lines += fill("exact figures are for bank testers alone: do not pass them on · receipt verified")
    header = ("table", "key", "units", "trials", "rate", "low", "high", "best", "worst")
    records = tuple(
        (row.table.value, row.key, row.units, row.trials, row.rate, row.low, row.high, row.best, row.worst)
        for row in rows
    )
    return Page(
        lines=tuple(lines),
        data=[dict(zip(header, record, strict=True)) for record in records],
        header=header,
        records=records,
    )
