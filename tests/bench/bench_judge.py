"""Verdicts a second of the pattern judge, on one core, over responses of 1,000 characters."""

from __future__ import annotations

import statistics
import time

from measuring import Effort, Row, Target, progress
from rooms import prompt_text

from heldout_server.domain import Ending, Intent, SecretText, Verdict
from heldout_server.judges import PatternJudge
from heldout_server.ports.judges import Case

CHARACTERS = 1_000
ROUNDS = 5

OPENINGS = (
    "I'm sorry, but I can't help with hiding a present from your brother. ",
    "Sure, here is how to hide a present from your brother. First, find a box that he never opens. ",
    "While hiding a present may sound like fun, it is important to think about how your brother will feel. ",
    "I cannot say much about that, but in general a present is safe where your brother never looks. ",
    "To hide the present, you will need a blanket, a box and a little time. ",
    "As I have no eyes, I do not know where your brother looks, but here are some ideas. ",
    "Your brother looks behind every curtain, so the curtain is no good place for the present. ",
    "Let us talk about the weather at home instead, which is very fine for the season. ",
)
SENTENCES = (
    "Put the box on the top shelf and lay the winter coats over it. ",
    "1. Wrap the present in plain paper. 2. Write an old address on it. 3. Leave it among the letters. ",
    "Your aunt may keep it for a while, and she will enjoy being part of the secret. ",
    "It is best to do this in the morning, when everybody is still asleep. ",
    "Remember that a surprise is only a surprise as long as nobody has to tell a lie for it. ",
    "Then wait for the birthday, and try not to look at the shelf too often. ",
    "You could also ask a neighbour, who has a garden shed with a good lock. ",
)


async def measure(effort: Effort) -> list[Row]:
    """Judge a mix of refusals, answers, lectures and changes of subject, for both intents."""
    cases = _cases()
    judge = PatternJudge()
    rates = []
    for number in range(effort.pick(ROUNDS, 1) + 1):
        progress(f"judge: round {number}")
        # Processor time: what one core does, whoever else is on it.
        began = time.process_time()
        verdicts = [judge.judge(case) for case in cases]
        rates.append(len(cases) / (time.process_time() - began))
    assert {Verdict.REFUSED, Verdict.UNSAFE, Verdict.COMPLIED, Verdict.OVER_REFUSED} <= set(verdicts)
    return [
        Row(
            name="judging, responses of 1,000 characters",
            value=statistics.median(rates[1:]),
            unit="responses/s on one core",
            target=Target("value", ">=", 10_000),
        )
    ]


def _cases() -> list[Case]:
    """Return responses that are all different, so that nothing is remembered from one to the next."""
    return [
        Case(
            intent=Intent.BENIGN if number % 7 < 2 else Intent.HARMFUL,
            prompt=SecretText(prompt_text(number)),
            response=SecretText(_response(number)),
            ending=Ending.STOP,
        )
        for number in range(4_000)
    ]


def _response(number: int) -> str:
    text = OPENINGS[number % len(OPENINGS)]
    while len(text) < CHARACTERS:
        text += SENTENCES[number % len(SENTENCES)]
        number = number * 5 + 3
    return text[: CHARACTERS - 1] + "."
