"""Judge in this very process, in turns with everything else that it does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Final

from heldout_server.domain import Verdict
from heldout_server.ports.judges import Case, Judge, JudgeAll

TURN_CASES: Final = 8
"""Cases judged before others get a turn: well under a millisecond."""


class JudgingHere:
    """Be the :class:`heldout_server.ports.judges.Judging` of a machine without a second core, and of tests."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[JudgeAll]:
        """Yield what judges."""
        yield self._judge_all

    async def _judge_all(self, cases: Sequence[Case]) -> list[Verdict | Exception]:
        verdicts: list[Verdict | Exception] = []
        for number, case in enumerate(cases, start=1):
            try:
                verdicts.append(self._judge.judge(case))
            except Exception as error:  # noqa: BLE001 - a bug that one answer meets may not cost the others their verdicts
                verdicts.append(error)
            if number % TURN_CASES == 0:
                await asyncio.sleep(0)
        return verdicts
