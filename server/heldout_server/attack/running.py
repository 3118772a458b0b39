"""Run attacks one after the other, each on a stage of its own, and lay out what they found."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import textwrap
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from heldout_server.attack.attack import Attack, Finding, Needs
from heldout_server.attack.stage import Stage, own_stage, staging
from heldout_server.errors import HeldoutError

WIDTH: Final = 80
NAME_WIDTH: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Say what came of one attack, and how long it took."""

    attack: Attack
    finding: Finding
    seconds: float


async def run_attacks(
    attacks: Iterable[Attack], *, profiles: Path | None = None, report: Callable[[Result], None] = lambda _result: None
) -> tuple[Result, ...]:
    """Run attacks.

    Args:
        attacks: which.
        profiles: of an appliance that somebody else runs; None to start one for each attack that needs one. With it,
            attacks that need an appliance of their own are left out.
        report: told each result as it comes.
    """
    results: list[Result] = []
    for attack in attacks:
        if profiles is not None and attack.needs is not Needs.CALLS:
            continue
        began = time.monotonic()
        finding = await _run(attack, profiles)
        results.append(Result(attack=attack, finding=finding, seconds=time.monotonic() - began))
        report(results[-1])
    return tuple(results)


async def _run(attack: Attack, profiles: Path | None) -> Finding:
    try:
        async with _stage(attack, profiles) as stage:
            return await attack.run(stage)
    except (HeldoutError, OSError, TimeoutError, ValueError) as error:
        # An attack that could not be carried out shows nothing, so it counts as broken; its text is the stage's own.
        return Finding(
            tried="could not be carried out", learned=f"nothing: {type(error).__name__}: {error}", held=False
        )


@contextlib.asynccontextmanager
async def _stage(attack: Attack, profiles: Path | None) -> AsyncIterator[Stage]:
    if attack.needs is Needs.NOTHING:
        yield Stage(Path())
    elif profiles is not None:
        async with staging(profiles) as stage:
            yield stage
    else:
        # Sockets are made below it, and their paths must be short: the system's own folder of temporary files.
        root = Path(tempfile.mkdtemp(prefix="heldout-"))
        try:
            async with own_stage(root) as stage:
                yield stage
        finally:
            _remove(root)


def _remove(root: Path) -> None:
    """Remove a stage with the read-only checkpoints that are staged in it."""
    for folder in (root, *(path for path in root.rglob("*") if path.is_dir() and not path.is_symlink())):
        folder.chmod(0o700)
    shutil.rmtree(root)


def result_lines(result: Result) -> Sequence[str]:
    """Return one attack as a row and what it found below it, in 80 columns."""
    verdict = "held" if result.finding.held else "BROKEN"
    first = f"{result.attack.name:<{NAME_WIDTH}} {verdict:<7}{result.seconds:>6.1f} s  "
    explained = textwrap.wrap(result.attack.explains, WIDTH - len(first)) or [""]
    lines = [first + explained[0], *(" " * len(first) + more for more in explained[1:])]
    for label, text in (("tried", result.finding.tried), ("learned", result.finding.learned)):
        lines += textwrap.wrap(f"{label}: {text}", WIDTH, initial_indent="    ", subsequent_indent="      ")
    return lines


def as_object(result: Result) -> dict[str, Any]:
    """Return one result for JSON."""
    return {
        "attack": result.attack.name,
        "explains": result.attack.explains,
        "tried": result.finding.tried,
        "learned": result.finding.learned,
        "held": result.finding.held,
        "seconds": round(result.seconds, 3),
    }
