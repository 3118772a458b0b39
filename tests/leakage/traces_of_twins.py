"""Make the same calls to both twins, one after the other, and compare all that they show."""

import asyncio
import contextlib
import faulthandler
import sys

from call_traces import ALLOWED, Call, Seen, make_call
from hypothesis import strategies as st
from observations import Observed, describe, differences
from still_environment import BEGIN_S
from twin_appliances import CHECKPOINTS, HANDLES, VARIANTS, Twin, still_process

from heldout_proto.v1 import evaluation_pb2 as pb

PAUSES_S = (0, 0, 0, 1, 1, 5, 30, 60, 600, 3_600)
SHORT_CALLS = 15
STRETCH_S = 120
DAY_S = 86_400
FINDINGS = "/heldout.v1.FindingsService"
EVALUATION = "/heldout.v1.EvaluationService"


class Leaked(AssertionError):
    """Say that the twins can be told apart, and by which call.

    Attributes:
        channels: where they differ.
    """

    def __init__(self, number, call, found):
        super().__init__(f"call {number}: {call}\n{describe(found)}")
        self.channels = {one.channel for one in found}


class Trace:
    """Call both twins, and know what they answered.

    Attributes:
        calls: how many were made of each.
        statuses: how many of them ended how, by method.
    """

    def __init__(self, twins, seen=None):
        self.twins = twins
        self.seen = Seen(seen)
        self.calls = 0
        self.statuses = {}

    async def go(self, choose):
        """Choose a call and make it."""
        call = make_call(choose, self.seen)
        await self.step(call, pause_s=choose(PAUSES_S))

    async def propose(self, checkpoint):
        """Propose a run of a checkpoint, and return its name; empty where that is refused."""
        request = pb.ProposeRunRequest(checkpoint=checkpoint, allow_exposed=True).SerializeToString()
        answer = await self.step(Call(role="run_tester", method=f"{EVALUATION}/ProposeRun", requests=(request,)))
        return pb.ProposeRunResponse.FromString(answer).run.run_id

    async def start(self, run_id, *, pause_s=0):
        """Start a run."""
        request = pb.StartRunRequest(run_id=run_id).SerializeToString()
        call = Call(role="run_tester", method=f"{EVALUATION}/StartRun", requests=(request,))
        await self.step(call, pause_s=pause_s)

    async def step(self, call, *, pause_s=0):
        """Let time pass, make one call to each, compare, and return the last message of the answer.

        Args:
            call: what to ask.
            pause_s: seconds that pass before it; runs whose slots come meanwhile are published.

        Raises:
            Leaked: the twins can be told apart.
        """
        first, second = [await self._observe(twin, call, pause_s) for twin in self.twins]
        latest_s = max(twin.clock.now_s() for twin in self.twins)
        for twin in self.twins:
            twin.clock.advance_to(latest_s)
        self.calls += 1
        if found := differences(first, second):
            raise Leaked(self.calls, call, found)
        self.seen.learn(call.method, first.told.bodies)
        by_status = self.statuses.setdefault(call.method, {})
        by_status[first.told.status] = by_status.get(first.told.status, 0) + 1
        return first.told.bodies[-1] if first.told.bodies else b""

    async def _observe(self, twin, call, pause_s):
        twin.speak()
        twin.clock.advance(pause_s)
        await twin.evaluation.rest()
        told = await twin.channels[call.role].tell(call.method, *call.requests)
        twin.thinks = True
        await twin.evaluation.rest()
        twin.thinks = False
        return Observed(told=told, lines=twin.lines.take(), figures=twin.figures())


async def follow(folders, secrets, work, *, seen=None, now_s=BEGIN_S + 2 * DAY_S, ids_from=0x4000, watching=False):
    """Start two appliances, do ``work`` with a trace of them, stop them, and return the trace.

    Raises:
        Leaked: the twins can be told apart; raised only once they are stopped, so that it comes alone.
    """
    leak = None
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(still_process())
        twins = [
            Twin(folder, secret, ids_from=ids_from, now_s=now_s)
            for folder, secret in zip(folders, secrets, strict=True)
        ]
        for twin in twins:
            await twin.start(stack, watching=watching)
            if watching:
                await twin.evaluation.notice(len(CHECKPOINTS))
                twin.lines.take()
        trace = Trace(twins, seen)
        try:
            await work(trace)
        except Leaked as error:
            leak = error
    if leak is not None:
        raise leak
    return trace


def follow_drawn(twins, variant, data, *, most=SHORT_CALLS):
    """Follow a trace that hypothesis draws, on two appliances of its own: what fails shrinks to the calls that matter.

    Raises:
        Leaked: the twins can be told apart.
    """
    folders, seen = twins(variant)

    def choose(options):
        return options[data.draw(st.integers(0, len(options) - 1))]

    async def work(trace):
        for _ in range(data.draw(st.integers(1, most))):
            await trace.go(choose)

    give_time()
    asyncio.run(follow(folders, VARIANTS[variant], work, seen=seen))


def give_time():
    """Let a test that makes very many calls go on: it hangs only if the next stretch of them takes too long."""
    faulthandler.dump_traceback_later(STRETCH_S, exit=True, file=sys.__stderr__)


async def begin(folders, secrets):
    """Let two appliances take in their checkpoints and publish something, and return what everybody knows then.

    Raises:
        Leaked: the twins can be told apart.
    """

    async def work(trace):
        for handle in HANDLES:
            trace.seen.add("handle", handle)  # whoever knew every handle would learn nothing by it
        proposed = [await trace.propose(name) for name in CHECKPOINTS]
        await trace.start(proposed[0])
        await trace.step(Call(role="trainer", method=f"{FINDINGS}/ListReleases", requests=(b"",)), pause_s=DAY_S)
        for role, method in ALLOWED:
            await trace.step(Call(role=role, method=method, requests=(b"",)))

    return (await follow(folders, secrets, work, now_s=BEGIN_S + 600, ids_from=0x2000, watching=True)).seen
