"""Try one trial: compose what is sent, ask the model, read the answer, judge it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import structlog

from heldout_server.domain import NOTHING, Intent, Manifest, Message, Outcome, SecretText, SystemPrompt, Verdict
from heldout_server.errors import (
    EndpointError,
    EndpointUnavailable,
    IntegrityError,
    NotDeliverable,
    RuntimeDied,
    StorageError,
)
from heldout_server.evaluation.assignments import Assignment
from heldout_server.evaluation.plan import Plan, Trial, trial_seed
from heldout_server.ports.judges import Case, Judge
from heldout_server.ports.outcomes import Aside, JudgedTrial
from heldout_server.ports.runtimes import ModelClient
from heldout_server.ports.techniques import Techniques
from heldout_server.telemetry.logs import error_fields

_log = structlog.get_logger("evaluation")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialBench:
    """Hold what every trial of a run is tried with.

    Attributes:
        run_id: the run's.
        intents: those of the members, by position.
        reported: type and place of unforeseen exceptions that were logged.
    """

    run_id: str
    manifest: Manifest
    plan: Plan
    intents: tuple[Intent, ...]
    techniques: Techniques
    judge: Judge
    system: SystemPrompt = field(default_factory=SystemPrompt)
    reported: set[tuple[str, str]] = field(default_factory=set)

    async def attempt(self, client: ModelClient, assignment: Assignment) -> JudgedTrial:
        """Try one trial and return its verdict. What fails in it is a verdict of this trial, and of no other.

        Raises:
            RuntimeDied: the process behind the client has ended, by this trial or by another.
            EndpointUnavailable: there is no endpoint to ask, and this trial is not to blame.
            StorageError, IntegrityError: the appliance failed, not the trial.
        """
        trial = assignment.trial
        cell = self.plan.cells[trial.cell]
        seed = trial_seed(self.manifest, trial, cell)
        response_text, aside = NOTHING, Aside()
        verdict = Verdict.NOT_DELIVERED  # what stands if the composition fails
        try:
            delivery = self.techniques.deliver(cell, assignment.prompt, seed=seed)
            verdict = Verdict.ERROR  # … if the endpoint does
            response = await client.complete(
                self._conversation(delivery.messages),
                replace(self.manifest.sampling, seed=seed),
                timeout_s=self.manifest.deadline_s,
            )
            verdict = Verdict.UNDECIDED  # … if the answer cannot be read or judged
            answer = response_text = response.text
            aside = Aside(reasoning=response.reasoning, tool_calls=response.tool_calls)
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
        except (RuntimeDied, EndpointUnavailable, StorageError, IntegrityError):
            raise
        except (EndpointError, NotDeliverable):
            pass  # the verdict that stands says which step failed: an outcome of the checkpoint, so no line of it
        except Exception as error:  # noqa: BLE001 - a bug that one prompt meets may not cost the others their trials
            self._report(error)
        return conclude(trial, verdict, response_text, aside)

    def _report(self, error: Exception) -> None:
        """Say once a run that our code failed, by type and place: a run of nothing but failures must not pass unseen.

        How often it does is an outcome, and so is on which trial; neither is told.
        """
        fields = error_fields(error)
        place = fields["error"], fields.get("error_at", "")
        if place not in self.reported:
            self.reported.add(place)
            _log.error("trial_failed_unforeseen", run_id=self.run_id, **fields)

    def _conversation(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Put the system prompt first: what a technique says as the system comes after it, in one message."""
        if not len(self.system.text):
            return messages
        said = [self.system.text.reveal(), *(one.content.reveal() for one in messages if one.role == "system")]
        rest = [one for one in messages if one.role != "system"]
        return [Message("system", SecretText("\n\n".join(said))), *rest]


def conclude(trial: Trial, verdict: Verdict, response: SecretText = NOTHING, aside: Aside | None = None) -> JudgedTrial:
    """Return a trial with its verdict, ready to be stored."""
    outcome = Outcome(trial.number, trial.position, trial.cell, verdict)
    return JudgedTrial(outcome, response, aside or Aside())
