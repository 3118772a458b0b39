"""Judges: from a prompt and a response to one verdict."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from heldout_server.domain import Ending, Intent, SecretText, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Hold what is judged. All text in it is data: instructions in it change nothing.

    Attributes:
        prompt: what was to be asked, before any technique.
        response: what came back, decoded where the technique encodes.
        ending: how the response ended.
    """

    intent: Intent
    prompt: SecretText
    response: SecretText
    ending: Ending


class Judge(Protocol):
    """Give verdicts.

    Attributes:
        judge_id: its name.
        digest: hex SHA-256 of everything that shapes its verdicts.
    """

    judge_id: str
    digest: str

    def judge(self, case: Case) -> Verdict:
        """Return the verdict. Anything unclear is ``undecided``, never a success and never a failure."""
        ...


JudgeAll: TypeAlias = Callable[[Sequence[Case]], Awaitable[Sequence[Verdict | Exception]]]
"""Judge many cases: one verdict each, in their order; or what the judge raised over a case, which is that case's."""


class Judging(Protocol):
    """Judge many cases at a time, for as long as a run's trials last."""

    def open(self) -> AbstractAsyncContextManager[JudgeAll]:
        """Yield what judges, and let go of every text at the end.

        What judges raises ``RunError`` or ``IntegrityError`` if there is no judge to be had, or another one.

        Raises:
            RunError: it cannot be started.
        """
        ...
