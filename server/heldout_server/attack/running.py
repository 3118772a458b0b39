"""Run attacks one after the other, each on a stage of its own or on a shared one, and lay out what they found."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import textwrap
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from heldout_server.attack.attack import Attack, Finding, Needs
from heldout_server.attack.process import LAUNCHER
from heldout_server.attack.scene import SHARED
from heldout_server.attack.setting import Setting
from heldout_server.attack.stage import Stage, own_stage, staging
from heldout_server.errors import HeldoutError

WIDTH: Final = 80
NAME_WIDTH: Final = 60
LABEL_WIDTH: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Say what came of one attack, and how long it took, its stage included."""

    attack: Attack
    finding: Finding
    seconds: float


class Stages:
    """Set the stage for each attack. The shared one is made when it is first needed, and anew after an attack broke."""

    def __init__(self, *, profiles: Path | None = None, launcher: Sequence[str | Path] = LAUNCHER) -> None:
        """Start nothing yet.

        Args:
            profiles: of an appliance that somebody else runs; None to start them here.
            launcher: what appliances are started with.
        """
        self._profiles = profiles
        self._launcher = launcher
        self._shared: Stage | None = None
        self._open = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Return the stages themselves."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End what still runs."""
        await self._drop()

    async def run(self, attack: Attack) -> Finding:
        """Carry out one attack."""
        finding: Finding | None = None
        try:
            async with self._stage(attack) as stage:
                finding = await attack.run(stage)
        except (HeldoutError, OSError, TimeoutError, ValueError) as error:
            # An attack that could not be carried out shows nothing, so it counts as broken; its text is the stage's.
            learned = f"nothing: {type(error).__name__}: {error}"
            finding = Finding(tried="could not be carried out", learned=learned, held=False)
        finally:
            if finding is None or not finding.held:
                await self._drop()
        return finding

    @contextlib.asynccontextmanager
    async def _stage(self, attack: Attack) -> AsyncIterator[Stage]:
        if attack.needs is Needs.NOTHING:
            yield Stage(Path())
        elif self._profiles is not None:
            async with staging(self._profiles) as stage:
                yield stage
        elif attack.needs is Needs.OWN:
            async with self._temporary(attack.setting) as stage:
                yield stage
        else:
            if self._shared is None:
                stage = await self._open.enter_async_context(self._temporary(SHARED))
                await stage.furnish()
                self._shared = stage
            await self._shared.rest()  # what an attack before left to run would be seen by this one
            yield self._shared

    @contextlib.asynccontextmanager
    async def _temporary(self, setting: Setting) -> AsyncIterator[Stage]:
        # Sockets are made below it, and their paths must be short: the system's own folder of temporary files.
        root = Path(tempfile.mkdtemp(prefix="heldout-"))
        try:
            async with own_stage(root, setting=setting, launcher=self._launcher) as stage:
                yield stage
        finally:
            _remove(root)

    async def _drop(self) -> None:
        self._shared = None
        await self._open.aclose()
        self._open = contextlib.AsyncExitStack()


async def run_attacks(
    attacks: Iterable[Attack],
    *,
    profiles: Path | None = None,
    launcher: Sequence[str | Path] = LAUNCHER,
    begin: Callable[[Attack], None] = lambda _attack: None,
    report: Callable[[Result], None] = lambda _result: None,
) -> tuple[Result, ...]:
    """Run attacks.

    Args:
        attacks: which.
        profiles: of an appliance that somebody else runs; None to start appliances. With it, attacks that need more
            than calls are left out.
        launcher: what appliances are started with.
        begin: told of each attack before it begins.
        report: told each result as it comes.
    """
    results: list[Result] = []
    async with Stages(profiles=profiles, launcher=launcher) as stages:
        for attack in attacks:
            if profiles is not None and attack.needs is not Needs.CALLS:
                continue
            begin(attack)
            began = time.monotonic()
            finding = await stages.run(attack)
            results.append(Result(attack=attack, finding=finding, seconds=time.monotonic() - began))
            report(results[-1])
    return tuple(results)


def _remove(root: Path) -> None:
    """Remove a stage with the read-only checkpoints that are staged in it."""
    for folder in (root, *(path for path in root.rglob("*") if path.is_dir() and not path.is_symlink())):
        folder.chmod(0o700)
    shutil.rmtree(root)


def result_lines(result: Result) -> Sequence[str]:
    """Return one attack as a row, with what it tried and what it learned below, in 80 columns."""
    verdict = "held" if result.finding.held else "BROKEN"
    lines = [f"{result.attack.name:<{NAME_WIDTH}}{verdict:>8}{result.seconds:>10.1f} s"]
    for label, text in (("tried", result.finding.tried), ("learned", result.finding.learned)):
        first = f"    {label}".ljust(LABEL_WIDTH)
        lines += textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=" " * LABEL_WIDTH)
    return lines


def as_object(result: Result) -> dict[str, Any]:
    """Return one result for JSON."""
    return {
        "attack": result.attack.name,
        "plays": result.attack.plays.value,
        "explains": result.attack.explains,
        "tried": result.finding.tried,
        "learned": result.finding.learned,
        "held": result.finding.held,
        "seconds": round(result.seconds, 3),
    }
