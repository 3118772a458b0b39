"""What the demos share: an appliance in a temporary folder, what a person types and sees, and what is claimed of it."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.rule import Rule

from heldout import Client
from heldout.services.runs import RunState

BIN: Final = Path(sys.executable).parent
PATIENCE_S: Final = 60
RUN_PATIENCE_S: Final = 900
TEN: Final = 10

console = Console(width=80, highlight=False)


@dataclass
class Claims:
    """Collect what the demo says happened, and whether it did."""

    failed: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)

    def check(self, claim: str, *, holds: bool) -> None:
        """Record a claim."""
        if holds:
            self.held.append(claim)
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


def show_heading(text: str) -> None:
    """Show the heading of a step."""
    console.print()
    console.print(Rule(f"[bold]{text}[/bold]", align="left"))


def tell(text: str) -> None:
    """Say what to look at, apart from what the product says itself."""
    console.print(text, style="italic")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make a folder, and remove it with the read-only checkpoints that are staged in it."""
    folder = Path(tempfile.mkdtemp(prefix="heldout-"))
    os.environ["XDG_STATE_HOME"] = str(folder / "state")  # what clients remember of an appliance that is soon gone
    try:
        yield folder
    finally:
        shutil.rmtree(folder, onerror=_make_writable)


@contextlib.contextmanager
def serving(folder: Path, *, policy: Path, settings: Mapping[str, str]) -> Iterator[Appliance]:
    """Install an appliance and run it.

    Args:
        folder: where to.
        policy: its release policy.
        settings: lines of the config as it is written, and what to put in their place.
    """
    address = f"127.0.0.1:{_free_port()}"
    words = ["init", str(folder), "--name", "demo", "--address", address, "--health", "127.0.0.1:0"]
    console.print(f"$ heldout-server init appliance --policy demo/{policy.name}")
    subprocess.run([BIN / "heldout-server", *words, "--policy", str(policy)], check=True, capture_output=True)  # noqa: S603 - our own command
    config = folder / "config.toml"
    text = config.read_text()
    if not _can_isolate():
        console.print("This machine lets nobody make a network namespace: the scripted runtime runs without one.")
        settings = {**settings, '# isolation = "namespace"': 'isolation = "none"'}
    for line, instead in settings.items():
        if text.count(line) != 1:
            sys.exit(f"demo: the config does not say {line}")
        text = text.replace(line, instead)
    config.write_text(text)
    console.print("$ heldout-server serve --config appliance/config.toml")
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


def wait_for_run(tester: Client, checkpoint: str) -> str:
    """Return the run of a checkpoint once it is noticed."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        for run in tester.runs.list():
            if run.tested.checkpoint == checkpoint:
                return run.run_id
        time.sleep(0.1)
    sys.exit(f"demo: {checkpoint} was not noticed within {PATIENCE_S} s")


def show_refusal(appliance: Appliance, claims: Claims) -> None:
    """Show what a trainer gets who asks for a prompt."""
    with Client.from_profile(appliance.profile("bank_tester")) as tester:
        handle = tester.bank.handles()[0]
    done = appliance.ask("trainer", "bank", "show", handle)
    claims.check("the trainer was refused a prompt", holds=done.returncode == 1 and "refused" in done.stderr)


def show_auditor(appliance: Appliance, export: Path, claims: Claims) -> None:
    """Show the auditor at work, live and on an export, and that one changed byte is found."""
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
    console.print("One byte of an exported entry changed:")
    console.print(done.stderr.strip() or "not found", markup=False)


def progress_bars() -> Progress:
    """Return the bars that show runs."""
    return Progress(
        TextColumn("{task.description:<14}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:>13}"),
        TimeElapsedColumn(),
        console=console,
    )


def follow_run(tester: Client, progress: Progress, name: str) -> RunState:
    """Show a checkpoint's run from when it is noticed to its end, and return how it ended."""
    bar = progress.add_task(name, total=None, rate="noticing")
    state = RunState.PROPOSED
    until = time.monotonic() + RUN_PATIENCE_S
    for seen in tester.runs.watch(wait_for_run(tester, name)):
        state = seen.run.state
        if time.monotonic() > until:
            sys.exit(f"demo: the run of {name} did not end within {RUN_PATIENCE_S} s: it is {state.value}")
        progress.update(
            bar,
            total=seen.run.planned_trials,
            completed=seen.finished_trials,
            rate=f"{seen.trials_per_s:,.{0 if seen.trials_per_s >= TEN else 1}f}/s"
            if seen.trials_per_s
            else state.value,
        )
    progress.update(bar, rate=state.value)
    return state


def conclude(claims: Claims, *, seconds: float) -> int:
    """Say whether all that was claimed did happen, and return the exit code."""
    console.print()
    for claim in claims.held:
        console.print(f" ✓ {claim}")
    if claims.failed:
        for claim in claims.failed:
            console.print(f"did not happen: {claim}", style="bold red")
        return 1
    console.print(f"All {len(claims.held)} claims held, in {seconds:.0f} s.")
    return 0


def _make_writable(function: object, path: str, _error: object) -> None:
    """Staged checkpoints are read-only folders: make way and try again."""
    Path(path).parent.chmod(0o700)
    Path(path).chmod(0o700)
    if callable(function):
        function(path)
