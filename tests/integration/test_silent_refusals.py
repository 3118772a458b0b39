"""To a trainer, what is forbidden and what is not there are one and the same: in every byte, and in time."""

import random
import statistics
import time

import grpc
import pytest

from heldout_proto.v1 import bank_pb2, findings_pb2
from heldout_server.api.edge import REFUSAL_STEP_S
from raw_calls import channel_of

GET_RELEASE = "/heldout.v1.FindingsService/GetRelease"
GET_BUDGET = "/heldout.v1.FindingsService/GetBudget"
GET_PROMPT = "/heldout.v1.BankService/GetPrompt"
UNKNOWN = (GET_RELEASE, findings_pb2.GetReleaseRequest(release_id="release-0").SerializeToString())
EMPTY = (GET_BUDGET, b"")
FORBIDDEN = (GET_PROMPT, bank_pb2.GetPromptRequest(handle="p-0").SerializeToString())
MALFORMED_AND_FORBIDDEN = (GET_PROMPT, b"\xff\xff")

SAMPLES = 150
SHUFFLES = 2_000
ALPHA = 1e-3


async def refuse(channel, name, payload):
    """Return everything that a refusal shows, and the seconds that it took."""
    began_s = time.perf_counter()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channel.unary_unary(name)(payload, timeout=30)
    took_s = time.perf_counter() - began_s
    error = caught.value
    shown = (error.code(), error.details(), tuple(error.initial_metadata()), tuple(error.trailing_metadata()))
    return shown, took_s


async def test_unknown_empty_and_forbidden_are_the_same_bytes(lab):
    async with channel_of(lab, "trainer") as channel:
        shown = [(await refuse(channel, *call))[0] for call in (UNKNOWN, EMPTY, FORBIDDEN, MALFORMED_AND_FORBIDDEN)]
    assert len(set(shown)) == 1
    assert shown[0][0] is grpc.StatusCode.PERMISSION_DENIED


async def test_no_refusal_comes_before_its_step(lab):
    async with channel_of(lab, "trainer") as channel:
        for call in (UNKNOWN, EMPTY, FORBIDDEN):
            _, took_s = await refuse(channel, *call)
            assert took_s >= 0.9 * REFUSAL_STEP_S


@pytest.mark.slow
async def test_unknown_and_forbidden_take_the_same_time(lab):
    """A permutation test on the difference of medians: the two are asked by turns, so a busy machine delays both."""
    took_s = {UNKNOWN: [], FORBIDDEN: []}
    async with channel_of(lab, "trainer") as channel:
        for _ in range(SAMPLES):
            for call, times in took_s.items():
                times.append((await refuse(channel, *call))[1])
    assert _p_value(*took_s.values()) > ALPHA


def test_the_test_of_times_sees_half_a_millisecond():
    draw = random.Random(7)  # noqa: S311 - a repeatable sample, and nobody's secret
    one = [0.025 + abs(draw.gauss(0.0, 0.0005)) for _ in range(SAMPLES)]
    assert _p_value(one, [value + 0.0005 for value in one]) <= ALPHA
    assert _p_value(one, [0.025 + abs(draw.gauss(0.0, 0.0005)) for _ in range(SAMPLES)]) > ALPHA


def _p_value(one, other):
    """Return how often a random split of all times has medians as far apart as these two samples."""
    seen, pooled, as_far = abs(statistics.median(one) - statistics.median(other)), [*one, *other], 0
    draw = random.Random(1)  # noqa: S311 - as above
    for _ in range(SHUFFLES):
        draw.shuffle(pooled)
        as_far += abs(statistics.median(pooled[: len(one)]) - statistics.median(pooled[len(one) :])) >= seen
    return (as_far + 1) / (SHUFFLES + 1)
