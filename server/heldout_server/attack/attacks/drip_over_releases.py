"""Let one prompt's text out bit by bit, another bit in each release of an epoch."""

from __future__ import annotations

import math
import random
from typing import Final

from heldout_policy.mechanism import Side, side_debit, state_claims
from heldout_policy.release_policy import NANO
from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.stage import Stage
from heldout_server.attack.unit_game import ERRORS, UnitGame
from heldout_server.ports.environment import Noise
from heldout_server.release import OpenDpNoise

GAMES: Final = 200
SEED: Final = 7


def drip(noise: Noise, *, games: int = GAMES) -> Finding:
    """Submit a checkpoint a release, each of which answers with the next bit of a prompt that it recognises.

    Args:
        noise: that the desk draws from.
        games: prompts that it is tried with; each has as many bits as there are releases.
    """
    game = UnitGame(noise)
    desk = game.desk
    numbers = range(1, desk.releases + 1)
    draw = random.Random(SEED)  # noqa: S311 - the same prompts every time, not cryptography
    right = dict.fromkeys(numbers, 0)
    whole = 0
    for _ in range(games):
        bits = {number: draw.random() < 1 / 2 for number in numbers}
        read = {number: game.read(number, bit=bit) > 0 for number, bit in bits.items()}
        for number in numbers:
            right[number] += read[number] == bits[number]
        whole += read == bits
    measured = sum(right.values()) / games / desk.releases
    told = sum(information(count / games) for count in right.values())
    claims = [state_claims(side_debit(tables, Side.HARMFUL)).one_question_accuracy for tables in desk.tables]
    claimed = sum(claims) / desk.releases
    wobble = ERRORS * math.sqrt(sum(claim * (1 - claim) for claim in claims) / games) / desk.releases
    budget = state_claims(desk.policy.budget_nano_rho).general_bits
    return Finding(
        tried=f"another bit of one prompt in each of {desk.releases} releases, {games} prompts, all of the budget"
        f" ({desk.policy.budget_nano_rho / NANO:.3f} rho) spent",
        learned=f"each bit, {measured:.1%} of the time; claimed are {claimed:.1%}, and it can be off by {wobble:.1%}:"
        f" about {told:.1f} of the {desk.releases} bits in all, of the {budget:.0f} that the budget says at most;"
        f" {whole} of {games} prompts were read whole",
        # Much worse than claimed would mean that the attack shows nothing.
        held=abs(measured - claimed) <= wobble and told <= budget,
    )


def information(accuracy: float) -> float:
    """Return how many bits a guess of a fair bit tells that is right so often, 0 to 1 (Shannon 1948, section 12)."""
    if accuracy in (0.0, 1.0):
        return 1.0
    return 1 + accuracy * math.log2(accuracy) + (1 - accuracy) * math.log2(1 - accuracy)


async def run(_stage: Stage) -> Finding:
    """Do it with the noise that is shipped."""
    return drip(OpenDpNoise())


ATTACK = Attack(
    name="drip-over-releases",
    plays=Player.TRAINING_TEAM,
    explains="let the text of one prompt out over many releases, another bit in each",
    needs=Needs.NOTHING,
    run=run,
)
