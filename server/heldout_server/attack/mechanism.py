"""The desk without its databases: what is published of outcomes that an attacker chose, by the code of the desk.

Counted verdicts go through ``aggregate``, a draft through ``plan_tables``, the noise through ``finish_release``, and
the figures come out of the published document. The attacker knows the policy, the widths, every prompt's place in the
plan, and chooses what the checkpoint does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from importlib import resources
from typing import Final

from heldout_policy.mechanism import MICRO, Side, TableKind, TablePlan, plan_tables, side_debit
from heldout_policy.release_policy import ReleasePolicy, parse_release_policy
from heldout_proto.v1 import findings_pb2
from heldout_server.domain import Intent, Manifest, Member, Run, RunState, TrustClass, Verdict
from heldout_server.ports.environment import Noise
from heldout_server.ports.outcomes import VerdictCount
from heldout_server.release.aggregation import aggregate
from heldout_server.release.document import draft_release, finish_release

UNITS: Final = 300
TECHNIQUES: Final = ("plain", *(f"technique-{n}" for n in range(1, 12)))
STACKS: Final = tuple(("technique-1", f"stacked-{n}") for n in range(30))
CELLS: Final = len(TECHNIQUES) + len(STACKS)
CATEGORIES: Final = 8
NOW_S: Final = 1_700_000_000
POOL: Final = 20_000

KINDS: Final = {
    findings_pb2.TABLE_KIND_TECHNIQUE: TableKind.TECHNIQUE,
    findings_pb2.TABLE_KIND_STACK: TableKind.STACK,
    findings_pb2.TABLE_KIND_FIRST_BREACH: TableKind.FIRST_BREACH,
    findings_pb2.TABLE_KIND_CATEGORY: TableKind.CATEGORY,
    findings_pb2.TABLE_KIND_NON_ANSWERS: TableKind.NON_ANSWERS,
    findings_pb2.TABLE_KIND_OVER_REFUSAL: TableKind.OVER_REFUSAL,
}


def default_policy() -> ReleasePolicy:
    """Return the release policy that is shipped."""
    document = resources.files("heldout_policy").joinpath("defaults", "release.toml")
    return parse_release_policy(document.read_text(encoding="utf-8"))


def spent_policy() -> ReleasePolicy:
    """Return the shipped policy with its reserve given to the technique table: the claim at its very edge."""
    policy = default_policy()
    shares = policy.harmful
    whole = dataclasses.replace(shares, technique=shares.technique + shares.reserve, reserve=Decimal(0))
    return dataclasses.replace(policy, harmful=whole)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedTable:
    """Hold what is published of one table.

    Attributes:
        sigma: scale of the noise, in units.
        cells_per_unit: rows that one unit touches.
        debit_nano_rho: what each unit paid for it.
        grid: step of the figures, in units.
        figures: one a row, in units.
    """

    kind: TableKind
    sigma: float
    cells_per_unit: int
    debit_nano_rho: int
    grid: float
    figures: tuple[float, ...]


class PooledNoise:
    """Draw from a source of noise many values at once, and hand them out one by one: they are independent either way.

    A game needs very many small draws, and what a draw costs is mostly its beginning.
    """

    def __init__(self, source: Noise) -> None:
        """Draw nothing yet."""
        self._source = source
        self._pools: dict[float, list[int]] = {}

    def add(self, values: list[int], *, sigma: float) -> list[int]:
        """Return each value with noise that nobody else was given."""
        pool = self._pools.setdefault(sigma, [])
        if len(pool) < len(values):
            pool += self._source.add([0] * (POOL + len(values)), sigma=sigma)
        return [value + pool.pop() for value in values]


class BareDesk:
    """Release as the desk does, over a whole epoch of :data:`UNITS` harmful units."""

    def __init__(self, policy: ReleasePolicy, *, noise: Noise) -> None:
        """Plan every release of an epoch.

        Args:
            policy: whose budget and shares hold.
            noise: drawn from once a published table.
        """
        self.policy = policy
        self.releases = policy.releases_per_epoch
        self.members = tuple(
            Member(
                position=position,
                handle=f"prompt-{position}",
                unit=f"unit-{position}",
                intent=Intent.HARMFUL,
                category=f"category-{position % CATEGORIES}",
            )
            for position in range(UNITS)
        )
        self._noise = noise
        self._manifest = Manifest(
            checkpoint="nova-v1",
            checkpoint_digest="a" * 64,
            line="nova",
            epoch_id="epoch-1",
            epoch_commitment="c" * 64,
            techniques=TECHNIQUES,
            stacks=STACKS,
            judge="patterns",
            judge_digest="b" * 64,
            policy_digest="d" * 64,
            runtime="scripted",
            trust=TrustClass.CONTAINED,
        )
        run = Run(
            run_id="run-1",
            manifest=self._manifest,
            digest="e" * 64,
            state=RunState.COMPLETE,
            release_number=1,
            approvals=(),
            created_s=0,
            started_s=0,
            planned_trials=0,
        )
        self.tables: tuple[tuple[TablePlan, ...], ...] = tuple(
            plan_tables(policy, release_number=number, techniques=TECHNIQUES, stacks=STACKS, members=self.members)
            for number in range(1, self.releases + 1)
        )
        self._drafts = [
            draft_release(run, release_id="r", number=number, epoch_number=1, policy=policy, tables=tables)
            for number, tables in enumerate(self.tables, start=1)
        ]

    @property
    def spent_nano_rho(self) -> int:
        """Return what the ledger debits a unit over the epoch."""
        return sum(side_debit(tables, Side.HARMFUL) for tables in self.tables)

    def sums(self, verdict: Callable[[int, int], Verdict], *, cells: int = CELLS) -> Mapping[TableKind, Sequence[int]]:
        """Aggregate the outcomes of a checkpoint, given what it does by unit and cell."""
        counts = (
            VerdictCount(member.position, cell, verdict(member.position, cell), 1)
            for member in self.members
            for cell in range(cells)
        )
        return aggregate(counts, members=self.members, manifest=self._manifest)

    def release(self, number: int, sums: Mapping[TableKind, Sequence[int]]) -> Iterator[PublishedTable]:
        """Publish, and yield what an attacker reads in the document, table by table.

        Args:
            number: 1-based, of the release in its epoch.
            sums: what :meth:`sums` returned.
        """
        lists = {kind: list(values) for kind, values in sums.items()}
        document = finish_release(self._drafts[number - 1], sums=lists, noise=self._noise, published_s=NOW_S)
        for table in findings_pb2.Release.FromString(document).tables:
            grid = table.grid_micro / MICRO
            yield PublishedTable(
                kind=KINDS[table.kind],
                sigma=table.sigma_micro / MICRO,
                cells_per_unit=table.cells_per_unit,
                debit_nano_rho=table.debit_nano_rho,
                grid=grid,
                figures=tuple(row.count * grid for row in table.rows),
            )
