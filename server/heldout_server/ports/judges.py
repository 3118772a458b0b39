"""Judges: from a prompt and a response to one verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

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
