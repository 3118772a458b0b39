"""Take one run from its start to its publication. Read this first.

The steps, in the order in which they happen:

(1) Load the membership of the run's epoch.
(2) Enumerate the plan: which trials there are follows from the manifest and the membership alone.
(3) Skip what has a verdict from an earlier process.
(4) Check that what would be tested is what the manifest says: judge, checkpoint, engine, system prompt; digest the
    staged files again and serve them. If the runtime is exposed, record every prompt of the epoch as burnt first.
(5) Try each trial: compose what is sent (a technique that cannot carry the prompt: ``not_delivered``), ask the model
    within the trial's own deadline (no answer: ``error``), undo the encodings of the answer.
(6) Judge the answers in batches, seal and store them with their verdicts; only then do they count as finished.
(7) Score what is left by the fixed rule: ``error``. There is something left if the runtime could not be kept up.
(8) Log that the run is complete, and move it there. From here on no verdict changes.
(9) Hand it to the release desk. A started run always publishes.

A run that was cancelled goes from wherever it is to step (8), where the log says ``cancelled``: nothing more is tried,
and nothing is scored. Its release holds no figures. If what was tried were published with the rest by the fixed rule,
whoever cancels would choose, by the moment, which units' verdicts are real, and a checkpoint that is slow on one unit's
text would choose with them.

Killed anywhere, a run is taken up again from step (1) and sends the same: seeds follow from the epoch's commitment and
the place of the trial. If storage fails or the tested system is not what the manifest says, the error leaves here and
the run stays running; it is taken up again at the next start, or cancelled.

Memory is flat: one byte a trial and one word a prompt, prompts themselves in chunks, as many trials as are in flight.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from heldout_server.domain import Member, Run, RunState, SystemPrompt, TrustClass, Verdict
from heldout_server.errors import ConfigError, IntegrityError
from heldout_server.evaluation.assignments import Assignments
from heldout_server.evaluation.attack import Attack
from heldout_server.evaluation.batching import BATCH_TRIALS, BatchWriter
from heldout_server.evaluation.events import burn_event, run_event
from heldout_server.evaluation.plan import Plan
from heldout_server.evaluation.tally import Tally
from heldout_server.evaluation.trying import TrialBench, Tried, conclude
from heldout_server.ports.audit import AuditLog
from heldout_server.ports.bank import Bank
from heldout_server.ports.checkpoints import Checkpoints
from heldout_server.ports.environment import Clock
from heldout_server.ports.judges import Judge, Judging
from heldout_server.ports.outcomes import JudgedTrial, Outcomes
from heldout_server.ports.release import ReleaseDesk
from heldout_server.ports.runtimes import Runtime
from heldout_server.ports.techniques import Techniques


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """Hold the rooms that a run passes through.

    Attributes:
        judge: what the manifest names.
        judging: gives its verdicts.
        in_flight: trials tried at the same time, at least 1.
        system: what is said before every prompt.
        moving: held by whoever looks at a run's state and then acts on it: start, cancel, and the end of a run.
    """

    bank: Bank
    checkpoints: Checkpoints
    runtimes: Mapping[str, Runtime]
    techniques: Techniques
    judge: Judge
    judging: Judging
    outcomes: Outcomes
    desk: ReleaseDesk
    audit: AuditLog
    clock: Clock
    in_flight: int
    system: SystemPrompt
    moving: asyncio.Lock

    async def execute(self, run: Run, tally: Tally, stop: asyncio.Event) -> None:
        """Run the steps of this module's docstring.

        Args:
            run: a run that is running.
            tally: counts what is finished, for whoever watches.
            stop: set once the run is marked as cancelled.

        Raises:
            StorageError, IntegrityError, ConfigError, RunError: the run stays running.
        """
        if not stop.is_set():
            await self._try_plan(run, tally, stop)
        # (8) complete, or cancelled
        async with self.moving:
            run = await self.outcomes.get(run.run_id)
            await self.audit.append(run_event(run, RunState.CANCELLED if run.cancelled else RunState.COMPLETE))
            await self.outcomes.move(run.run_id, expected=RunState.RUNNING, state=RunState.COMPLETE)
        # (9) published
        await self.publish(run.run_id)

    async def publish(self, run_id: str) -> None:
        """Hand a complete run to the release desk."""
        await self.desk.publish(run_id)

    async def _try_plan(self, run: Run, tally: Tally, stop: asyncio.Event) -> None:
        # (1) membership
        members = await self.bank.members(run.manifest.epoch_id)
        # (2) plan
        plan = Plan(run.manifest, members)
        # (3) what has a verdict
        tally.load(len(plan), await self.outcomes.finished(run.run_id), now_s=self.clock.monotonic_s())
        # (4) to (6) what has none
        if tally.finished < len(plan):
            await self._try_trials(run, plan, members, tally, stop)
        # (7) what still has none
        if tally.finished < len(plan) and not stop.is_set():
            await self._score_rest(run, plan, tally)

    async def _try_trials(
        self, run: Run, plan: Plan, members: Sequence[Member], tally: Tally, stop: asyncio.Event
    ) -> None:
        # (4) what would be tested; the attack digests the staged files at each start of the runtime
        manifest = run.manifest
        checkpoint = await self.checkpoints.get(manifest.checkpoint)
        runtime = self.runtimes.get(manifest.runtime)
        if runtime is None:
            raise ConfigError("no runtime of this appliance serves the run's engine", reason="NO_RUNTIME")
        tested = (
            (self.judge.digest, manifest.judge_digest),
            (checkpoint.digest, manifest.checkpoint_digest),
            (runtime.trust, manifest.trust),
            (runtime.version, manifest.engine_version),
            (runtime.dialect, manifest.dialect),
            (runtime.filters, manifest.filters),
            (self.system.digest, manifest.system_digest),
        )
        if any(found != approved for found, approved in tested):
            raise IntegrityError(f"{run.run_id}: this is not what was approved", reason="NOT_AS_APPROVED")
        if manifest.trust is TrustClass.EXPOSED:
            await self.audit.append(burn_event(run))
            await self.bank.burn(manifest.epoch_id)

        async with self.judging.open() as judge_all:
            bench = TrialBench(
                run_id=run.run_id,
                manifest=manifest,
                plan=plan,
                intents=tuple(member.intent for member in members),
                techniques=self.techniques,
                judge_all=judge_all,
                system=self.system,
            )

            async def store(tried: Sequence[Tried]) -> None:
                await self._store(run, await bench.judge(tried), tally)

            writer = BatchWriter(store)
            attack = Attack(
                runtime=runtime,
                checkpoint=checkpoint,
                verify=self.checkpoints.verify,
                bench=bench,
                assignments=Assignments(
                    bank=self.bank,
                    epoch_id=manifest.epoch_id,
                    plan=plan,
                    units=tuple(member.unit for member in members),
                    tally=tally,
                    in_flight=self.in_flight,
                ),
                writer=writer,
                in_flight=self.in_flight,
            )
            try:
                # (5) each trial, (6) verdicts in batches; a run that is stopped keeps those it has
                async with asyncio.TaskGroup() as group:
                    group.create_task(writer.run())
                    await _unless(stop, attack.run())
                    writer.close()
            except BaseExceptionGroup as failures:
                raise _first(failures) from None

    async def _score_rest(self, run: Run, plan: Plan, tally: Tally) -> None:
        rest = (
            conclude(Tried(trial, Verdict.ERROR), Verdict.ERROR)
            for trial in plan.trials()
            if not tally.has(trial.number)
        )
        while batch := tuple(islice(rest, BATCH_TRIALS)):
            await self._store(run, batch, tally)

    async def _store(self, run: Run, trials: Sequence[JudgedTrial], tally: Tally) -> None:
        await self.outcomes.record(run.run_id, trials)
        tally.mark(trial.outcome.trial for trial in trials)


async def _unless(stop: asyncio.Event, work: Coroutine[None, None, None]) -> None:
    """Run ``work`` to its end, or cancel it when ``stop`` is set; what it raises comes in a group."""
    async with asyncio.TaskGroup() as group:
        working = group.create_task(work)
        stopping = group.create_task(stop.wait())
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        working.cancel()
        stopping.cancel()


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first exception out of the groups that it comes in."""
    failure: BaseException = failures
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure
