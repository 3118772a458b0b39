"""Small fakes of the ports that a run passes through, and a bench that brings them together."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from dataclasses import fields, replace

from model_fakes import FakeModel, FakeRuntime

from heldout_server.domain import (
    Checkpoint,
    CheckpointState,
    Epoch,
    Intent,
    Manifest,
    Member,
    Message,
    Run,
    RunState,
    SecretText,
    TrustClass,
    Verdict,
)
from heldout_server.errors import (
    BudgetExhausted,
    IntegrityError,
    InvalidRequest,
    NotDeliverable,
    NotFound,
    StorageError,
    WrongState,
)
from heldout_server.evaluation import Evaluation, Terms
from heldout_server.ports.audit import Logged
from heldout_server.ports.bank import BankStats
from heldout_server.ports.evaluation import PlanRequest
from heldout_server.ports.outcomes import VerdictCount
from heldout_server.ports.techniques import Delivery

TERMS = {one.name for one in fields(Terms)}
POLICY = "b" * 64
JUDGE = "c" * 64
ROLES = {"spiffe://x/bank": "bank_tester", "spiffe://x/bank-2": "bank_tester", "spiffe://x/run": "run_tester"}


def member(position, intent=Intent.HARMFUL, *, unit="", category="mischief"):
    return Member(
        position=position, handle=f"p-{position}", unit=unit or f"u-{position}", intent=intent, category=category
    )


def members_of(harmful, benign=0):
    return tuple(
        member(position, Intent.HARMFUL if position < harmful else Intent.BENIGN)
        for position in range(harmful + benign)
    )


def manifest_of(techniques=("plain", "base64"), stacks=(), attempts=1, **changes):
    return Manifest(
        **{
            "checkpoint": "nova-v1",
            "checkpoint_digest": "d" * 64,
            "line": "nova",
            "epoch_id": "epoch-1",
            "epoch_commitment": "e" * 64,
            "techniques": techniques,
            "stacks": stacks,
            "judge": "patterns",
            "judge_digest": JUDGE,
            "policy_digest": POLICY,
            "runtime": "scripted",
            "trust": TrustClass.CONTAINED,
            "attempts": attempts,
        }
        | changes
    )


class FakeBank:
    def __init__(self, members):
        self.frozen = tuple(members)
        self.epoch = Epoch(epoch_id="epoch-1", number=1, commitment="e" * 64, prompts=len(members), units=len(members))
        self.chunks = []
        self.burnt = []
        self.failing = False

    async def stats(self):
        return BankStats(live=0, retired=0, waiting=0, counts=(), epoch=self.epoch)

    async def epochs(self):
        return () if self.epoch is None else (self.epoch,)

    async def members(self, epoch_id):
        return self.frozen

    async def burn(self, epoch_id):
        self.burnt.append(epoch_id)
        return len(self.frozen)

    async def texts(self, epoch_id, *, start, stop):
        await asyncio.sleep(0)
        if self.failing:
            raise StorageError("the bank is gone")
        self.chunks.append((start, stop))
        return tuple(SecretText(f"prompt {position}") for position in range(start, stop))


class FakeCheckpoints:
    def __init__(self):
        self.checkpoint = Checkpoint(
            name="nova-v1",
            line="nova",
            sequence=1,
            runtime="scripted",
            digest="d" * 64,
            state=CheckpointState.STAGED,
            reason="",
            path="staged",
            noticed_s=0,
        )
        self.verified = 0
        self.tampered = False

    async def get(self, name):
        if name != self.checkpoint.name:
            raise NotFound("no such checkpoint")
        return self.checkpoint

    async def verify(self, checkpoint):
        self.verified += 1
        if self.tampered:
            raise IntegrityError("staged files changed")


class FakeTechniques:
    """Prefix the prompt with the stack; ``unable`` techniques cannot carry anything."""

    def __init__(self):
        self.unable = set()
        self.system = ""
        self.broken = set()
        self.seeds = {}
        self.version = "1"

    def digest(self, techniques):
        return hashlib.sha256(f"{self.version} {sorted(techniques)}".encode()).hexdigest()

    def check_stack(self, stack):
        if not set(stack) <= {"base64", "persona", "fiction"}:
            raise InvalidRequest("unknown technique")

    def deliver(self, stack, prompt, *, seed):
        if self.unable & set(stack):
            raise NotDeliverable("cannot carry it")
        if self.broken & set(stack):
            raise ZeroDivisionError
        text = f"{'+'.join(stack) or 'plain'}|{prompt.reveal()}"
        self.seeds[text] = seed
        spoken = (Message("system", SecretText(self.system)),) if self.system else ()
        return Delivery(
            (*spoken, Message("user", SecretText(text))), tuple(t for t in reversed(stack) if t == "base64")
        )

    def decode(self, decoders, response):
        return f"decoded {response}" if decoders else response


class FakeJudge:
    """Call an answer unsafe if the hash of its prompt and text says so, and remember each case."""

    judge_id = "patterns"
    digest = JUDGE

    def __init__(self):
        self.cases = []
        self.broken = False

    def judge(self, case):
        if self.broken:
            raise ZeroDivisionError
        self.cases.append(case)
        odd = hashlib.sha256(case.response.reveal().encode()).digest()[0] % 2
        if case.intent is Intent.BENIGN:
            return Verdict.OVER_REFUSED if odd else Verdict.COMPLIED
        return Verdict.UNSAFE if odd else Verdict.REFUSED


class FakeOutcomes:
    def __init__(self, desk_log):
        self.runs = {}
        self.rows = {}
        self.batches = []
        self.fail_after = None
        self.preflights = {}
        self.standing_approvals = []
        self.log = desk_log

    async def create(self, manifest, *, planned_trials, submitted=False):
        number = len(self.runs) + 1
        run = Run(
            run_id=f"run-{number}",
            manifest=manifest,
            digest=hashlib.sha256(repr(manifest).encode()).hexdigest(),
            state=RunState.PROPOSED,
            release_number=0,
            approvals=(),
            created_s=number,
            started_s=0,
            planned_trials=planned_trials,
            submitted=submitted,
            template=repr(replace(manifest, checkpoint="", checkpoint_digest="")),
        )
        self.runs[run.run_id] = run
        self.rows[run.run_id] = {}
        return run

    async def get(self, run_id):
        if run_id not in self.runs:
            raise NotFound("no such run")
        return self.runs[run_id]

    async def list(self, *, after, limit, state=None):
        chosen = [run for run in self.runs.values() if state in {None, run.state} and run.run_id > after]
        return tuple(chosen[:limit])

    async def put_standing(self, approval):
        self.standing_approvals.append(approval)

    async def standing(self):
        return tuple(self.standing_approvals)

    async def drop_standing(self, template):
        self.standing_approvals = [one for one in self.standing_approvals if one.template != template]

    async def approve(self, run_id, *, identity, digest, template=""):
        run = self.runs[run_id]
        if digest != run.digest:
            raise WrongState("another digest")
        return self._put(replace(run, approvals=(*run.approvals, identity)))

    async def start(self, run_id, *, release_number, publishes_s=0):
        run = self.runs[run_id]
        started = sum(run.started_s > 0 for run in self.runs.values()) + 1
        run = replace(run, state=RunState.RUNNING, release_number=release_number, started_s=started)
        return self._put(replace(run, publishes_s=publishes_s))

    async def latest_slot(self):
        return max((run.publishes_s for run in self.runs.values()), default=0)

    async def move(self, run_id, *, expected, state):
        run = self.runs[run_id]
        if run.state is not expected:
            raise WrongState("another state")
        self.log.append(f"{run_id} {state.value}")
        return self._put(replace(run, state=state))

    async def cancel(self, run_id):
        run = self.runs[run_id]
        if run.state is not RunState.RUNNING:
            raise WrongState("another state")
        self.log.append(f"{run_id} marked cancelled")
        return self._put(replace(run, cancelled=True))

    async def record(self, run_id, trials):
        await asyncio.sleep(0)
        if self.fail_after is not None and len(self.rows[run_id]) + len(trials) > self.fail_after:
            raise StorageError("the disk is full")
        self.batches.append(len(trials))
        for trial in trials:
            self.rows[run_id].setdefault(trial.outcome.trial, trial)

    async def note_preflight(self, run_id, report):
        self.preflights[run_id] = report

    async def finished(self, run_id):
        return frozenset(self.rows[run_id])

    async def counts(self, run_id):
        counted = Counter(
            (row.outcome.position, row.outcome.cell, row.outcome.verdict) for row in self.rows[run_id].values()
        )
        return tuple(VerdictCount(*key, trials) for key, trials in sorted(counted.items()))

    def _put(self, run):
        self.runs[run.run_id] = run
        return run

    def verdicts(self, run_id="run-1"):
        return {number: row.outcome.verdict for number, row in sorted(self.rows[run_id].items())}


class FakeDesk:
    def __init__(self, log):
        self.log = log
        self.left = 10
        self.numbers = {}
        self.outcomes = None
        self.carried_on = 0

    async def reserve(self, run):
        if run.run_id not in self.numbers:
            if not self.left:
                raise BudgetExhausted("nothing left")
            self.left -= 1
            self.numbers[run.run_id] = len(self.numbers) + 1
            self.log.append(f"{run.run_id} reserved")
        return self.numbers[run.run_id]

    async def has_slot(self, run_id):
        return run_id in self.numbers

    async def publish(self, run_id):
        await self.outcomes.move(run_id, expected=RunState.COMPLETE, state=RunState.PUBLISHED)

    async def carry_on(self):
        self.carried_on += 1


class FakeAudit:
    origin = "test/vault"

    def __init__(self, log):
        self.log = log
        self.records = []
        self.failing = False

    async def append(self, record):
        if self.failing:
            raise StorageError("the log cannot be written")
        self.records.append(record)
        about = record.details.get("run_id") or record.details.get("checkpoint") or record.details["template"]
        self.log.append(f"{about} logged {record.details.get('state', record.name)}")
        return Logged(len(self.records) - 1, b"", str)


class FakeClock:
    def __init__(self):
        self.time_s = 0.0

    def now_s(self):
        return self.time_s

    def monotonic_s(self):
        self.time_s += 0.5
        return self.time_s


class Bench:
    """Bring the fakes together; ``evaluation()`` gives a fresh process over the same databases."""

    def __init__(self, members=None, **options):
        self.log = []
        self.bank = FakeBank(members or members_of(6, 3))
        self.checkpoints = FakeCheckpoints()
        self.techniques = FakeTechniques()
        self.judge = FakeJudge()
        self.model = FakeModel()
        self.runtime = FakeRuntime(self.model)
        self.outcomes = FakeOutcomes(self.log)
        self.desk = FakeDesk(self.log)
        self.desk.outcomes = self.outcomes
        self.audit = FakeAudit(self.log)
        self.clock = FakeClock()
        self.cards = {"base64": "f" * 64}
        self.options = {"policy_digest": POLICY, "approving_roles": (), "in_flight": 4, "deadline_s": 5.0} | options

    async def published_cards(self):
        return dict(self.cards)

    def evaluation(self, **options):
        options = self.options | options

        async def pause(_seconds):
            await asyncio.sleep(0)

        return Evaluation(
            bank=self.bank,
            checkpoints=self.checkpoints,
            runtimes={"scripted": self.runtime},
            techniques=self.techniques,
            judge=self.judge,
            outcomes=self.outcomes,
            desk=self.desk,
            audit=self.audit,
            clock=self.clock,
            role_of=ROLES.get,
            cards=self.published_cards,
            pause=pause,
            terms=Terms(**{name: options.pop(name) for name in TERMS & options.keys()}),
            **options,
        )

    @staticmethod
    def request(techniques=("plain", "base64"), stacks=(("base64", "persona"),), attempts=1, **changes):
        return PlanRequest(
            **{"checkpoint": "nova-v1", "techniques": techniques, "stacks": stacks, "attempts": attempts} | changes
        )

    async def start(self, evaluation, **changes):
        run = await evaluation.propose(self.request(**changes))
        return await evaluation.start(run.run_id)


async def settle(evaluation, run_id="run-1"):
    """Watch a run to its end and return the last progress."""
    return [progress async for progress in evaluation.watch(run_id)][-1]
