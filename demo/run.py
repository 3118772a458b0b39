"""The whole job on this machine: an appliance, a bank, five checkpoints, and what each person sees.

Everything is real (SQLCipher, mTLS, gRPC, noise, the log) but the model: the lab's checkpoints are tables for the
scripted runtime, so that the truth is known and can be held against what is published. Everything happens in a
temporary folder and on loopback. The exit code is 0 only if all that the demo claims did happen.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import lab
from stage import (
    Appliance,
    Claims,
    conclude,
    console,
    follow_run,
    progress_bars,
    serving,
    show_auditor,
    show_heading,
    show_refusal,
    tell,
    temporary_folder,
)

from heldout import Client
from heldout.findings import (
    Comparison,
    Release,
    TableKind,
    compare_releases,
    estimate_overall,
    estimate_row,
)
from heldout.services.runs import RunState

DEMO: Final = Path(__file__).resolve().parent
CHECKPOINTS: Final = 5
ALIKE: Final = 0.03
"""Less than this is alike on average. The noise is real: each claim fails by chance less than once in a thousand."""

INSIDE: Final = 0.85
"""Of about 100 intervals at 95 %, fewer than this share hold the exact figure less than once in a thousand demos."""

SETTINGS: Final = {"# poll_s = 1.0": "poll_s = 0.2", '# log_level = "info"': 'log_level = "warning"'}


def main() -> int:
    """Run the demo and return the exit code."""
    began = time.monotonic()
    claims = Claims()
    with temporary_folder() as folder:
        show_heading("1 · The operator installs an appliance and starts it")
        with serving(folder / "appliance", policy=DEMO / "release.toml", settings=SETTINGS) as appliance:
            _fill_bank(appliance, claims)
            _test_checkpoints(appliance, claims)
            _show_trainer(appliance, claims)
            _show_truth(appliance, claims)
            show_heading("6 · A trainer asks for a prompt")
            show_refusal(appliance, claims)
            show_heading("7 · The auditor verifies it all without trusting the appliance")
            show_auditor(appliance, folder / "export", claims)
    return _show_next(claims, time.monotonic() - began)


def _fill_bank(appliance: Appliance, claims: Claims) -> None:
    show_heading("2 · The bank tester fills the encrypted bank and freezes an epoch")
    done = appliance.ask("bank_tester", "bank", "import", os.path.relpath(lab.PROMPTS))
    claims.check("300 prompts were imported", holds="300 imported" in done.stdout)
    done = appliance.ask("bank_tester", "bank", "epoch", "open")
    claims.check("an epoch is open", holds=done.returncode == 0)


def _test_checkpoints(appliance: Appliance, claims: Claims) -> None:
    show_heading("3 · Five checkpoints of nova-lite appear, and each is tested as it does")
    tell(
        "v1 is careless. v2 is much safer and refuses too much, but base64 under a persona gets through. v3 scores"
        " higher on SWE-bench, and is less safe again. v4 is like v3 on average, and not by technique. v5 is better."
        " Only the lab knows that so far. 2,700 trials each: 200 harmful prompts in 13 cells, 100 benign ones plain."
    )
    source = appliance.folder / "checkpoints"
    with (
        Client.from_profile(appliance.profile("bank_tester")) as tester,
        Client.from_profile(appliance.profile("trainer")) as trainer,
        progress_bars() as progress,
    ):
        for number in range(1, CHECKPOINTS + 1):
            name = lab.checkpoint_name(number)
            lab.write_checkpoint(source / name, number)
            appliance.ask("trainer", *_score_words(name, number), show=False)
            state = follow_run(tester, progress, name)
            claims.check(f"{name} was published", holds=state is RunState.PUBLISHED)
        releases = trainer.findings.releases()
    tested = [release.tested.checkpoint for release in releases]
    wanted = [lab.checkpoint_name(number) for number in range(1, CHECKPOINTS + 1)]
    claims.check("five releases, in the order of the checkpoints", holds=tested == wanted)


def _score_words(name: str, number: int) -> Sequence[str]:
    value = lab.TRUE_RATES[number].swe_bench
    return "scores", "record", name, "--benchmark", lab.BENCHMARK, "--value", f"{value:.1f}"


def _show_trainer(appliance: Appliance, claims: Claims) -> None:
    show_heading("4 · The trainer sees what the policy lets out, and never a prompt")
    tell("Each command begins with whose certificate it uses. Look at v3: it does not follow the line.")
    appliance.ask("trainer", "trend", lab.LINE)
    v3, v4 = lab.checkpoint_name(3), lab.checkpoint_name(4)
    tell("\nAlike on average, and yet: look at persona and payload-splitting.")
    appliance.ask("trainer", "compare", v3, v4)
    v2 = lab.checkpoint_name(2)
    tell("\nA stack against its parts: look at base64, persona, and base64+persona.")
    appliance.ask("trainer", "findings", v2)
    tell("\nWhat all of that has cost, for all readers together:")
    appliance.ask("trainer", "budget")
    releases = _releases(appliance)
    up = compare_releases(releases[2], releases[3])
    claims.check(
        "attack success rose from v2 to v3, although SWE-bench rose too",
        holds=up.overall is not None
        and up.overall.difference > 0
        and lab.TRUE_RATES[3].swe_bench > lab.TRUE_RATES[2].swe_bench,
    )
    alike = compare_releases(releases[3], releases[4])
    claims.check("v3 and v4 are alike on average and differ by technique", holds=_is_alike_but_different(alike))
    stack, parts = _stack_and_parts(releases[2])
    claims.check("a stack goes beyond both its parts", holds=all(stack > part for part in parts))


def _is_alike_but_different(comparison: Comparison) -> bool:
    overall = comparison.overall
    return overall is not None and abs(overall.difference) < ALIKE and comparison.profile_changed


def _stack_and_parts(release: Release) -> tuple[float, list[float]]:
    """Return the lower bound of a stack's interval, and the upper bounds of its parts."""
    stacks, techniques = _tables(release, TableKind.STACK), _tables(release, TableKind.TECHNIQUE)
    bounds = {row.key: estimate_row(table, row).this_bank for table in (stacks, techniques) for row in table.rows}
    return bounds["base64+persona"].low, [bounds["base64"].high, bounds["persona"].high]


def _tables(release: Release, kind: TableKind):  # noqa: ANN202 - one of the release's own tables
    return next(table for table in release.tables if table.kind is kind)


def _releases(appliance: Appliance) -> dict[int, Release]:
    """Return the releases by number of their checkpoint; the SDK has verified each receipt."""
    with Client.from_profile(appliance.profile("trainer")) as trainer:
        found = {release.tested.checkpoint: release for release in trainer.findings.releases()}
    return {number: found[lab.checkpoint_name(number)] for number in range(1, CHECKPOINTS + 1)}


def _show_truth(appliance: Appliance, claims: Claims) -> None:
    """Hold what is published against what the lab knows and, beside it, what the bank tester sees exactly."""
    show_heading("5 · How far the noise moves the figures")
    releases = _releases(appliance)
    with Client.from_profile(appliance.profile("bank_tester")) as tester:
        runs = {run.tested.checkpoint: run.run_id for run in tester.runs.list()}
        exact = {
            number: {
                (row.table, row.key): 100 * row.rate for row in tester.runs.results(runs[lab.checkpoint_name(number)])
            }
            for number in releases
        }
    console.print("attack success rate, overall         lab's rule   exact   published   noise ±")
    inside = 0
    rows = 0
    for number, release in releases.items():
        truth = lab.TRUE_RATES[number]
        overall = estimate_overall(_tables(release, TableKind.TECHNIQUE))
        on_bank = sum(exact[number]["technique", key] for key in truth.techniques) / len(truth.techniques)
        console.print(
            f"{release.tested.checkpoint:<36} {truth.overall:10.1f} {on_bank:7.1f} {100 * overall.rate:11.1f}"
            f" {50 * (overall.this_bank.high - overall.this_bank.low):9.1f}"
        )
        for table in release.tables:
            for row in table.rows:
                interval = estimate_row(table, row).this_bank
                rows += 1
                inside += interval.low <= exact[number][table.kind.value, row.key] / 100 <= interval.high
    console.print(f"{inside} of {rows} published figures hold the exact one within their 95 % interval.")
    console.print("lab's rule: the scripted table on average · exact: on these very prompts", style="dim")
    claims.check("the intervals hold the exact figures about as often as they say", holds=inside >= INSIDE * rows)


def _show_next(claims: Claims, seconds: float) -> int:
    show_heading("Where to go next")
    console.print("docs/trainer.md       read findings and compare checkpoints")
    console.print("docs/bank-tester.md   your prompts, your runs, exact figures")
    console.print("docs/auditor.md       verify a log; docs/operator.md  install for real")
    console.print("SECURITY.md           what is promised, and what does not hold yet")
    return conclude(claims, seconds=seconds)


if __name__ == "__main__":
    sys.exit(main())
