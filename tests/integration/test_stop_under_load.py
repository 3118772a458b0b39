"""An operator stops the appliance while it is asked: accepted calls finish, and later ones are told it is away."""

import asyncio
import signal

import grpc

from raw_calls import call, channel_of, entries_of
from served_appliance import until

RELEASES = "/heldout.v1.FindingsService/ListReleases"
STATS = "/heldout.v1.BankService/GetStats"
ASKERS = (("trainer", RELEASES), ("bank_tester", STATS), ("auditor", RELEASES)) * 3


def addressed(served):
    """Have a served appliance look as the labs of other tests do."""

    class Addressed:
        def profile(self, role):
            return served.profile(role)

        async def client(self, role):
            return await served.client(role)

    return Addressed()


async def test_accepted_calls_finish_and_new_ones_find_nobody(served):
    await served.start()
    codes = []

    async def ask_until_refused(role, method):
        async with channel_of(addressed(served), role) as channel:
            while not codes or codes[-1] is not grpc.StatusCode.UNAVAILABLE:
                code, _, _ = await call(channel, method)
                codes.append(code)
                if code is grpc.StatusCode.UNAVAILABLE:
                    return

    async with asyncio.TaskGroup() as tasks:
        for role, method in ASKERS:
            tasks.create_task(ask_until_refused(role, method))
        await until(lambda: len(codes) > 100)
        served.process.send_signal(signal.SIGTERM)
    assert await served.ended() == 0, served.said_last()
    assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}

    await served.start()
    recorded = 0
    for half in ("vault", "window"):
        entries = await entries_of(addressed(served), half)
        stop = next(n for n, entry in enumerate(entries) if entry["name"] == "stop")
        intents = {n for n, entry in enumerate(entries[:stop]) if entry["kind"] == "intent"}
        outcomes = [entry["details"] for entry in entries[:stop] if entry["kind"] == "outcome"]
        assert {outcome["intent"] for outcome in outcomes} == intents  # each that was begun has ended
        assert {outcome["status"] for outcome in outcomes} == {"OK"}
        recorded += len(outcomes)
    assert recorded == codes.count(grpc.StatusCode.OK)
    await served.stop()
