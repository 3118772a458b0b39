"""The whole job on this machine: an appliance, a bank, five checkpoints, and what each person sees.

Everything is real (SQLCipher, mTLS, gRPC, noise, the log) but the model: the lab's checkpoints are tables for the
scripted runtime, so that the truth is known and can be held against what is published. Everything happens in a
temporary folder and on loopback. The exit code is 0 only if all that the demo claims did happen.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import lab
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.rule import Rule

from heldout import Client
from heldout.findings import (
    Comparison,
    Release,
    TableKind,
    compare_releases,
    estimate_overall,
    estimate_row,
)

BIN: Final = Path(sys.executable).parent
DEMO: Final = Path(__file__).resolve().parent
CHECKPOINTS: Final = 5
PATIENCE_S: Final = 60
ALIKE: Final = 0.03
"""Less than this is alike on average. The noise is real: each claim fails by chance less than once in a thousand."""

INSIDE: Final = 0.85
"""Of about 100 intervals at 95 %, fewer than this share hold the exact figure less than once in a thousand demos."""


console = Console(width=80, highlight=False)


@dataclass
class Claims:
    """Collect what the demo says happened, and whether it did."""

    failed: list[str] = field(default_factory=list)
    held: int = 0

    def check(self, claim: str, *, holds: bool) -> None:
        """Record a claim."""
        if holds:
            self.held += 1
        else:
            self.failed.append(claim)


@dataclass(frozen=True)
class Appliance:
    """Know where the demo's appliance is."""

    folder: Path

    def profile(self, role: str) -> Path:
        """Return the client profile of a role."""
        return self.folder / "profiles" / f"{role}.toml"

    def ask(self, role: str, *words: str, show: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the ``heldout`` command as a person would, and show what they see."""
        if show:
            console.print(f"\n[bold]{role}[/bold] $ heldout {' '.join(words)}", soft_wrap=True)
        done = subprocess.run(  # noqa: S603 - our own command
            [BIN / "heldout", *words],
            env={**os.environ, "HELDOUT_PROFILE": str(self.profile(role)), "COLUMNS": "80"},
            text=True,
            capture_output=True,
            check=False,
        )
        if show:
            console.print((done.stdout + done.stderr).rstrip(), markup=False, soft_wrap=True)
        return done


def main() -> int:
    """Run the demo and return the exit code."""
    began = time.monotonic()
    claims = Claims()
    folder = Path(tempfile.mkdtemp(prefix="heldout-"))
    try:
        with _serving(folder / "appliance") as appliance:
            _fill_bank(appliance, claims)
            _test_checkpoints(appliance, claims)
            _show_trainer(appliance, claims)
            _show_truth(appliance, claims)
            _show_refusal(appliance, claims)
            _show_auditor(appliance, folder / "export", claims)
    finally:
        shutil.rmtree(folder, onerror=_make_writable)
    return _conclude(claims, time.monotonic() - began)


def _heading(text: str) -> None:
    console.print()
    console.print(Rule(f"[bold]{text}[/bold]", align="left"))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _serving(folder: Path) -> Iterator[Appliance]:
    """Install an appliance and run it."""
    _heading("1 · The operator installs an appliance and starts it")
    address = f"127.0.0.1:{_free_port()}"
    words = ["init", str(folder), "--name", "demo", "--address", address, "--health", "127.0.0.1:0"]
    console.print("$ heldout-server init appliance --policy demo/release.toml")
    subprocess.run(  # noqa: S603 - our own command
        [BIN / "heldout-server", *words, "--policy", str(DEMO / "release.toml")], check=True, capture_output=True
    )
    config = folder / "config.toml"
    text = (
        config.read_text()
        .replace("# poll_s = 1.0", "poll_s = 0.2")
        .replace('# log_level = "info"', 'log_level = "warning"')
    )
    if not _can_isolate():
        console.print("This machine lets nobody make a network namespace: the scripted runtime runs without one.")
        text = text.replace('# isolation = "namespace"', 'isolation = "none"')
    config.write_text(text)
    console.print("$ heldout-server serve")
    process = subprocess.Popen(  # noqa: S603 - our own command
        [BIN / "heldout-server", "serve", "--config", str(config)], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None  # noqa: S101 - asked for above
    try:
        line = process.stderr.readline().rstrip()
        console.print(line, markup=False, soft_wrap=True)
        if "healthy" not in line:
            sys.exit("demo: the appliance did not start")
        yield Appliance(folder)
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE_S)
        process.stderr.close()


def _can_isolate() -> bool:
    flags = "-n" if os.geteuid() == 0 else "-Urn"
    unshare = shutil.which("unshare")
    if unshare is None:
        return False
    return subprocess.run([unshare, flags, "true"], capture_output=True, check=False).returncode == 0  # noqa: S603 - fixed words


def _fill_bank(appliance: Appliance, claims: Claims) -> None:
    _heading("2 · The bank tester fills the encrypted bank and freezes an epoch")
    done = appliance.ask("bank_tester", "bank", "import", os.path.relpath(lab.PROMPTS))
    claims.check("300 prompts were imported", holds="300 imported" in done.stdout)
    done = appliance.ask("bank_tester", "bank", "epoch", "open")
    claims.check("an epoch is open", holds=done.returncode == 0)


def _test_checkpoints(appliance: Appliance, claims: Claims) -> None:
    _heading("3 · Five checkpoints of nova-lite appear, and each is tested as it does")
    source = appliance.folder / "checkpoints"
    with (
        Client.from_profile(appliance.profile("bank_tester")) as tester,
        Client.from_profile(appliance.profile("trainer")) as trainer,
        Progress(
            TextColumn("{task.description:<14}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]:>13}"),
            TimeElapsedColumn(),
            console=console,
        ) as progress,
    ):
        for number in range(1, CHECKPOINTS + 1):
            name = lab.checkpoint_name(number)
            lab.write_checkpoint(source / name, number)
            appliance.ask("trainer", *_score_words(name, number), show=False)
            bar = progress.add_task(name, total=None, rate="noticing")
            run_id = _wait_for_run(tester, name)
            for seen in tester.runs.watch(run_id):
                progress.update(
                    bar,
                    total=seen.run.planned_trials,
                    completed=seen.finished_trials,
                    rate=f"{seen.trials_per_s:,.0f}/s" if seen.trials_per_s else seen.run.state.value,
                )
            progress.update(bar, rate=seen.run.state.value)
            claims.check(f"{name} was published", holds=seen.run.state.value == "published")
        releases = trainer.findings.releases()
    tested = [release.tested.checkpoint for release in releases]
    wanted = [lab.checkpoint_name(number) for number in range(1, CHECKPOINTS + 1)]
    claims.check("five releases, in the order of the checkpoints", holds=tested == wanted)


def _score_words(name: str, number: int) -> Sequence[str]:
    value = lab.TRUE_RATES[number].swe_bench
    return "scores", "record", name, "--benchmark", lab.BENCHMARK, "--value", f"{value:.1f}"


def _wait_for_run(tester: Client, checkpoint: str) -> str:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        for run in tester.runs.list():
            if run.tested.checkpoint == checkpoint:
                return run.run_id
        time.sleep(0.1)
    sys.exit(f"demo: {checkpoint} was not noticed within {PATIENCE_S} s")


def _show_trainer(appliance: Appliance, claims: Claims) -> None:
    _heading("4 · The trainer sees what the policy lets out, and never a prompt")
    appliance.ask("trainer", "trend", lab.LINE)
    v3, v4 = lab.checkpoint_name(3), lab.checkpoint_name(4)
    appliance.ask("trainer", "compare", v3, v4)
    v2 = lab.checkpoint_name(2)
    appliance.ask("trainer", "findings", v2)
    appliance.ask("trainer", "budget")
    releases = _releases(appliance)
    up = compare_releases(releases[2], releases[3])
    claims.check(
        f"attack success rose from {v2} to {v3} although SWE-bench rose too",
        holds=up.overall is not None
        and up.overall.difference > 0
        and lab.TRUE_RATES[3].swe_bench > lab.TRUE_RATES[2].swe_bench,
    )
    alike = compare_releases(releases[3], releases[4])
    claims.check(f"{v3} and {v4} are alike on average and differ by technique", holds=_is_alike_but_different(alike))
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
    _heading("5 · How far the noise moves the figures: only the lab can know")
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


def _show_refusal(appliance: Appliance, claims: Claims) -> None:
    _heading("6 · A trainer asks for a prompt")
    with Client.from_profile(appliance.profile("bank_tester")) as tester:
        handle = tester.bank.handles()[0]
    done = appliance.ask("trainer", "bank", "show", handle)
    claims.check("the trainer was refused a prompt", holds=done.returncode == 1 and "refused" in done.stderr)


def _show_auditor(appliance: Appliance, export: Path, claims: Claims) -> None:
    _heading("7 · The auditor verifies it all without trusting the appliance")
    done = appliance.ask("auditor", "audit", "tail", "--log", "window", "-n", "6")
    claims.check("the auditor reads the log", holds=done.returncode == 0)
    done = appliance.ask("auditor", "audit", "verify")
    claims.check("the auditor verified both logs, live", holds=done.returncode == 0)
    done = appliance.ask("auditor", "audit", "export", str(export), show=False)
    claims.check("the auditor exported both logs", holds=done.returncode == 0)
    done = appliance.ask("auditor", "audit", "verify", str(export), show=False)
    claims.check("the auditor verified both logs, offline", holds=done.returncode == 0)
    console.print("\nExported and verified offline as well. Every release above came with a receipt,")
    console.print("which the client checked against the vault's log before it showed a figure.")
    _show_tampering(appliance, export, claims)


def _show_tampering(appliance: Appliance, export: Path, claims: Claims) -> None:
    """Change one byte of an exported entry: the verification must fail."""
    bundle = next(path for path in sorted(export.rglob("entries/**/*")) if path.is_file())
    content = bytearray(bundle.read_bytes())
    content[len(content) // 2] ^= 1
    bundle.write_bytes(bytes(content))
    done = appliance.ask("auditor", "audit", "verify", str(export), show=False)
    claims.check("a changed byte in an exported entry is found", holds=done.returncode == 1)
    console.print("One byte of an exported entry changed: ", end="")
    console.print(done.stderr.strip() or "not found", markup=False, soft_wrap=True)


def _conclude(claims: Claims, seconds: float) -> int:
    _heading("Where to go next")
    console.print("docs/trainer.md       read findings and compare checkpoints")
    console.print("docs/bank-tester.md   your prompts, your runs, exact figures")
    console.print("docs/auditor.md       verify a log; docs/operator.md  install for real")
    console.print("SECURITY.md           what is promised, and what does not hold yet")
    if claims.failed:
        for claim in claims.failed:
            console.print(f"did not happen: {claim}", style="bold red")
        return 1
    console.print(f"\nAll {claims.held} claims held, in {seconds:.0f} s.")
    return 0


def _make_writable(function: object, path: str, _error: object) -> None:
    """Staged checkpoints are read-only folders: make way and try again."""
    Path(path).parent.chmod(0o700)
    Path(path).chmod(0o700)
    if callable(function):
        function(path)


if __name__ == "__main__":
    sys.exit(main())
