"""A deadline ends what takes too long, and nothing else; all of them share one timer."""

from __future__ import annotations

import asyncio

import pytest

from heldout_server.runtimes.deadlines import Deadlines

LONG_S = 3600.0


async def wait_forever(deadlines, timeout_s):
    with deadlines.within(timeout_s):
        await asyncio.Event().wait()


async def test_what_takes_too_long_is_a_time_out():
    with pytest.raises(TimeoutError):
        await wait_forever(Deadlines(), 0.01)
    assert asyncio.current_task().cancelling() == 0


async def test_what_ends_in_time_is_left_alone_and_so_is_what_it_raises():
    deadlines = Deadlines()
    with deadlines.within(LONG_S) as deadline:
        await asyncio.sleep(0)
        assert 0 < deadline.left_s() <= LONG_S
    with pytest.raises(ZeroDivisionError), deadlines.within(LONG_S):
        raise ZeroDivisionError
    deadlines.close()


async def test_a_later_deadline_does_not_hold_up_an_earlier_one_nor_an_earlier_one_end_a_later():
    deadlines = Deadlines()
    ended, enough = [], asyncio.Semaphore(0)

    async def wait(timeout_s):
        try:
            await wait_forever(deadlines, timeout_s)
        except TimeoutError:
            ended.append(timeout_s)
            enough.release()

    async with asyncio.TaskGroup() as group:
        kept = group.create_task(wait(LONG_S))
        for timeout_s in (0.05, 0.01, 0.03):
            group.create_task(wait(timeout_s))
        for _ in range(3):
            await enough.acquire()
        assert not kept.done()
        kept.cancel()
    assert ended == [0.01, 0.03, 0.05]


async def test_a_cancellation_from_outside_is_no_time_out():
    task = asyncio.create_task(wait_forever(Deadlines(), LONG_S))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_that_comes_together_with_the_deadline_goes_on():
    deadlines = Deadlines()

    async def wait():
        with deadlines.within(LONG_S) as deadline:
            deadline.expire()
            asyncio.current_task().cancel()
            await asyncio.Event().wait()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(wait())


async def test_a_deadline_outside_of_another_ends_both_as_its_own():
    deadlines = Deadlines()
    inner = []

    async def wait():
        with deadlines.within(0.01):
            try:
                await wait_forever(deadlines, LONG_S)
            except asyncio.CancelledError:
                inner.append("cancelled")
                raise

    with pytest.raises(TimeoutError):
        await wait()
    assert inner == ["cancelled"]
