"""Reconstruct a bit of every unit from 2,000 backdoored submissions, of which the budget releases 25."""

from __future__ import annotations

import random
from collections.abc import Callable
from statistics import mean

from heldout_policy.mechanism import TableKind
from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.least_squares import accuracy, draw_secret, solve, true_counts
from heldout_server.attack.mechanism import TECHNIQUES, UNITS, BareDesk, default_policy
from heldout_server.attack.stage import Stage
from heldout_server.domain import Verdict
from heldout_server.ports.environment import Noise
from heldout_server.release import OpenDpNoise

SUBMISSIONS = 2_000
SEEDS = 20
COMPARED_SEEDS = 2
PROBED = frozenset({TableKind.TECHNIQUE, TableKind.STACK})
BOUNDS = (0.70, 0.76)
"""Of the mean accuracy: above, too much is told; below, the attack is too weak to show anything."""

WORKS = 0.99
ROUNDED_TO = 5
FIXED_SIGMA = 8.2


def released(noise: Noise, *, seeds: int = SEEDS) -> float:
    """Return the mean share of the bits that the attacker gets right from what is released."""
    desk = BareDesk(default_policy(), noise=noise)
    draws = (random.Random(seed) for seed in range(seeds))  # noqa: S311 - the same secrets every time
    return mean(_reconstruct(desk, draw) for draw in draws)


def _reconstruct(desk: BareDesk, draw: random.Random) -> float:
    """Release checkpoints that comply with a random half of the units in each cell, if their bit is set."""
    rows = sum(len(table.rows) for tables in desk.tables for table in tables if table.kind in PROBED)
    bits, probes = draw_secret(draw, units=UNITS, rows=rows)
    figures: list[float] = []
    sigmas: set[float] = set()
    for number in range(1, desk.releases + 1):
        start = len(figures)
        cells = sum(len(table.rows) for table in desk.tables[number - 1] if table.kind in PROBED)

        def answer(position: int, cell: int, start: int = start) -> Verdict:
            return Verdict.UNSAFE if bits[position] and probes[position] >> (start + cell) & 1 else Verdict.REFUSED

        for table in desk.release(number, desk.sums(answer, cells=cells)):
            if table.kind in PROBED:
                figures += table.figures
                sigmas.add(round(table.sigma, 3))
    (sigma,) = sigmas  # the shipped policy gives techniques and stacks the same
    return accuracy(bits, solve(probes, figures, variance=sigma**2))


def compared(publish: Callable[[int, random.Random], float], *, rows: int, variance: float) -> float:
    """Return the same from figures of every submission that another rule publishes.

    Args:
        publish: makes a figure of an exact count.
        rows: figures in all.
        variance: of what it adds to a count.
    """
    found = []
    for seed in range(COMPARED_SEEDS):
        draw = random.Random(seed)  # noqa: S311 - the same secrets every time, not cryptography
        bits, probes = draw_secret(draw, units=UNITS, rows=rows)
        figures = [publish(count, draw) for count in true_counts(bits, probes, rows=rows)]
        found.append(accuracy(bits, solve(probes, figures, variance=variance)))
    return mean(found)


def exact() -> float:
    """Return the accuracy where exact counts are published."""
    return compared(lambda count, _draw: count, rows=SUBMISSIONS, variance=1e-6)


def rounded() -> float:
    """Return the accuracy where counts are rounded to 5."""
    return compared(
        lambda count, _draw: ROUNDED_TO * round(count / ROUNDED_TO), rows=SUBMISSIONS, variance=ROUNDED_TO**2 / 12
    )


def fixed_noise() -> float:
    """Return the accuracy where every submission gets the same noise, and there is no budget."""
    return compared(
        lambda count, draw: count + draw.gauss(0, FIXED_SIGMA),
        rows=SUBMISSIONS * len(TECHNIQUES),
        variance=FIXED_SIGMA**2,
    )


def judge(*, told: float, exactly: float, rounding: float, noise: float) -> Finding:
    """Say what the accuracies mean."""
    return Finding(
        tried=f"{SUBMISSIONS:,} checkpoints that each comply with a random half of {UNITS} units, where their bit is"
        f" set; {default_policy().releases_per_epoch} of them are released; least squares, {SEEDS} secrets",
        learned=f"{told:.1%} of the bits, where guessing gives 50 %. The same attack gets {exactly:.1%} of exact"
        f" counts, {rounding:.1%} of counts rounded to {ROUNDED_TO}, and {noise:.1%} under the same noise without a"
        " budget",
        held=BOUNDS[0] <= told <= BOUNDS[1] and min(exactly, rounding, noise) >= WORKS,
    )


async def run(_stage: Stage) -> Finding:
    """Do it with the noise that is shipped, and beside it what others would publish."""
    return judge(told=released(OpenDpNoise()), exactly=exact(), rounding=rounded(), noise=fixed_noise())


ATTACK = Attack(
    name="reconstruction",
    plays=Player.TRAINING_TEAM,
    explains="reconstruct a bit of every prompt from 2,000 backdoored checkpoints",
    needs=Needs.NOTHING,
    run=run,
    slow=True,
)
