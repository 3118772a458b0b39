"""Tell what is there from what is not by how long a refusal takes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final

from heldout_proto.v1 import bank_pb2, evaluation_pb2
from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.hearing import known_names
from heldout_server.attack.stage import Stage

ROUNDS: Final = 80
BOUND: Final = 0.25
"""How far the share of pairs in which one is slower may be from a half. By chance it passes this once in 10^7 looks:
its standard deviation at this many rounds is 0.046 (Mann and Whitney 1947, equation 5)."""


async def run(stage: Stage) -> Finding:
    """Ask in turn for what is there and what is not, as a trainer and a run tester, and compare the times."""
    names = await known_names(stage)
    handle, absent = names["handle"][0], "prompt-00abf3c4243a7db0"
    run_id = names["run_id"][0]
    asked = {
        "a prompt, as trainer": ("trainer", "/heldout.v1.BankService/GetPrompt", _prompt(handle), _prompt(absent)),
        "a prompt, as run_tester": (
            *("run_tester", "/heldout.v1.BankService/GetPrompt"),
            *(_prompt(handle), _prompt(absent)),
        ),
        "exact results, as run_tester": (
            *("run_tester", "/heldout.v1.EvaluationService/GetResults"),
            *(_results(run_id), _results("run-00abf3c4243a7db0")),
        ),
    }
    shares, shapes = {}, set()
    for what, (role, method, there, not_there) in asked.items():
        times: tuple[list[float], list[float]] = ([], [])
        async with stage.caller(role) as caller:
            for number in range(ROUNDS):
                pair = [(there, times[0]), (not_there, times[1])]
                for request, taken in pair if number % 2 else reversed(pair):
                    told = await caller.call(method, request)
                    taken.append(told.seconds)
                    shapes.add(told.shape)
        shares[what] = slower_share(*times)
    told_apart = [what for what, share in shares.items() if abs(share - 0.5) > BOUND]
    return Finding(
        tried=f"{ROUNDS} refusals each of what is there and what is not: {', '.join(asked)}",
        learned=f"{'; '.join(told_apart) or 'nothing'} told apart by time (the one is slower in "
        f"{', '.join(f'{share:.0%}' for share in shares.values())} of pairs), {len(shapes)} different answers",
        held=not told_apart and len(shapes) == 1,
    )


def slower_share(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the share of all pairs in which the first is slower, 0 to 1; 0.5 where the two cannot be told apart."""
    pairs = itertools.product(first, second)
    return sum((one > other) + (one == other) / 2 for one, other in pairs) / (len(first) * len(second))


def _prompt(handle: str) -> bytes:
    return bank_pb2.GetPromptRequest(handle=handle).SerializeToString()


def _results(run_id: str) -> bytes:
    return evaluation_pb2.GetResultsRequest(run_id=run_id).SerializeToString()


ATTACK = Attack(
    name="refusals-by-time",
    plays=Player.TRAINING_TEAM,
    explains="tell what is there from what is not by how long the refusals take",
    needs=Needs.SHARED,
    run=run,
)
