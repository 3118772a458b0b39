"""Write manifests: what a run tests, fixed before it starts, from registries and the request alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, fields
from typing import Final

from heldout_server.domain import PLAIN, Checkpoint, CheckpointState, Epoch, Manifest, Run, TrustClass
from heldout_server.errors import InvalidRequest, NotFound, WrongState
from heldout_server.evaluation.terms import Terms
from heldout_server.ports.bank import Bank
from heldout_server.ports.checkpoints import Checkpoints
from heldout_server.ports.evaluation import PlanRequest
from heldout_server.ports.judges import Judge
from heldout_server.ports.runtimes import Runtime
from heldout_server.ports.techniques import Techniques

MINIMUM_STACK: Final = 2

CHANGED: Final = {
    "policy_digest": "POLICY_CHANGED",
    "epoch_id": "EPOCH_CHANGED",
    "epoch_commitment": "EPOCH_CHANGED",
    "checkpoint_digest": "CHECKPOINT_CHANGED",
    "line": "CHECKPOINT_CHANGED",
    "base": "CHECKPOINT_CHANGED",
    "base_digest": "CHECKPOINT_CHANGED",
    "precision": "CHECKPOINT_CHANGED",
    "chat_template_digest": "CHECKPOINT_CHANGED",
    "judge": "JUDGE_CHANGED",
    "judge_digest": "JUDGE_CHANGED",
    "techniques_digest": "TECHNIQUES_CHANGED",
    "cards": "CARDS_CHANGED",
    "sampling": "SAMPLING_CHANGED",
    "deadline_s": "SAMPLING_CHANGED",
    "system_profile": "SYSTEM_PROMPT_CHANGED",
    "system_digest": "SYSTEM_PROMPT_CHANGED",
    "runtime": "RUNTIME_CHANGED",
    "trust": "CONTAINMENT_CHANGED",
    "engine_version": "RUNTIME_CHANGED",
    "dialect": "RUNTIME_CHANGED",
    "filters": "RUNTIME_CHANGED",
    "burnt_prompts": "CONTAINMENT_CHANGED",
}
"""Why a run is not started whose manifest is not what would be written now, by the field that differs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposals:
    """Hold what a manifest is written from, and what a start is checked against.

    Attributes:
        terms: what config and policy say of every run.
        role_of: the role of an identity, or None if it is not known any more.
        cards: returns the digests of the published cards by technique, in order.
    """

    bank: Bank
    checkpoints: Checkpoints
    runtimes: Mapping[str, Runtime]
    techniques: Techniques
    judge: Judge
    terms: Terms
    role_of: Callable[[str], str | None]
    cards: Callable[[], Awaitable[Mapping[str, str]]]

    async def write(self, request: PlanRequest) -> Manifest:
        """Return the manifest of a request.

        Raises:
            NotFound: the checkpoint or the epoch is unknown.
            InvalidRequest: a technique or a stack is not possible, repeated, or the plain cell is missing.
            WrongState: the checkpoint was refused, nothing here serves it, the prompts would be exposed and the request
                does not allow it, or no epoch is open.
        """
        self._check_plan(request)
        checkpoint, runtime = await self.find_served(request.checkpoint)
        exposed = runtime.trust is TrustClass.EXPOSED
        self._check_exposure(exposed=exposed, allowed=request.allow_exposed)
        epoch = await self._epoch(request.epoch_id)
        used = {*request.techniques, *(one for stack in request.stacks for one in stack)} - {PLAIN}
        cards = await self.cards()
        return Manifest(
            checkpoint=checkpoint.name,
            checkpoint_digest=checkpoint.digest,
            line=checkpoint.line,
            epoch_id=epoch.epoch_id,
            epoch_commitment=epoch.commitment,
            techniques=request.techniques,
            stacks=request.stacks,
            judge=self.judge.judge_id,
            judge_digest=self.judge.digest,
            policy_digest=self.terms.policy_digest,
            runtime=runtime.engine,
            trust=runtime.trust,
            sampling=self.terms.sampling,
            attempts=request.attempts,
            deadline_s=self.terms.deadline_s,
            engine_version=runtime.version,
            dialect=runtime.dialect,
            filters=runtime.filters,
            precision=checkpoint.facts.precision,
            chat_template_digest=checkpoint.facts.chat_template_digest,
            base=checkpoint.base.name if checkpoint.base else "",
            base_digest=checkpoint.base.digest if checkpoint.base else "",
            system_profile=self.terms.system.profile,
            system_digest=self.terms.system.digest,
            allow_exposed=request.allow_exposed,
            burnt_prompts=epoch.prompts if exposed else 0,
            techniques_digest=self.techniques.digest(used),
            cards=tuple((technique, digest) for technique, digest in cards.items() if technique in used),
            anchor=request.anchor,
        )

    async def check_start(self, run: Run) -> None:
        """Refuse to start a run that is not approved, or whose manifest is not what would be written now.

        Each role in the policy needs an identity of its own that approved this digest. What a started run would stop
        at is refused here, before it spends a release.

        Raises:
            NotFound: the checkpoint is gone.
            InvalidRequest: a technique is not there any more.
            WrongState: an approval is missing, something that the manifest names changed since it was written (propose
                anew; the reason says what), nothing serves the checkpoint, or prompts would be exposed.
        """
        given = Counter(str(role) for identity in set(run.approvals) if (role := self.role_of(identity)) is not None)
        missing = Counter(str(role) for role in self.terms.approving_roles) - given
        if missing:
            raise WrongState(f"{run.run_id}: no approval yet by {', '.join(sorted(missing))}", reason="NOT_APPROVED")
        approved = run.manifest
        now = await self.write(
            PlanRequest(
                checkpoint=approved.checkpoint,
                techniques=approved.techniques,
                stacks=approved.stacks,
                attempts=approved.attempts,
                allow_exposed=approved.allow_exposed,
                anchor=approved.anchor,
            )
        )
        for one in fields(Manifest):
            if getattr(now, one.name) != getattr(approved, one.name):
                raise WrongState(
                    f"{run.run_id}: {one.name} changed since it was proposed", reason=CHANGED.get(one.name, "OUTDATED")
                )

    async def find_served(self, name: str) -> tuple[Checkpoint, Runtime]:
        """Return a checkpoint and what serves it.

        Raises:
            NotFound: there is no such checkpoint.
            WrongState: it was refused, or nothing here serves it.
        """
        checkpoint = await self.checkpoints.get(name)
        if checkpoint.state is not CheckpointState.STAGED:
            raise WrongState(f"checkpoint {name} was refused", reason="CHECKPOINT_REFUSED")
        runtime = self.runtimes.get(checkpoint.runtime)
        if runtime is None:
            raise WrongState(f"checkpoint {name} asks for an engine that is not here", reason="NO_RUNTIME")
        return checkpoint, runtime

    def _check_exposure(self, *, exposed: bool, allowed: bool) -> None:
        if exposed and self.terms.guarded and not allowed:
            raise WrongState("the runtime is exposed, and the run does not allow it", reason="EXPOSED_RUNTIME")

    def _check_plan(self, request: PlanRequest) -> None:
        if request.attempts < 1:
            raise InvalidRequest("a prompt is tried at least once", reason="ATTEMPTS")
        if PLAIN not in request.techniques:
            raise InvalidRequest("a plan needs the plain cell", reason="NO_PLAIN_CELL")
        for technique in request.techniques:
            if technique != PLAIN:
                self.techniques.check_stack((technique,))
        for stack in request.stacks:
            if len(stack) < MINIMUM_STACK:
                raise InvalidRequest("a stack has at least two techniques", reason="SHORT_STACK")
            self.techniques.check_stack(stack)
        for rows in (request.techniques, request.stacks):
            if len(set(rows)) != len(rows):
                raise InvalidRequest("a technique or a stack is listed twice", reason="REPEATED_CELL")

    async def _epoch(self, epoch_id: str) -> Epoch:
        if epoch_id:
            for epoch in await self.bank.epochs():
                if epoch.epoch_id == epoch_id:
                    return epoch
            raise NotFound("there is no such epoch", reason="NO_SUCH_EPOCH")
        open_epoch = (await self.bank.stats()).epoch
        if open_epoch is None:
            raise WrongState("no epoch is open: open one first", reason="NO_EPOCH")
        return open_epoch
