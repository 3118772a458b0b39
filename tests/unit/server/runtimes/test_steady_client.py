"""No trial suffers for another, nor for the endpoint's own troubles."""

from __future__ import annotations

import asyncio
from collections import Counter, deque

import pytest

from heldout_server.domain import Ending, Message, ModelResponse, Sampling, SecretText
from heldout_server.errors import EndpointError, EndpointUnavailable, RuntimeDied
from heldout_server.runtimes.steady import PROBE, Circuit, SteadyClient

ANSWER = ModelResponse(text=SecretText("fine"), ending=Ending.STOP)


class FakeSpeaker:
    """Be the client of an endpoint that fails as it is told.

    Attributes:
        failures: what a text meets, one after another; None for an answer.
        down: how many of the next probes fail.
        down_reason: with what.
    """

    def __init__(self):
        self.failures = {}
        self.down = 0
        self.down_reason = "CONNECTION"
        self.asked = Counter()
        self.together = 0
        self.seen = []  # (text, how many were asked together)
        self.probes = 0
        self.deadlines = []
        self.hold = {}
        self.overload = set()
        self.probed = asyncio.Event()

    async def complete(self, messages, sampling, *, timeout_s, attempts=None, on_overload=lambda: None):
        text = messages[-1].content.reveal()
        if messages is PROBE:
            assert (sampling.max_tokens, attempts) == (1, 1)
            self.probes += 1
            self.probed.set()
            await asyncio.sleep(0)
            if self.down:
                self.down -= 1
                raise EndpointError("down", reason=self.down_reason)
            return ANSWER
        self.deadlines.append(timeout_s)
        self.asked[text] += 1
        self.together += 1
        self.seen.append((text, self.together))
        try:
            await asyncio.sleep(0)
            if text in self.hold:
                await self.hold[text].wait()
            if text in self.overload:
                on_overload()
            waiting = self.failures.get(text)
            failure = waiting.popleft() if waiting else None
            if failure is not None:
                raise failure
            return ANSWER
        finally:
            self.together -= 1


class Pauses:
    def __init__(self):
        self.taken_s = []

    async def sleep(self, pause_s):
        self.taken_s.append(pause_s)
        await asyncio.sleep(0)


@pytest.fixture
def speaker():
    return FakeSpeaker()


@pytest.fixture
def pauses():
    return Pauses()


@pytest.fixture
def steady(speaker, pauses):
    circuit = Circuit(patience_s=20, first_pause_s=1, longest_pause_s=4, jitter=lambda: 1.0, sleep=pauses.sleep)
    return SteadyClient(speaker, most=4, circuit=circuit)


def fails(speaker, text, *reasons):
    speaker.failures[text] = deque(
        None if reason is None else EndpointError("failed", reason=reason) for reason in reasons
    )


async def ask(steady, text="one", timeout_s=7.0):
    return await steady.complete((Message("user", SecretText(text)),), Sampling(), timeout_s=timeout_s)


async def reason_of(steady, text="one"):
    with pytest.raises(EndpointError) as caught:
        await ask(steady, text)
    return caught.value.reason


async def test_an_answer_is_an_answer(steady, speaker):
    assert await ask(steady) is ANSWER
    assert (speaker.probes, speaker.deadlines) == (0, [7.0])


async def test_no_more_than_the_most_are_asked_together_and_waiting_takes_nothing_of_a_deadline(steady, speaker):
    speaker.hold = {str(n): asyncio.Event() for n in range(4)}
    async with asyncio.TaskGroup() as group:
        for n in range(6):
            group.create_task(ask(steady, str(n)))
        await asyncio.sleep(0.01)
        assert (speaker.together, speaker.deadlines) == (4, [7.0] * 4)
        for event in speaker.hold.values():
            event.set()
    assert speaker.deadlines == [7.0] * 6


@pytest.mark.parametrize("reason", ["MALFORMED", "NO_TEXT", "OVERSIZE", "HTTP_400", "HTTP_413", "UNKNOWN_FINISH"])
async def test_what_is_the_trials_own_affair_is_its_error_at_once(steady, speaker, reason):
    fails(speaker, "one", reason)
    assert await reason_of(steady) == reason
    assert speaker.probes == 0


async def test_a_process_that_ended_is_never_probed(steady, speaker):
    speaker.failures["one"] = deque([RuntimeDied("it ended")])
    with pytest.raises(RuntimeDied):
        await ask(steady)
    assert speaker.probes == 0


@pytest.mark.parametrize("reason", ["CONNECTION", "HTTP_500", "HTTP_503", "HTTP_401", "HTTP_404", "PROTOCOL"])
async def test_a_trial_that_fails_beside_an_endpoint_that_is_up_is_tried_again_alone(steady, speaker, reason):
    fails(speaker, "one", reason)
    speaker.hold = {"other": asyncio.Event()}
    async with asyncio.TaskGroup() as group:
        group.create_task(ask(steady, "other"))
        again = group.create_task(ask(steady, "one"))
        await asyncio.sleep(0.01)
        assert not again.done()  # it waits to be alone
        speaker.hold["other"].set()
    assert again.result() is ANSWER
    assert speaker.seen[-1] == ("one", 1)
    assert speaker.probes == 1


@pytest.mark.parametrize("reason", ["CONNECTION", "HTTP_500", "HTTP_503"])
async def test_a_trial_that_fails_alone_while_the_endpoint_is_up_is_what_fails(steady, speaker, reason):
    fails(speaker, "one", reason, reason)
    assert await reason_of(steady) == reason
    assert speaker.asked["one"] == 2


async def test_a_trial_without_an_answer_in_time_had_its_time_if_the_endpoint_is_up(steady, speaker):
    fails(speaker, "one", "TIMEOUT")
    assert await reason_of(steady) == "TIMEOUT"
    assert (speaker.asked["one"], speaker.probes, steady.concurrency) == (1, 1, 2)


async def test_a_time_out_beside_other_trials_is_no_verdict(steady, speaker):
    """What another trial made slow is tried again alone, with a deadline of its own."""
    fails(speaker, "slowed", "TIMEOUT")
    speaker.hold = {"slow": asyncio.Event()}
    async with asyncio.TaskGroup() as group:
        slow = group.create_task(ask(steady, "slow"))
        slowed = group.create_task(ask(steady, "slowed"))
        await asyncio.sleep(0.01)
        assert not slowed.done()
        speaker.hold["slow"].set()
    assert (slow.result(), slowed.result()) == (ANSWER, ANSWER)
    assert speaker.seen[-1] == ("slowed", 1)
    assert speaker.deadlines == [7.0] * 3


async def test_a_trial_that_times_out_alone_as_well_is_what_is_slow(steady, speaker):
    fails(speaker, "slow", "TIMEOUT", "TIMEOUT")
    speaker.hold = {"other": asyncio.Event()}
    async with asyncio.TaskGroup() as group:
        group.create_task(ask(steady, "other"))
        slow = group.create_task(reason_of(steady, "slow"))
        await asyncio.sleep(0.01)
        speaker.hold["other"].set()
    assert slow.result() == "TIMEOUT"
    assert speaker.asked["slow"] == 2


class Ended:
    """Be what ends a process, and note when."""

    def __init__(self, speaker):
        self.speaker = speaker
        self.together = []

    async def __call__(self):
        self.together.append(self.speaker.together)


@pytest.fixture
def ended(speaker):
    return Ended(speaker)


@pytest.fixture
def contained(speaker, ended):
    return SteadyClient(speaker, most=4, circuit=Circuit(patience_s=0, probe_s=0.5), on_stall=ended)


async def test_a_process_of_ours_that_is_silent_is_ended_and_nobody_gets_a_verdict(contained, speaker, ended):
    fails(speaker, "a", "TIMEOUT")
    fails(speaker, "b", "TIMEOUT")
    speaker.down = 10
    asked = (ask(contained, "a"), ask(contained, "b"))
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(result) for result in results] == [RuntimeDied] * 2
    assert set(ended.together) == {0}  # it was asked when it had nothing else to do
    assert speaker.asked == {"a": 1, "b": 1}


async def test_a_lone_trial_that_stalls_a_process_of_ours_ends_it_at_once(contained, speaker, ended):
    fails(speaker, "a", "TIMEOUT")
    speaker.down = 1
    with pytest.raises(RuntimeDied):
        await ask(contained, "a")
    assert (speaker.asked["a"], len(ended.together)) == (1, 1)


async def test_a_process_of_ours_that_is_only_slow_is_not_ended(contained, speaker, ended):
    fails(speaker, "slow", "TIMEOUT", "TIMEOUT")
    fails(speaker, "slowed", "TIMEOUT")
    results = await asyncio.gather(reason_of(contained, "slow"), ask(contained, "slowed"))
    assert results == ["TIMEOUT", ANSWER]
    assert ended.together == []


async def test_an_endpoint_that_is_down_is_waited_for_with_growing_pauses_and_nobody_has_an_error(
    steady, speaker, pauses
):
    for text in ("a", "b", "c"):
        fails(speaker, text, "CONNECTION")
    speaker.down = 4
    answers = await asyncio.gather(*(ask(steady, text) for text in ("a", "b", "c")))
    assert answers == [ANSWER] * 3
    assert pauses.taken_s == [1, 2, 4, 4]
    assert speaker.probes == 5  # one check for all three
    assert [together for _, together in speaker.seen[3:]] == [1, 1, 1]  # each alone


async def test_while_it_is_down_nothing_new_is_sent(steady, speaker):
    fails(speaker, "a", "HTTP_502")
    speaker.down = 3
    first = asyncio.create_task(ask(steady, "a"))
    await speaker.probed.wait()
    late = asyncio.create_task(ask(steady, "late"))
    while speaker.down:
        assert speaker.asked["late"] == 0
        await asyncio.sleep(0)
    assert [await first, await late] == [ANSWER] * 2


async def test_patience_ends_and_then_the_run_is_interrupted_for_all(steady, speaker, pauses):
    for text in ("a", "b"):
        fails(speaker, text, "CONNECTION")
    speaker.down = 10**6
    results = await asyncio.gather(*(ask(steady, text) for text in ("a", "b", "c")), return_exceptions=True)
    assert [type(result) for result in results[:2]] == [EndpointUnavailable] * 2
    assert sum(pauses.taken_s) <= 20
    fails(speaker, "a", "CONNECTION")
    probes = speaker.probes
    with pytest.raises(EndpointUnavailable):
        await ask(steady, "a")
    assert speaker.probes == probes  # it is over: nothing more is asked
    assert not isinstance(results[0], EndpointError)  # no trial is to blame


@pytest.mark.parametrize(
    ("status", "reason"), [("HTTP_401", "ACCESS_REFUSED"), ("HTTP_403", "ACCESS_REFUSED"), ("HTTP_404", None)]
)
async def test_an_endpoint_that_refuses_the_key_to_the_end_is_told_from_one_that_is_down(
    steady, speaker, status, reason
):
    fails(speaker, "a", status)
    speaker.down, speaker.down_reason = 10**6, status
    with pytest.raises(EndpointUnavailable) as caught:
        await ask(steady, "a")
    assert caught.value.reason == (reason or EndpointUnavailable.reason)


async def test_patience_is_for_the_whole_run(steady, speaker, pauses):
    for _ in range(3):
        fails(speaker, "a", "CONNECTION")
        speaker.down = 2
        await ask(steady, "a")
    assert pauses.taken_s == [1, 2] * 3
    fails(speaker, "a", "CONNECTION")
    speaker.down = 10**6
    with pytest.raises(EndpointUnavailable):
        await ask(steady, "a")
    assert sum(pauses.taken_s) <= 20


async def test_a_trial_with_which_alone_the_endpoint_goes_down_twice_is_the_culprit(steady, speaker):
    """A remote server that one prompt ends, and that its supervisor starts again."""

    class Killer(FakeSpeaker):
        async def complete(self, messages, sampling, **rest):
            if messages[-1].content.reveal() == "poison":
                self.down = 2
            return await super().complete(messages, sampling, **rest)

    killer = Killer()
    fails(killer, "poison", *["CONNECTION"] * 9)
    fails(killer, "bystander", "CONNECTION")
    steady._client = killer
    poison, bystander = await asyncio.gather(ask(steady, "poison"), ask(steady, "bystander"), return_exceptions=True)
    assert bystander is ANSWER
    assert isinstance(poison, EndpointError)
    assert killer.asked == {"poison": 3, "bystander": 2}


async def test_a_limited_rate_is_never_held_against_a_trial(steady, speaker, pauses):
    fails(speaker, "one", *["HTTP_429"] * 4)
    assert await ask(steady) is ANSWER
    assert pauses.taken_s == [4, 4, 4]  # once alone, it waits between attempts


async def test_a_rate_that_stays_limited_interrupts_the_run_in_the_end(steady, speaker):
    fails(speaker, "one", *["HTTP_429"] * 100)
    with pytest.raises(EndpointUnavailable):
        await ask(steady)


async def test_an_endpoint_that_says_it_has_too_many_gets_half_and_more_again_with_each_success(steady, speaker):
    speaker.overload = {"one"}
    await ask(steady)
    assert steady.concurrency == 2
    speaker.overload = set()
    for _ in range(8):
        await ask(steady)
    assert steady.concurrency == 4


async def test_a_probe_that_gets_any_answer_shows_that_the_endpoint_is_there(steady, speaker):
    fails(speaker, "one", "HTTP_500")

    async def odd(messages, sampling, **rest):
        if messages is PROBE:
            raise EndpointError("no text", reason="NO_TEXT")
        return await FakeSpeaker.complete(speaker, messages, sampling, **rest)

    speaker.complete = odd
    assert await ask(steady) is ANSWER


async def test_a_probe_takes_the_way_that_the_trials_take(steady, speaker):
    """An endpoint that has no chat template may know no other."""
    fails(speaker, "one", "HTTP_500")
    probed = []

    async def listen(messages, sampling, **rest):
        if messages is PROBE:
            probed.append(sampling.mode)
        return await FakeSpeaker.complete(speaker, messages, sampling, **rest)

    speaker.complete = listen
    messages = (Message("user", SecretText("one")),)
    await steady.complete(messages, Sampling(mode="completion"), timeout_s=30)
    assert set(probed) == {"completion"}


async def test_a_process_that_ends_under_a_probe_has_ended(steady, speaker):
    fails(speaker, "one", "CONNECTION")

    async def ended(messages, sampling, **rest):
        if messages is PROBE:
            raise RuntimeDied("it ended")
        return await FakeSpeaker.complete(speaker, messages, sampling, **rest)

    speaker.complete = ended
    with pytest.raises(RuntimeDied):
        await ask(steady)


async def test_whoever_checks_may_be_cancelled_and_the_next_one_goes_on(steady, speaker):
    for text in ("a", "b"):
        fails(speaker, text, "CONNECTION")
    speaker.down = 2
    checking = asyncio.create_task(ask(steady, "a"))
    await speaker.probed.wait()
    waiting = asyncio.create_task(ask(steady, "b"))
    await asyncio.sleep(0)
    checking.cancel()
    assert await waiting is ANSWER
    with pytest.raises(asyncio.CancelledError):
        await checking
