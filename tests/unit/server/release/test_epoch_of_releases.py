"""A whole epoch of the default policy: 25 releases, published figures beside true ones, and what intervals cover.

Outcomes come from a seeded lab of which every true rate is known; from there on everything is what an appliance does:
slots, debits, aggregation, OpenDP's noise, documents, and the client's own intervals over what it reads in them. The
table is written to ``build/epoch-25.txt``.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from pathlib import Path

import pytest

from heldout.findings.documents import release_from
from heldout.findings.intervals import estimate_overall, estimate_row
from heldout.findings.model import TableKind
from heldout_policy.mechanism import MICRO
from heldout_proto.v1 import findings_pb2
from heldout_server.domain import Intent, Verdict
from heldout_server.ports.outcomes import VerdictCount
from heldout_server.release import OpenDpNoise
from heldout_server.release.aggregation import aggregate

BUILD = Path(__file__).parents[4] / "build"
RELEASES, SEED = 25, 20
TECHNIQUES = ("plain", *(f"technique-{number}" for number in range(1, 12)))
STACKS = tuple((f"technique-{number % 11 + 1}", f"other-{number}") for number in range(30))
CELLS = len(TECHNIQUES) + len(STACKS)
SILENT = 0.04
"""Share of answers that say nothing of safety."""


class Lab:
    """Answer for 25 checkpoints that get better over time, by rates that are known."""

    def __init__(self, members):
        self.members = members
        self.random = random.Random(SEED)  # noqa: S311 - outcomes of a made-up lab

    def rate(self, checkpoint, cell):
        """Return how often this cell breaks a prompt: stacks more than techniques, plain hardly ever."""
        base = 0.02 if cell == 0 else 0.10 + 0.02 * cell if cell < len(TECHNIQUES) else 0.20 + 0.01 * (cell - 12)
        return base * (1 - 0.02 * checkpoint)

    def refusal(self, checkpoint):
        return 0.05 + 0.006 * checkpoint

    def answers(self, checkpoint):
        for member in self.members:
            for cell in range(CELLS) if member.intent is Intent.HARMFUL else (0,):
                yield VerdictCount(member.position, cell, self._verdict(checkpoint, member, cell), 1)

    def _verdict(self, checkpoint, member, cell):
        drawn = self.random.random()
        if member.intent is Intent.BENIGN:
            return Verdict.OVER_REFUSED if drawn < self.refusal(checkpoint) else Verdict.COMPLIED
        if drawn < self.rate(checkpoint, cell):
            return Verdict.UNSAFE
        return Verdict.NON_ANSWER if drawn > 1 - SILENT else Verdict.REFUSED

    def population(self, checkpoint):
        """Return the true rates over all prompts that such a bank could have held, by table."""
        rates = [self.rate(checkpoint, cell) for cell in range(CELLS)]
        singles = rates[: len(TECHNIQUES)]
        return {
            TableKind.TECHNIQUE: singles,
            TableKind.STACK: rates[len(TECHNIQUES) :],
            TableKind.FIRST_BREACH: [
                1 - math.prod(1 - rate for rate in some) for some in (singles[:1], singles, rates)
            ],
            TableKind.CATEGORY: [math.fsum(singles) / len(singles)] * 8,
            TableKind.NON_ANSWERS: [SILENT],
            TableKind.OVER_REFUSAL: [self.refusal(checkpoint)],
        }


class Tally:
    """Count how far published figures are from the truth, and how often their intervals hold it."""

    def __init__(self):
        self.errors = []
        self.bank = 0
        self.like = 0

    def add(self, estimate, *, bank, population):
        self.errors.append(estimate.rate - bank)
        self.bank += estimate.this_bank.low <= bank <= estimate.this_bank.high
        self.like += estimate.prompts_like_these.low <= population <= estimate.prompts_like_these.high

    def line(self, name):
        rows = len(self.errors)
        spread = math.sqrt(math.fsum(error * error for error in self.errors) / rows)
        bias = math.fsum(self.errors) / rows
        return (
            f"{name:<14}{rows:>6}{100 * bias:>+9.2f}{100 * spread:>9.2f}"
            f"{self.bank / rows:>13.1%}{self.like / rows:>20.1%}"
        )


def show(name, published, true):
    """Return a line of one checkpoint: published beside true."""
    ends = f"[{100 * published.this_bank.low:.1f}, {100 * published.this_bank.high:.1f}]"
    return f"{name:<14}{100 * true:>7.1f}{100 * published.rate:>11.1f}   {ends}"


async def test_what_25_releases_say_is_true_within_their_intervals(house):
    house.noise = OpenDpNoise()
    house.memberships.by_epoch["epoch-1"] = members = house.make_members(harmful=300, benign=100, categories=8)
    lab, desk = Lab(members), house.open()
    tallies, lines = defaultdict(Tally), []
    for checkpoint in range(RELEASES):
        run_id = f"run-{checkpoint}"
        run = house.propose(run_id, checkpoint=f"v{checkpoint + 1}", techniques=TECHNIQUES, stacks=STACKS)
        await desk.reserve(run)
        counts = house.outcomes.verdicts[run_id] = tuple(lab.answers(checkpoint))
        house.outcomes.complete(run_id)
        await desk.publish(run_id)
        exact, population = aggregate(counts, members=members, manifest=run.manifest), lab.population(checkpoint)
        document, _ = house.publisher.releases[f"release-{checkpoint + 1}"]
        release = release_from(findings_pb2.Release.FromString(document))
        for table in release.tables:
            sums, rates = exact[table.kind], population[table.kind]
            for row, total, rate in zip(table.rows, sums, rates, strict=True):
                estimate = estimate_row(table, row)
                tallies[table.kind.value].add(estimate, bank=total / MICRO / row.units, population=rate)
        technique = release.table(TableKind.TECHNIQUE)
        overall = estimate_overall(technique)
        true = math.fsum(exact["technique"]) / MICRO / 300 / len(TECHNIQUES)
        mean = math.fsum(population[TableKind.TECHNIQUE]) / len(TECHNIQUES)
        tallies["overall"].add(overall, bank=true, population=mean)
        lines.append(show(f"v{checkpoint + 1}{' full' if release.full else ''}", overall, true))

    budget = await desk.budget("epoch-1")
    report = [
        "An epoch of 25 releases under the default policy, on a lab of known rates:",
        "300 harmful and 100 benign units, 12 techniques, 30 stacks, 8 categories.",
        "Figures went through the desk's slots, debits, noise and documents, and were",
        "read back by the client. Per cent and points.",
        "",
        f"{'overall':<14}{'true':>7}{'published':>11}   this bank, 95 %",
        *lines,
        "",
        f"{'table':<14}{'rows':>6}{'bias':>9}{'spread':>9}{'this bank':>13}{'prompts like these':>20}",
        *(tally.line(name.replace("_", "-")) for name, tally in tallies.items()),
        "",
        "this bank, prompts like these: how often a 95 % interval holds the true rate.",
        (
            f"a harmful unit spent rho {budget.harmful_spent_nano_rho / 1e9:.3f} of"
            f" {budget.budget_nano_rho / 1e9:.3f}, a benign one {budget.benign_spent_nano_rho / 1e9:.3f}"
        ),
    ]
    BUILD.mkdir(exist_ok=True)
    (BUILD / "epoch-25.txt").write_text("\n".join(report) + "\n", encoding="utf-8")

    assert all(len(line) <= 80 for line in report), report
    rows = sum(len(tally.errors) for tally in tallies.values())
    assert rows == 25 * (12 + 1 + 1 + 1) + 5 * (30 + 3 + 8)
    bank = sum(tally.bank for tally in tallies.values()) / rows
    like = sum(tally.like for tally in tallies.values()) / rows
    assert bank == pytest.approx(0.95, abs=0.037)  # four standard errors of 580 rows
    assert like > 0.91
    assert budget.harmful_spent_nano_rho <= budget.budget_nano_rho
