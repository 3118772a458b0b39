"""Whoever is no bank tester cannot tell by any byte which prompts are in the bank, or how a model talks.

See ``twin_appliances`` for what is equal in both appliances, and ``call_traces`` for where the calls come from.
"""

import asyncio
import random
import time
from pathlib import Path

import pytest
from call_traces import ALLOWED, METHODS, OTHERS, Call, make_message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from still_environment import BEGIN_S
from traces_of_twins import DAY_S, follow, follow_drawn, give_time
from twin_appliances import CHECKPOINTS, VARIANTS

REPORT = Path(__file__).parents[2] / "build" / "noninterference.txt"
LONG_CALLS = 10_000
RESTART_EVERY = 2_500
STRETCH_CALLS = 100


@pytest.mark.parametrize("variant", ["prompts", "models"])
@settings(max_examples=3, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_nobody_can_tell_the_twins_apart(twins, variant, data):
    follow_drawn(twins, variant, data)


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_nobody_can_tell_the_twins_apart_by_any_method_of_the_contract(twins, variant):
    """Every role, every method: a request with nothing, one that holds the rules, one that need not, and bad bytes."""
    folders, seen = twins(variant)
    choose = random.Random(7).choice  # noqa: S311 - a trace that can be repeated

    async def work(trace):
        for role in OTHERS:
            for method in METHODS:
                request = METHODS[method].request
                drawn = (make_message(request, choose, trace.seen, valid=valid) for valid in (True, False))
                for sent in (b"", *(one.SerializeToString() for one in drawn), b"\xff\xff"):
                    await trace.step(Call(role=role, method=method, requests=(sent,)), pause_s=6)

    trace = asyncio.run(follow(folders, VARIANTS[variant], work, seen=seen))
    assert set(trace.statuses) == set(METHODS)


@pytest.mark.slow
def test_nobody_can_tell_the_twins_apart_by_a_long_trace(twins):
    """Prompts and models differ at once. Both appliances are started anew now and then, as an operator does."""
    folders, seen = twins("prompts and models")
    choose = random.Random(11).choice  # noqa: S311 - a trace that can be repeated
    began, statuses, calls, now_s = time.monotonic(), {}, 0, BEGIN_S + 2 * DAY_S

    async def work(trace):
        nonlocal now_s
        until = STRETCH_CALLS
        while trace.calls < RESTART_EVERY:
            give_time()
            # A call in thousands starts a run by chance: one a stretch is begun on purpose, in a slot of its own.
            await trace.start(await trace.propose(choose(CHECKPOINTS)), pause_s=DAY_S)
            while trace.calls < until:
                await trace.go(choose)
            until += STRETCH_CALLS
        now_s = trace.twins[0].clock.now_s() + 60

    for part in range(LONG_CALLS // RESTART_EVERY):
        ids_from = 0x10000 * (part + 1)
        trace = asyncio.run(
            follow(folders, VARIANTS["prompts and models"], work, seen=seen, now_s=now_s, ids_from=ids_from)
        )
        seen, calls = trace.seen, calls + trace.calls
        for method, by_status in trace.statuses.items():
            for status, count in by_status.items():
                statuses.setdefault(method, {}).setdefault(status, 0)
                statuses[method][status] += count
    seconds = time.monotonic() - began
    REPORT.parent.mkdir(exist_ok=True)
    lines = [f"{calls:,} calls of each of two appliances in {seconds:,.0f} s: no byte differs"]
    lines += [
        f"  {method}  {', '.join(f'{name} {count:,}' for name, count in sorted(by_status.items()))}"
        for method, by_status in sorted(statuses.items())
    ]
    REPORT.write_text("\n".join(lines) + "\n")
    print(lines[0])  # noqa: T201 - the slow check shows it
    assert calls == LONG_CALLS
    assert "OK" in statuses["/heldout.v1.EvaluationService/StartRun"]  # it was a trace in which something happened
    assert {method for _, method in ALLOWED} <= set(statuses)
