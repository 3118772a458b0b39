"""What is released withstands the two best attacks we know, and the attacks are real: ``release.md`` section 7.

Everything goes the way of the desk: counted verdicts through ``aggregate``, a draft from ``plan_tables``, the noise of
OpenDP through ``finish_release``, and the figures out of the published document. The attackers know the policy, the
widths, every prompt's place in the plan, and choose what the checkpoint does.
"""

from __future__ import annotations

import dataclasses
import math
import random
from decimal import Decimal
from importlib import resources
from itertools import compress
from operator import mul
from statistics import NormalDist, mean

import pytest

from heldout_policy.mechanism import MICRO, Side, TableKind, plan_tables, side_debit, state_claims
from heldout_policy.release_policy import parse_release_policy
from heldout_proto.v1 import findings_pb2
from heldout_server.domain import Intent, Manifest, Member, Run, RunState, TrustClass, Verdict
from heldout_server.ports.outcomes import VerdictCount
from heldout_server.release import OpenDpNoise
from heldout_server.release.aggregation import aggregate
from heldout_server.release.document import draft_release, finish_release

pytestmark = pytest.mark.slow

UNITS = 300
TECHNIQUES = ("plain", *(f"technique-{n}" for n in range(1, 12)))
STACKS = tuple(("technique-1", f"stacked-{n}") for n in range(30))
CELLS = len(TECHNIQUES) + len(STACKS)
RELEASES = 25
SUBMISSIONS = 2_000
NOW_S = 1_700_000_000

GAMES = 1_500
SEEDS = 20
COMPARED_SEEDS = 2
BIT_VARIANCE = 0.25
ROUNDED_TO = 5
FIXED_SIGMA = 8.2
STEPS = 80  # of the solver, far past where it stands still

PROBED = (TableKind.TECHNIQUE, TableKind.STACK)
KINDS = {
    findings_pb2.TABLE_KIND_TECHNIQUE: TableKind.TECHNIQUE,
    findings_pb2.TABLE_KIND_STACK: TableKind.STACK,
    findings_pb2.TABLE_KIND_CATEGORY: TableKind.CATEGORY,
    findings_pb2.TABLE_KIND_NON_ANSWERS: TableKind.NON_ANSWERS,
    findings_pb2.TABLE_KIND_OVER_REFUSAL: TableKind.OVER_REFUSAL,
}

DEFAULT = parse_release_policy(
    resources.files("heldout_policy").joinpath("defaults", "release.toml").read_text(encoding="utf-8")
)


def spending_policy():
    """Return the default policy with the reserve given to the technique table: the claim at its very edge."""
    shares = DEFAULT.harmful
    spent = dataclasses.replace(shares, technique=shares.technique + shares.reserve, reserve=Decimal(0))
    return dataclasses.replace(DEFAULT, harmful=spent)


def make_members(units):
    return tuple(
        Member(
            position=position,
            handle=f"prompt-{position}",
            unit=f"unit-{position}",
            intent=Intent.HARMFUL,
            category=f"category-{position % 8}",
        )
        for position in range(units)
    )


class Desk:
    """Release as the desk does, without the databases, which hold what this computes."""

    def __init__(self, policy, members):
        self.policy = policy
        self.members = members
        self.noise = OpenDpNoise()
        self.manifest = Manifest(
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
            manifest=self.manifest,
            digest="e" * 64,
            state=RunState.COMPLETE,
            release_number=1,
            approvals=(),
            created_s=0,
            started_s=0,
            planned_trials=0,
        )
        self.tables = [
            plan_tables(policy, release_number=number, techniques=TECHNIQUES, stacks=STACKS, members=members)
            for number in range(1, RELEASES + 1)
        ]
        self.drafts = [
            draft_release(run, release_id="r", number=n, epoch_number=1, policy=policy, tables=tables)
            for n, tables in enumerate(self.tables, start=1)
        ]

    @property
    def spent_nano_rho(self):
        return sum(side_debit(tables, Side.HARMFUL) for tables in self.tables)

    def sums(self, verdict, *, cells=CELLS):
        """Aggregate the outcomes of a checkpoint that answers by unit and cell."""
        counts = (
            VerdictCount(member.position, cell, verdict(member.position, cell), 1)
            for member in self.members
            for cell in range(cells)
        )
        return aggregate(counts, members=self.members, manifest=self.manifest)

    def release(self, number, sums):
        """Yield what is published: of each table its kind, its sigma and its figures, in units."""
        document = finish_release(self.drafts[number - 1], sums=sums, noise=self.noise, now_s=NOW_S)
        for table in findings_pb2.Release.FromString(document).tables:
            figures = [row.count * table.grid_micro / MICRO for row in table.rows]
            yield KINDS[table.kind], table.sigma_micro / MICRO, figures


def test_one_question_about_one_unit_is_answered_no_better_than_claimed():
    """The game: all else is known, every cell asks about one unit's bit, and the whole budget is spent on it."""
    policy = spending_policy()
    desk = Desk(policy, make_members(UNITS))
    assert desk.spent_nano_rho == pytest.approx(policy.budget_nano_rho, rel=1e-6)

    def answer(bit, position):
        """With the bit the unit succeeds everywhere, without it it answers nowhere: each row moves by a whole unit."""
        if position:
            return Verdict.REFUSED
        return Verdict.UNSAFE if bit else Verdict.NON_ANSWER

    sums = {bit: desk.sums(lambda position, _, bit=bit: answer(bit, position)) for bit in (False, True)}
    moved = {kind: [b - a for a, b in zip(sums[False][kind], sums[True][kind], strict=True)] for kind in KINDS.values()}
    assert sorted(one for moves in moved.values() for one in moves if one) == [-MICRO] + [MICRO] * (CELLS + 1)

    draw = random.Random(7)  # noqa: S311 - the same games every time, not cryptography
    right = sum(play(desk, sums, bit=draw.random() < 0.5) for _ in range(GAMES))

    claimed = state_claims(policy.budget_nano_rho).one_question_accuracy
    wobble = 3.5 * math.sqrt(claimed * (1 - claimed) / GAMES)
    assert claimed == pytest.approx(0.952, abs=0.001)
    # Neither better than claimed, nor so much worse that the attack would show nothing.
    assert right / GAMES == pytest.approx(claimed, abs=wobble)
    # A sigma 1.25 times too small would be found.
    normal = NormalDist()
    assert normal.cdf(1.25 * normal.inv_cdf(claimed)) > claimed + wobble


def play(desk, sums, *, bit):
    """Play one game and say whether the matched filter guessed the bit."""
    score = 0.0
    for number in range(1, RELEASES + 1):
        for kind, sigma, figures in desk.release(number, sums[bit]):
            for low, high, figure in zip(sums[False][kind], sums[True][kind], figures, strict=True):
                score += (high - low) * (figure - (high + low) / 2 / MICRO) / sigma**2
    return (score > 0) == bit


def test_the_bits_of_all_units_are_not_reconstructed():
    """Each row of each release counts a random half of the units: 450 equations for 300 bits, and noise on each."""
    desk = Desk(DEFAULT, make_members(UNITS))
    draws = [random.Random(seed) for seed in range(SEEDS)]  # noqa: S311 - the same secrets every time
    accuracies = [reconstruct_released(desk, draw) for draw in draws]
    assert 0.70 <= mean(accuracies) <= 0.76


@pytest.mark.parametrize(
    ("rows", "publish", "variance"),
    [
        pytest.param(SUBMISSIONS, lambda count, _: count, 1e-6, id="exact counts"),
        pytest.param(
            SUBMISSIONS, lambda count, _: ROUNDED_TO * round(count / ROUNDED_TO), ROUNDED_TO**2 / 12, id="rounded to 5"
        ),
        pytest.param(
            SUBMISSIONS * len(TECHNIQUES),
            lambda count, draw: count + draw.gauss(0, FIXED_SIGMA),
            FIXED_SIGMA**2,
            id="the same noise on all submissions, without a budget",
        ),
    ],
)
def test_the_same_attack_reads_the_bank_where_there_is_no_budget(rows, publish, variance):
    accuracies = []
    for seed in range(COMPARED_SEEDS):
        draw = random.Random(seed)  # noqa: S311 - the same secrets every time, not cryptography
        bits, probes = draw_secret(draw, rows)
        figures = [publish(count, draw) for count in true_counts(bits, probes, rows)]
        accuracies.append(accuracy(bits, solve(probes, figures, variance=variance)))
    assert mean(accuracies) >= 0.99


def reconstruct_released(desk, draw):
    """Release 25 checkpoints built to tell the bits, and return how many bits the attacker gets right."""
    rows = sum(len(table.rows) for tables in desk.tables for table in tables if table.kind in PROBED)
    bits, probes = draw_secret(draw, rows)
    figures, sigmas = [], set()
    for number in range(1, RELEASES + 1):
        start = len(figures)
        cells = sum(len(table.rows) for table in desk.tables[number - 1] if table.kind in PROBED)

        def answer(position, cell, start=start):
            return Verdict.UNSAFE if bits[position] and probes[position] >> (start + cell) & 1 else Verdict.REFUSED

        for kind, sigma, published in desk.release(number, desk.sums(answer, cells=cells)):
            if kind in PROBED:
                figures += published
                sigmas.add(round(sigma, 3))
    (sigma,) = sigmas  # the default policy gives techniques and stacks the same
    return accuracy(bits, solve(probes, figures, variance=sigma**2))


def draw_secret(draw, rows):
    """Return a fair bit for each unit, and for each unit the rows that count it, as the bits of a number."""
    return [draw.random() < 0.5 for _ in range(UNITS)], [draw.getrandbits(rows) for _ in range(UNITS)]


def spread(probe, rows):
    """Return the bits of a number, the lowest first."""
    return [one == "1" for one in reversed(f"{probe:0{rows}b}")]


def true_counts(bits, probes, rows):
    counts = [0] * rows
    for probe in compress(probes, bits):
        counts = [count + one for count, one in zip(counts, spread(probe, rows), strict=True)]
    return counts


def solve(probes, figures, *, variance):
    """Return the likeliest deviation of each bit from one half: least squares, regularised by the bits' own variance.

    Conjugate gradients on (AᵀA + variance / 0.25) x = Aᵀ(y - A/2).
    """
    rows = len(figures)
    columns = [spread(probe, rows) for probe in probes]
    halves = [count / 2 for count in true_counts([True] * UNITS, probes, rows)]
    rest = [figure - half for figure, half in zip(figures, halves, strict=True)]
    target = [sum(compress(rest, column)) for column in columns]
    matrix = [[float((one & other).bit_count()) for other in probes] for one in probes]
    for place, row in enumerate(matrix):
        row[place] += variance / BIT_VARIANCE

    found = [0.0] * UNITS
    residual, direction = list(target), list(target)
    length = sum(map(mul, residual, residual))
    for _ in range(STEPS):
        image = [sum(map(mul, row, direction)) for row in matrix]
        step = length / sum(map(mul, direction, image))
        found = [one + step * move for one, move in zip(found, direction, strict=True)]
        residual = [one - step * move for one, move in zip(residual, image, strict=True)]
        before, length = length, sum(map(mul, residual, residual))
        if length < 1e-12:
            break
        direction = [one + length / before * move for one, move in zip(residual, direction, strict=True)]
    return found


def accuracy(bits, found):
    return mean((one > 0) == bit for one, bit in zip(found, bits, strict=True))
