"""What the release room meets in its tests: small, named stand-ins for the rooms around it."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path

import pytest

from heldout_policy.release_policy import ReleasePolicy, parse_release_policy
from heldout_server.domain import Epoch, Intent, Manifest, Member, Run, RunState, TrustClass, Verdict
from heldout_server.errors import NotFound, WrongState
from heldout_server.ports.audit import Logged, Record
from heldout_server.ports.outcomes import VerdictCount
from heldout_server.release import SqlReleaseDesk

DIGEST = "d" * 64
DEFAULT_POLICY = parse_release_policy(
    resources.files("heldout_policy").joinpath("defaults/release.toml").read_text(encoding="utf-8")
)


class Crash(BaseException):
    """Stand for the end of the process: nothing catches it."""


class Steps:
    """Crash once at a named step, before or after it takes effect."""

    def __init__(self) -> None:
        self.crash_at = ""

    def pass_by(self, step: str) -> None:
        if step == self.crash_at:
            self.crash_at = ""
            raise Crash(step)


class OneKey:
    """Give every database the same key."""

    def database_key(self, name: str) -> bytes:
        return name.encode().ljust(32, b"k")


class SetClock:
    """Tell the time that a test sets."""

    def __init__(self) -> None:
        self.now = 1_700_000_059.5

    def now_s(self) -> float:
        return self.now


class CountedIds:
    """Name things one after the other."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def new(self, prefix: str) -> str:
        return f"{prefix}-{next(self._numbers)}"


class RisingNoise:
    """Add another 10 units with every draw, so that a second draw shows; record what it was asked for."""

    def __init__(self) -> None:
        self.draws: list[tuple[list[int], float]] = []

    def add(self, values: list[int], *, sigma: float) -> list[int]:
        self.draws.append((values, sigma))
        return [value + 10_000_000 * len(self.draws) for value in values]


class FixedMemberships:
    """Know the members of every epoch."""

    def __init__(self) -> None:
        self.by_epoch: dict[str, tuple[Member, ...]] = {}

    async def members(self, epoch_id: str) -> tuple[Member, ...]:
        if epoch_id not in self.by_epoch:
            raise NotFound("no such epoch")
        return self.by_epoch[epoch_id]

    async def epochs(self) -> tuple[Epoch, ...]:
        return tuple(
            Epoch(epoch_id=epoch_id, number=number, commitment="c" * 64, prompts=len(members), units=len(members))
            for number, (epoch_id, members) in enumerate(self.by_epoch.items(), start=1)
        )


class KnownOutcomes:
    """Keep runs and counted verdicts as a durable room would."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self.runs: dict[str, Run] = {}
        self.verdicts: dict[str, tuple[VerdictCount, ...]] = {}

    def complete(self, run_id: str) -> None:
        self.runs[run_id] = dataclasses.replace(self.runs[run_id], state=RunState.COMPLETE)

    async def get(self, run_id: str) -> Run:
        if run_id not in self.runs:
            raise NotFound("no such run")
        return self.runs[run_id]

    async def move(self, run_id: str, *, expected: RunState, state: RunState) -> Run:
        self._steps.pass_by("before move")
        run = self.runs[run_id]
        if run.state is not expected:
            raise WrongState(f"{run_id} is {run.state}")
        self.runs[run_id] = dataclasses.replace(run, state=state)
        self._steps.pass_by("after move")
        return self.runs[run_id]

    async def counts(self, run_id: str) -> tuple[VerdictCount, ...]:
        self._steps.pass_by("before counts")
        return self.verdicts.get(run_id, ())


def proof_of(index: int) -> str:
    """Return as much of a proof as anybody here reads."""
    return f"c2sp.org/tlog-proof@v1\nindex {index}\n"


class KeptLog:
    """Keep records as a durable log would."""

    origin = "test/vault"

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self.records: list[Record] = []
        self.cosigned_size = 0

    async def append(self, record: Record) -> Logged:
        self._steps.pass_by("before append")
        self.records.append(record)
        self._steps.pass_by("after append")
        index = len(self.records) - 1
        return Logged(index=index, entry=b"leaf %d" % index, prove=lambda: proof_of(index))

    async def cosigned_proof(self, index: int) -> str | None:
        return f"proof {index}, cosigned" if index < self.cosigned_size else None

    async def entries(self, *, start: int, limit: int) -> tuple[bytes, ...]:
        page = self.records[start : start + limit]
        return tuple(json.dumps({"name": one.name, "details": dict(one.details)}).encode() for one in page)

    async def prove(self, index: int) -> str:
        return proof_of(index)


class KeptPublications:
    """Keep what is published as the window's database would."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self.releases: dict[str, tuple[bytes, bytes]] = {}
        self.states: dict[str, bytes] = {}

    async def insert(self, release_id: str, document: bytes, receipt: bytes) -> None:
        self._steps.pass_by("before insert")
        assert self.releases.setdefault(release_id, (document, receipt)) == (document, receipt)
        self._steps.pass_by("after insert")

    async def put_state(self, name: str, document: bytes) -> None:
        self._steps.pass_by("before state")
        self.states[name] = document
        self._steps.pass_by("after state")


def make_members(*, harmful: int = 60, benign: int = 40, categories: int = 2) -> tuple[Member, ...]:
    """Return members that are each a unit of their own, harmful ones first."""
    return tuple(
        Member(
            position=position,
            handle=f"handle-{position}",
            unit=f"unit-{position}",
            intent=Intent.HARMFUL if position < harmful else Intent.BENIGN,
            category=f"category-{position % categories}",
        )
        for position in range(harmful + benign)
    )


class House:
    """Hold a desk with the rooms around it, all of which outlive the desk's crashes."""

    crash = Crash
    policy = DEFAULT_POLICY
    make_members = staticmethod(make_members)

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.steps = Steps()
        self.clock = SetClock()
        self.ids = CountedIds()
        self.noise = RisingNoise()
        self.memberships = FixedMemberships()
        self.memberships.by_epoch["epoch-1"] = make_members()
        self.outcomes = KnownOutcomes(self.steps)
        self.audit = KeptLog(self.steps)
        self.publisher = KeptPublications(self.steps)
        self.desks: list[SqlReleaseDesk] = []

    def open(self, policy: ReleasePolicy = DEFAULT_POLICY, *, policy_digest: str = DIGEST) -> SqlReleaseDesk:
        desk = SqlReleaseDesk.open(
            self.folder / "releases.db",
            keys=OneKey(),
            clock=self.clock,
            ids=self.ids,
            noise=self.noise,
            policy=policy,
            policy_digest=policy_digest,
            memberships=self.memberships,
            outcomes=self.outcomes,
            audit=self.audit,
            publisher=self.publisher,
        )
        self.desks.append(desk)
        return desk

    def reopen(self, policy: ReleasePolicy = DEFAULT_POLICY, *, policy_digest: str = DIGEST) -> SqlReleaseDesk:
        self.desks[-1].close()
        return self.open(policy, policy_digest=policy_digest)

    def propose(self, run_id: str, **changes) -> Run:
        manifest = Manifest(
            checkpoint="step-1000",
            checkpoint_digest="a" * 64,
            line="main",
            epoch_id="epoch-1",
            epoch_commitment="c" * 64,
            techniques=("plain", "base64", "fiction"),
            stacks=(("base64", "fiction"), ("fiction", "persona")),
            judge="patterns",
            judge_digest="b" * 64,
            policy_digest=DIGEST,
            runtime="scripted",
            trust=TrustClass.CONTAINED,
        )
        run = Run(
            run_id=run_id,
            manifest=dataclasses.replace(manifest, **changes),
            digest="e" * 64,
            state=RunState.PROPOSED,
            release_number=0,
            approvals=(),
            created_s=0,
            started_s=0,
            planned_trials=0,
        )
        self.outcomes.runs[run_id] = run
        return run

    def answer(self, run_id: str, verdict: Callable[[Member, int], Verdict]) -> None:
        """Give every planned trial of a run a verdict, by member and cell."""
        run = self.outcomes.runs[run_id]
        cells = len(run.manifest.techniques) + len(run.manifest.stacks)
        plain = run.manifest.techniques.index("plain")
        self.outcomes.verdicts[run_id] = tuple(
            VerdictCount(member.position, cell, verdict(member, cell), run.manifest.attempts)
            for member in self.memberships.by_epoch[run.manifest.epoch_id]
            for cell in (range(cells) if member.intent is Intent.HARMFUL else [plain])
        )

    def stored(self, question: str) -> list[tuple]:
        """Read the room's database past the desk."""
        return self.desks[-1]._database._database.write_now(lambda connection: connection.execute(question).fetchall())

    def ledger(self) -> dict[tuple[str, str], int]:
        return {
            (unit, side): spent for unit, side, spent in self.stored("SELECT unit, side, spent_nano_rho FROM ledger")
        }


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    for desk in made.desks:
        desk.close()
