"""More at once while it goes well, half when it does not; alone for who asks for it."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heldout_server.runtimes.limit import AdaptiveLimit


class Holders:
    """Hold slots until told, and count who is in."""

    def __init__(self, limit):
        self.limit = limit
        self.inside = []
        self.most = 0
        self.let_go = {}
        self.tasks = {}

    async def enter(self, name, *, alone=False):
        self.let_go[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._hold(name, alone=alone))
        await settle()

    async def _hold(self, name, *, alone):
        async with self.limit.slot(alone=alone):
            self.inside.append(name)
            self.most = max(self.most, len(self.inside))
            try:
                await self.let_go[name].wait()
            finally:
                self.inside.remove(name)

    async def leave(self, name):
        self.let_go[name].set()
        await self.tasks[name]
        await settle()

    async def cancel(self, name):
        self.tasks[name].cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.tasks[name]
        await settle()


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_no_more_than_the_limit_are_in_and_the_others_come_in_order():
    holders = Holders(AdaptiveLimit(2))
    for name in "abcd":
        await holders.enter(name)
    assert holders.inside == ["a", "b"]
    await holders.leave("a")
    assert holders.inside == ["b", "c"]
    await holders.leave("c")
    assert holders.inside == ["b", "d"]


async def test_an_overload_halves_the_limit_and_as_many_successes_raise_it_by_one():
    limit = AdaptiveLimit(16)
    async with limit.slot() as slot:
        limit.overloaded(slot)
    assert limit.current == 8
    for _ in range(9):  # each adds an eighth or a little less
        limit.succeeded()
    assert limit.current == 9


async def test_a_burst_of_overloads_halves_once():
    limit = AdaptiveLimit(16)
    async with limit.slot() as first, limit.slot() as second:
        limit.overloaded(first)
        limit.overloaded(second)
    assert limit.current == 8
    async with limit.slot() as later:
        limit.overloaded(later)
    assert limit.current == 4


async def test_the_limit_stays_between_one_and_the_most():
    limit = AdaptiveLimit(3)
    for _ in range(5):
        async with limit.slot() as slot:
            limit.overloaded(slot)
    assert limit.current == 1
    for _ in range(100):
        limit.succeeded()
    assert limit.current == 3


async def test_a_raised_limit_lets_somebody_in_at_once():
    limit = AdaptiveLimit(2)
    async with limit.slot() as slot:
        limit.overloaded(slot)
    holders = Holders(limit)
    await holders.enter("a")
    await holders.enter("b")
    assert holders.inside == ["a"]
    limit.succeeded()
    await settle()
    assert holders.inside == ["a", "b"]


async def test_who_asks_to_be_alone_waits_for_the_others_goes_before_those_who_wait_and_is_alone():
    holders = Holders(AdaptiveLimit(2))
    for name in "abc":
        await holders.enter(name)
    await holders.enter("alone", alone=True)
    await holders.enter("late")
    await holders.leave("a")
    assert holders.inside == ["b"]
    await holders.leave("b")
    assert holders.inside == ["alone"]
    await holders.leave("alone")
    assert holders.inside == ["c", "late"]


async def test_a_cancelled_holder_and_a_cancelled_waiter_leave_nothing_behind():
    holders = Holders(AdaptiveLimit(1))
    for name in "abc":
        await holders.enter(name)
    await holders.cancel("b")
    await holders.cancel("a")
    assert holders.inside == ["c"]
    await holders.enter("alone", alone=True)
    await holders.cancel("alone")
    await holders.enter("d")
    await holders.leave("c")
    assert holders.inside == ["d"]


@pytest.mark.parametrize("alone", [False, True])
async def test_a_slot_that_comes_together_with_a_cancellation_goes_on_to_the_next(alone):
    limit = AdaptiveLimit(1)
    holders = Holders(limit)
    async with limit.slot():
        await holders.enter("a", alone=alone)
        await holders.enter("b")
    holders.tasks["a"].cancel()  # its turn has come, and it has not run since
    with pytest.raises(asyncio.CancelledError):
        await holders.tasks["a"]
    await settle()
    assert holders.inside == ["b"]


@settings(max_examples=40, deadline=None)
@given(steps=st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from(["enter", "alone", "leave", "cancel"]))))
async def test_whatever_happens_nobody_is_beside_who_is_alone_and_every_slot_comes_back(steps):
    limit = AdaptiveLimit(3)
    holders = Holders(limit)
    alone = set()
    for name, step in steps:
        there = name in holders.tasks and not holders.tasks[name].done()
        if step in {"enter", "alone"} and not there:
            alone.discard(name)
            if step == "alone":
                alone.add(name)
            await holders.enter(name, alone=step == "alone")
        elif step == "leave" and there:
            holders.let_go[name].set()
            await settle()
        elif step == "cancel" and there:
            await holders.cancel(name)
        assert len(holders.inside) <= 3
        assert len(holders.inside) == 1 or not alone & set(holders.inside)
    for event in holders.let_go.values():
        event.set()
    await asyncio.gather(*holders.tasks.values(), return_exceptions=True)
    async with asyncio.timeout(5), limit.slot(), limit.slot(), limit.slot():
        assert limit.current == 3


@pytest.mark.parametrize("alone", [False, True])
async def test_a_slot_that_comes_free_while_whoever_is_next_is_being_cancelled_goes_to_the_one_behind(alone):
    """As when a runtime dies: all who wait are cancelled at once, and those who held slots give them back."""
    holders = Holders(AdaptiveLimit(1))
    await holders.enter("a")
    for name in ("b", "c", "d"):
        await holders.enter(name, alone=alone)
    holders.let_go["a"].set()
    holders.tasks["b"].cancel()
    holders.tasks["c"].cancel()
    await asyncio.wait([holders.tasks["a"], holders.tasks["b"], holders.tasks["c"]])
    assert holders.tasks["a"].exception() is None
    assert holders.tasks["b"].cancelled()
    await settle()
    assert holders.inside == ["d"]
