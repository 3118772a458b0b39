"""Try one trial: compose what is sent, ask the model, read the answer, judge it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Final

from heldout_server.domain import Intent, Manifest, Outcome, SecretText, Verdict
from heldout_server.errors import IntegrityError, RuntimeDied, StorageError
from heldout_server.evaluation.assignments import Assignment
from heldout_server.evaluation.plan import Plan, Trial, trial_seed
from heldout_server.ports.judges import Case, Judge
from heldout_server.ports.outcomes import JudgedTrial
from heldout_server.ports.runtimes import ModelClient
from heldout_server.ports.techniques import Techniques

GRACE_S: Final = 5.0
"""Seconds past its deadline after which a client that does not keep it is cut off."""

NOTHING: Final = SecretText("")
"""The response of a trial that has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialBench:
    """Hold what every trial of a run is tried with; ``intents`` are those of the members, by position."""

    manifest: Manifest
    plan: Plan
    intents: tuple[Intent, ...]
    techniques: Techniques
    judge: Judge

    async def attempt(self, client: ModelClient, assignment: Assignment) -> JudgedTrial:
        """Try one trial and return its verdict. What fails in it is a verdict of this trial, and of no other.

        Raises:
            RuntimeDied: the process behind the client has ended, by this trial or by another.
            StorageError, IntegrityError: the appliance failed, not the trial.
        """
        trial = assignment.trial
        cell = self.plan.cells[trial.cell]
        seed = trial_seed(self.manifest, trial, cell)
        response_text = NOTHING
        verdict = Verdict.NOT_DELIVERED  # what stands if the composition fails
        try:
            delivery = self.techniques.deliver(cell, assignment.prompt, seed=seed)
            verdict = Verdict.ERROR  # … if the endpoint does
            async with asyncio.timeout(self.manifest.deadline_s + GRACE_S):
                response = await client.complete(
                    delivery.messages, replace(self.manifest.sampling, seed=seed), timeout_s=self.manifest.deadline_s
                )
            verdict = Verdict.UNDECIDED  # … if the answer cannot be read or judged
            answer = response_text = response.text
            if delivery.decoders:
                answer = SecretText(self.techniques.decode(delivery.decoders, response_text.reveal()))
            verdict = self.judge.judge(
                Case(
                    intent=self.intents[trial.position],
                    prompt=assignment.prompt,
                    response=answer,
                    ending=response.ending,
                )
            )
        except (RuntimeDied, StorageError, IntegrityError):
            raise
        except Exception:  # noqa: BLE001, S110 - even a bug that one prompt meets may not cost the others their trials
            # The verdict that stands says which step failed. Nothing is logged: it is an outcome of the checkpoint.
            pass
        return conclude(trial, verdict, response_text)


def conclude(trial: Trial, verdict: Verdict, response: SecretText = NOTHING) -> JudgedTrial:
    """Return a trial with its verdict, ready to be stored."""
    return JudgedTrial(Outcome(trial.number, trial.position, trial.cell, verdict), response)
