"""When a run publishes: at a slot that is known before its first trial, whatever the checkpoint does.

A slot is a moment that is a whole number of ``slot_s`` seconds after 1970-01-01 00:00 UTC. Which one a run gets follows
from its plan, its deadlines and the runs that were started before it (:meth:`Schedule.plan_slot`), never from an
outcome: a run that is done early waits, and what is not tried when its slot comes is scored by the fixed rule.

For development a policy may say ``on_completion``: then the moment of a publication tells how long its run took.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

ON_COMPLETION: Final = "on_completion"
AS_PLANNED: Final = "as_planned"

STRIKES: Final = 3
"""What a unit may cost beyond the deadlines of its trials, in deadlines: trials that are tried once more, alone. After
as many that fail alone the rest of a unit is not tried any more."""

CLOSING_SHARE: Final = 0.1
CLOSING_S: Final = 30.0
"""What is kept of a slot for scoring and storing what is left, so that the publication itself is not late: a tenth of
it, and at most so many seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Say when runs publish.

    Attributes:
        slot_s: whole seconds between two slots, at least 1; 0 for ``on_completion``.
    """

    slot_s: int

    @property
    def is_planned(self) -> bool:
        """Say whether a run's slot is fixed before it starts."""
        return self.slot_s > 0

    @property
    def closing_s(self) -> float:
        """Return the seconds before its slot at which a run tries nothing any more."""
        return min(CLOSING_SHARE * self.slot_s, CLOSING_S)

    def plan_slot(self, *, now_s: float, run_s: float, latest_s: int) -> int:
        """Return the Unix seconds of a run's slot, or 0 for ``on_completion``.

        Args:
            now_s: Unix time of its start.
            run_s: what it may take, from :func:`run_time_s`.
            latest_s: the latest slot that any run was given, or 0: runs are tried one after another.
        """
        if not self.is_planned:
            return 0
        begin_s = max(now_s, float(latest_s))
        slot = self.next_slot(begin_s + run_s + self.closing_s)
        return slot if slot > latest_s else slot + self.slot_s

    def next_slot(self, now_s: float) -> int:
        """Return the first slot that is not before a moment, in Unix seconds."""
        return math.ceil(now_s / self.slot_s) * self.slot_s

    def last_slot(self, now_s: float) -> int:
        """Return the last slot that is not after a moment; on completion the whole second itself."""
        step_s = self.slot_s or 1
        return int(now_s // step_s) * step_s


def run_time_s(*, trials: int, units: int, width: int, deadline_s: float, start_s: float) -> float:
    """Return the seconds that a run is given, from its plan and deadlines alone.

    They suffice for every trial to use all of its deadline, ``width`` of them at a time, and for every unit to have
    :data:`STRIKES` trials that are tried once more, alone, each for a whole deadline.

    Args:
        trials: in the plan, at least 1.
        units: that are tried.
        width: trials at the same time, at least 1.
        deadline_s: of one trial.
        start_s: that the runtime may take to come up.
    """
    return start_s + deadline_s * (math.ceil(trials / width) + STRIKES * units)
