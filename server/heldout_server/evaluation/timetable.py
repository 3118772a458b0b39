"""When a run ends: its slot, fixed at its start, and the moments of it in this process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from heldout_policy.schedule import Schedule, run_time_s
from heldout_server.domain import Member, Run
from heldout_server.ports.environment import Clock
from heldout_server.ports.evaluation import PlannedTime
from heldout_server.ports.runtimes import Runtime

LOOK_S: Final = 1.0
"""Seconds between two looks at the wall clock while a moment is waited for: it may be set meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timetable:
    """Know the slots of runs.

    Attributes:
        schedule: of the policy in force.
        in_flight: trials tried at the same time, at least 1; fewer where the runtime takes fewer.
        pause: sleeps so many seconds.
    """

    schedule: Schedule
    clock: Clock
    in_flight: int
    pause: Callable[[float], Awaitable[object]]

    def plan(self, run: Run, *, members: tuple[Member, ...], runtime: Runtime, latest_s: int) -> PlannedTime:
        """Return the slot of a run that starts now, from its plan and the slots before it, and the time it is given.

        Args:
            run: about to be started.
            members: of its epoch.
            runtime: that serves it.
            latest_s: the latest slot that any run was given, or 0.
        """
        units = len({member.unit for member in members})
        width = min(self.in_flight, runtime.width)
        run_s = run_time_s(
            trials=run.planned_trials,
            units=units,
            width=width,
            deadline_s=run.manifest.deadline_s,
            start_s=runtime.start_s,
        )
        return PlannedTime(
            publishes_s=self.schedule.plan_slot(now_s=self.clock.now_s(), run_s=run_s, latest_s=latest_s),
            run_s=run_s,
            width=width,
            units=units,
            deadline_s=run.manifest.deadline_s,
            start_s=runtime.start_s,
        )

    def due_s(self, run: Run) -> int:
        """Return the slot at which a started run publishes, as seen now; 0 if as soon as it is complete.

        A slot that was missed, since the appliance was down, is made up for at the next one.
        """
        if not run.publishes_s or not self.schedule.is_planned:
            return 0
        now_s = self.clock.now_s()
        return run.publishes_s if now_s <= run.publishes_s else self.schedule.next_slot(now_s)

    async def wait_for_closing(self, due_s: int) -> None:
        """Wait until nothing more may be tried of a run that is due then."""
        await self._wait_until(due_s - self.schedule.closing_s)

    async def wait_for_slot(self, due_s: int) -> None:
        """Wait until a run is due; not at all on completion."""
        await self._wait_until(due_s)

    async def _wait_until(self, moment_s: float) -> None:
        while (left_s := moment_s - self.clock.now_s()) > 0:
            await self.pause(min(left_s, LOOK_S))
