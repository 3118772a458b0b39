"""Try one trial: compose what is sent, ask the model, read the answer. Then judge many answers together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from heldout_server.domain import NOTHING, Intent, Manifest, Message, Outcome, SecretText, SystemPrompt, Verdict
from heldout_server.errors import (
    EndpointError,
    EndpointUnavailable,
    FailedAlone,
    IntegrityError,
    NotDeliverable,
    RuntimeDied,
    StorageError,
)
from heldout_server.evaluation.assignments import Assignment
from heldout_server.evaluation.plan import Plan, Trial, trial_seed
from heldout_server.ports.judges import Case, JudgeAll
from heldout_server.ports.outcomes import Aside, JudgedTrial
from heldout_server.ports.runtimes import ModelClient
from heldout_server.ports.techniques import Techniques
from heldout_server.telemetry.logs import error_fields

NO_ASIDE: Final = Aside()


@dataclass(frozen=True, slots=True)
class Tried:
    """Hold a trial whose part of the runtime is over.

    Attributes:
        verdict: what stands: all there is without a case, and what an answer is that cannot be judged.
        case: what is to be judged.
        failed_alone: it failed while all others waited for it.
    """

    trial: Trial
    verdict: Verdict
    response: SecretText = NOTHING
    aside: Aside = NO_ASIDE
    case: Case | None = None
    failed_alone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialBench:
    """Hold what every trial of a run is tried with.

    Attributes:
        judge_all: judges answers, many at a time.
        intents: those of the members, by position.
        faults: type and place of exceptions that nobody had foreseen. Whether there are any is an outcome: they are
            for bank testers, and in no log.
    """

    manifest: Manifest
    plan: Plan
    intents: tuple[Intent, ...]
    techniques: Techniques
    judge_all: JudgeAll
    system: SystemPrompt = field(default_factory=SystemPrompt)
    faults: set[tuple[str, str]] = field(default_factory=set)

    async def attempt(self, client: ModelClient, assignment: Assignment) -> Tried:
        """Try one trial and return what came of it. What fails in it is a verdict of this trial, and of no other.

        Raises:
            RuntimeDied: the process behind the client has ended, by this trial or by another.
            EndpointUnavailable: there is no endpoint to ask, and this trial is not to blame.
            StorageError, IntegrityError: the appliance failed, not the trial.
        """
        trial = assignment.trial
        cell = self.plan.cells[trial.cell]
        seed = trial_seed(self.manifest, trial, cell)
        response_text, aside, case = NOTHING, NO_ASIDE, None
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
            if len(response.reasoning) or len(response.tool_calls):
                aside = Aside(reasoning=response.reasoning, tool_calls=response.tool_calls)
            if delivery.decoders:
                answer = SecretText(self.techniques.decode(delivery.decoders, response_text.reveal()))
            case = Case(
                intent=self.intents[trial.position], prompt=assignment.prompt, response=answer, ending=response.ending
            )
        except (RuntimeDied, EndpointUnavailable, StorageError, IntegrityError):
            raise
        except FailedAlone:
            return Tried(trial, verdict, failed_alone=True)
        except (EndpointError, NotDeliverable):
            pass  # the verdict that stands says which step failed: an outcome of the checkpoint, so no line of it
        except Exception as error:  # noqa: BLE001 - a bug that one prompt meets may not cost the others their trials
            self._note(error)
        return Tried(trial, verdict, response_text, aside, case)

    async def judge(self, tried: Sequence[Tried]) -> list[JudgedTrial]:
        """Return the trials with their verdicts, ready to be stored, in their order.

        What the judge raises over an answer leaves that one undecided. A judge is pure, so which answers it is given
        together changes no verdict.

        Raises:
            RunError, IntegrityError: there is no judge to be had.
        """
        verdicts = iter(await self.judge_all([one.case for one in tried if one.case is not None]))
        return [conclude(one, self._verdict(one, verdicts)) for one in tried]

    def _verdict(self, tried: Tried, verdicts: Iterator[Verdict | Exception]) -> Verdict:
        found = tried.verdict if tried.case is None else next(verdicts)
        if isinstance(found, Verdict):
            return found
        self._note(found)
        return tried.verdict

    def _note(self, error: Exception) -> None:
        fields = error_fields(error)
        self.faults.add((fields["error"], fields.get("error_at", "")))

    def _conversation(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Put the system prompt first: what a technique says as the system comes after it, in one message."""
        if not len(self.system.text):
            return messages
        said = [self.system.text.reveal(), *(one.content.reveal() for one in messages if one.role == "system")]
        rest = [one for one in messages if one.role != "system"]
        return [Message("system", SecretText("\n\n".join(said))), *rest]


def conclude(tried: Tried, verdict: Verdict) -> JudgedTrial:
    """Return a trial with its verdict, ready to be stored."""
    trial = tried.trial
    return JudgedTrial(Outcome(trial.number, trial.position, trial.cell, verdict), tried.response, tried.aside)
