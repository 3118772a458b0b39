"""Ask one yes/no question about one unit in every cell of every release, with all else known: the game."""

from __future__ import annotations

import math
import random

from heldout_policy.mechanism import state_claims
from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.stage import Stage
from heldout_server.attack.unit_game import ERRORS, UnitGame
from heldout_server.ports.environment import Noise
from heldout_server.release import OpenDpNoise

GAMES = 4_000
SEED = 7


def ask(noise: Noise, *, games: int = GAMES) -> Finding:
    """Play the game with a matched filter, the whole budget spent on one bit.

    Args:
        noise: that the desk draws from.
        games: to play.
    """
    game = UnitGame(noise)
    desk = game.desk

    def guess(*, bit: bool) -> bool:
        return sum(game.read(number, bit=bit) for number in range(1, desk.releases + 1)) > 0

    draw = random.Random(SEED)  # noqa: S311 - the same games every time, not cryptography
    bits = [draw.random() < 1 / 2 for _ in range(games)]
    right = sum(guess(bit=bit) == bit for bit in bits) / games
    claimed = state_claims(desk.policy.budget_nano_rho).one_question_accuracy
    wobble = ERRORS * math.sqrt(claimed * (1 - claimed) / games)
    return Finding(
        tried=f"{games:,} games: all but one unit's bit known, every cell of {desk.releases} releases asks for it, all"
        " of the budget spent",
        learned=f"the bit, {right:.1%} of the time; claimed are at most {claimed:.1%}, and the games can be off by"
        f" {wobble:.1%}",
        # Much worse than claimed would mean that the attack shows nothing.
        held=abs(right - claimed) <= wobble,
    )


async def run(_stage: Stage) -> Finding:
    """Do it with the noise that is shipped."""
    return ask(OpenDpNoise())


ATTACK = Attack(
    name="one-question",
    plays=Player.TRAINING_TEAM,
    explains="learn one bit of one unit, all else known, with every cell of every release",
    needs=Needs.NOTHING,
    run=run,
    slow=True,
)
