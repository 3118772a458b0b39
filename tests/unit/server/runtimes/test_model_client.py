from __future__ import annotations

import asyncio
import time

import pytest
from endpoint_fakes import NEVER, completion, reply

from heldout_server.domain import Ending, Message, Sampling, SecretText
from heldout_server.errors import EndpointError, RuntimeDied
from heldout_server.runtimes import OpenAIClient, Resilience
from heldout_server.runtimes.client import MAX_ANSWER_BYTES

MESSAGES = (Message("system", SecretText("be kind")), Message("user", SecretText("canary, who sings?")))
FINE = reply(completion())


class Pauses:
    """Record pauses instead of taking them."""

    def __init__(self):
        self.taken_s = []

    async def sleep(self, pause_s):
        self.taken_s.append(pause_s)
        await asyncio.sleep(0)


@pytest.fixture
def pauses():
    return Pauses()


@pytest.fixture
async def client(endpoint, pauses):
    resilience = Resilience(attempts=3, first_pause_s=1.0, jitter=lambda: 0.5, sleep=pauses.sleep)
    async with OpenAIClient.over_tcp(endpoint.origin, model="nova-1", resilience=resilience) as client:
        yield client


async def fail(client, timeout_s=30.0):
    with pytest.raises(EndpointError) as caught:
        await client.complete(MESSAGES, Sampling(), timeout_s=timeout_s)
    assert "canary" not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    return caught.value.reason


async def test_every_parameter_is_sent_explicitly(client, endpoint):
    endpoint.replies = [FINE]
    sampling = Sampling(temperature=0.5, top_p=0.9, max_tokens=17, seed=4)
    await client.complete(MESSAGES, sampling, timeout_s=30)
    assert endpoint.requests == [
        {
            "model": "nova-1",
            "messages": [{"role": "system", "content": "be kind"}, {"role": "user", "content": "canary, who sings?"}],
            "temperature": 0.5,
            "top_p": 0.9,
            "max_tokens": 17,
            "seed": 4,
            "n": 1,
            "stream": False,
        }
    ]
    assert endpoint.heads[0].startswith("POST /v1/chat/completions HTTP/1.1\r\n")
    assert "user-agent" not in endpoint.heads[0].lower()


async def test_a_text_to_go_on_goes_to_the_other_way_of_the_endpoint(client, endpoint):
    endpoint.replies = [reply(b'{"choices": [{"text": " A lark.", "finish_reason": "stop"}]}')]
    answer = await client.complete(MESSAGES, Sampling(mode="completion"), timeout_s=30)
    assert answer.text.reveal() == " A lark."
    assert endpoint.heads[0].startswith("POST /v1/completions HTTP/1.1\r\n")
    assert endpoint.requests[0]["prompt"].endswith("\n\nAssistant:")


@pytest.mark.parametrize(
    ("finish_reason", "ending"),
    [("stop", Ending.STOP), ("length", Ending.LENGTH), ("content_filter", Ending.BLOCKED_OUTPUT)],
)
async def test_an_answer_comes_with_its_ending(client, endpoint, finish_reason, ending):
    endpoint.replies = [reply(completion("I sing", finish_reason))]
    answer = await client.complete(MESSAGES, Sampling(), timeout_s=30)
    assert (answer.text.reveal(), answer.ending) == ("I sing", ending)


async def test_a_request_that_a_filter_refuses_is_a_blocked_input(client, endpoint):
    endpoint.replies = [reply(b'{"error": {"code": "content_filter"}}', status=400)]
    answer = await client.complete(MESSAGES, Sampling(), timeout_s=30)
    assert (answer.text.reveal(), answer.ending) == ("", Ending.BLOCKED_INPUT)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (reply(b""), "EMPTY"),
        (reply(b'{"choices": ['), "MALFORMED"),
        (reply(b'{"choices": [{"message": {"content": "x"}, "finish_reason": "tired"}]}'), "UNKNOWN_FINISH"),
        (reply(b"<html>", content_type="text/html"), "CONTENT_TYPE"),
        (reply(completion(), content_type=""), "CONTENT_TYPE"),
        (reply(b"\x1f\x8b", Content_Encoding="gzip"), "CONTENT_TYPE"),
        (reply(b'{"error": {"code": "context_length"}}', status=400), "HTTP_400"),
        (reply(b"canary", status=400), "HTTP_400"),
        (reply(b"canary", status=401), "HTTP_401"),
        (reply(b"", status=204), "HTTP_204"),
        (reply(completion(), length=MAX_ANSWER_BYTES + 1), "OVERSIZE"),
        (b"canary canary canary\r\n\r\n", "PROTOCOL"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: canary\r\n\r\n", "PROTOCOL"),
    ],
)
async def test_what_is_not_an_answer_is_an_error_and_not_asked_for_again(client, endpoint, answer, reason):
    endpoint.replies = [answer]
    assert await fail(client) == reason
    assert len(endpoint.requests) == 1


async def test_a_chunked_body_is_read_to_its_end_and_no_further_than_the_bound(client, endpoint):
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = completion("in pieces")
    pieces = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (body[:5], body[5:]))
    endpoint.replies = [head + pieces + b"0\r\n\r\n"]
    assert (await client.complete(MESSAGES, Sampling(), timeout_s=30)).text.reveal() == "in pieces"
    endpoint.replies = [head + (b"%x\r\n%s\r\n" % (2**20, b" " * 2**20)) * 6]
    assert await fail(client) == "OVERSIZE"


async def test_a_redirect_is_not_followed(client, endpoint):
    endpoint.replies = [reply(status=307, Location=f"{endpoint.origin}/elsewhere")]
    assert await fail(client) == "HTTP_307"
    assert len(endpoint.requests) == 1


async def test_cookies_are_not_kept(client, endpoint):
    endpoint.replies = [reply(completion(), Set_Cookie="seen=canary")]
    for _ in range(2):
        await client.complete(MESSAGES, Sampling(), timeout_s=30)
    assert "cookie" not in endpoint.heads[1].lower()


@pytest.mark.parametrize("failure", [reply(status=status) for status in (429, 500, 502, 503, 504)])
async def test_what_another_attempt_may_mend_is_tried_again_after_a_growing_jittered_pause(
    client, endpoint, pauses, failure
):
    endpoint.replies = [failure, failure, FINE]
    assert (await client.complete(MESSAGES, Sampling(), timeout_s=30)).text.reveal() == "hello"
    assert pauses.taken_s == [0.75, 1.5]
    assert endpoint.requests[0] == endpoint.requests[2]


@pytest.mark.parametrize("failure", [None, reply(b'{"choices"', length=500, Connection="close")])
async def test_a_broken_connection_is_tried_again(client, endpoint, pauses, failure):
    endpoint.replies = [failure, FINE]
    assert (await client.complete(MESSAGES, Sampling(), timeout_s=30)).text.reveal() == "hello"
    assert pauses.taken_s == [0.75]


@pytest.mark.parametrize(("failure", "reason"), [(reply(status=503), "HTTP_503"), (None, "CONNECTION")])
async def test_attempts_are_bounded(client, endpoint, failure, reason):
    endpoint.replies = [failure]
    assert await fail(client) == reason
    assert len(endpoint.requests) == 3


async def test_retry_after_is_honoured_in_seconds_and_as_a_date(client, endpoint, pauses):
    date, later = "Mon, 05 Jan 2026 10:00:00 GMT", "Mon, 05 Jan 2026 10:00:09 GMT"
    endpoint.replies = [reply(status=429, Retry_After="7"), reply(status=503, Retry_After=later, Date=date), FINE]
    await client.complete(MESSAGES, Sampling(), timeout_s=30)
    assert pauses.taken_s == [7.0, 9.0]


@pytest.mark.parametrize(
    "nonsense", ["soon", "-5", "²", "Mon, 99 Jan 2026 10:00:00 GMT", "Mon, 05 Jan 2026 10:00:09 GMT"]
)
async def test_a_retry_after_that_says_nothing_leaves_the_pause_as_it_is(client, endpoint, pauses, nonsense):
    endpoint.replies = [reply(status=429, Retry_After=nonsense), FINE]
    await client.complete(MESSAGES, Sampling(), timeout_s=30)
    assert pauses.taken_s == [0.75]


@pytest.mark.parametrize("after", ["31", "99999999999999999999"])
async def test_an_attempt_that_would_come_after_the_deadline_is_given_up_at_once(client, endpoint, pauses, after):
    endpoint.replies = [reply(status=429, Retry_After=after)]
    assert await fail(client, timeout_s=30) == "HTTP_429"
    assert pauses.taken_s == []


async def test_an_answer_that_never_comes_ends_at_the_deadline(client, endpoint):
    endpoint.replies = [NEVER]
    began = time.monotonic()
    assert await fail(client, timeout_s=0.05) == "TIMEOUT"
    assert time.monotonic() - began < 5


async def test_an_endpoint_that_is_not_there_is_a_failed_connection(run_folder, pauses):
    resilience = Resilience(attempts=2, sleep=pauses.sleep)
    async with OpenAIClient.over_socket(run_folder / "none", model="m", resilience=resilience) as client:
        assert await fail(client) == "CONNECTION"
        assert not await client.healthy()
    assert len(pauses.taken_s) == 2


async def test_a_process_that_has_ended_is_never_asked(endpoint):
    endpoint.replies = [FINE]
    session = OpenAIClient.over_tcp(endpoint.origin, model="m")._session
    async with OpenAIClient(session, origin=endpoint.origin, model="m", died=lambda: True) as client:
        with pytest.raises(RuntimeDied):
            await client.complete(MESSAGES, Sampling(), timeout_s=30)
    assert endpoint.requests == []


async def test_a_process_that_ends_while_it_is_asked_is_noticed_even_at_the_last_attempt(endpoint, pauses):
    endpoint.replies = [None]
    session = OpenAIClient.over_tcp(endpoint.origin, model="m")._session
    died = iter([False, True])
    resilience = Resilience(attempts=1, sleep=pauses.sleep)
    async with OpenAIClient(
        session, origin=endpoint.origin, model="m", resilience=resilience, died=lambda: next(died)
    ) as client:
        with pytest.raises(RuntimeDied):
            await client.complete(MESSAGES, Sampling(), timeout_s=30)


async def test_connections_are_used_again(client, endpoint):
    endpoint.replies = [FINE]
    for _ in range(5):
        await client.complete(MESSAGES, Sampling(), timeout_s=30)
    assert (len(endpoint.requests), endpoint.connections) == (5, 1)


async def test_health_is_a_200_and_nothing_else(client, endpoint):
    endpoint.replies = [reply(b"{}"), reply(status=503), reply(status=307, Location="/health"), None, b"junk\r\n\r\n"]
    assert [await client.healthy() for _ in range(5)] == [True, False, False, False, False]


def test_a_pause_is_jittered_between_a_half_and_the_whole_and_doubles():
    low, high = (Resilience(first_pause_s=0.1, jitter=lambda drawn=drawn: drawn) for drawn in (0.0, 1.0))
    assert [low.pause_s(n) for n in (1, 2, 3)] == pytest.approx([0.05, 0.1, 0.2])
    assert [high.pause_s(n) for n in (1, 2, 3)] == pytest.approx([0.1, 0.2, 0.4])
    assert 0.05 <= Resilience().pause_s(1) <= 0.1


async def test_a_request_body_is_json_that_any_server_reads(client, endpoint):
    endpoint.replies = [FINE]
    text = 'quotes " and \u2028 and \U0001f600'
    await client.complete((Message("user", SecretText(text)),), Sampling(), timeout_s=30)
    assert endpoint.requests[0]["messages"][0]["content"] == text


async def test_too_many_requests_are_told_at_each_attempt_and_other_failures_are_not(client, endpoint):
    told = []
    endpoint.replies = [reply(status=429), reply(status=503), FINE]
    await client.complete(MESSAGES, Sampling(), timeout_s=30, on_overload=lambda: told.append(1))
    assert len(told) == 2
    endpoint.replies = [reply(status=500), FINE]
    await client.complete(MESSAGES, Sampling(), timeout_s=30, on_overload=lambda: told.append(1))
    assert len(told) == 2


async def test_fewer_attempts_can_be_asked_for(client, endpoint):
    endpoint.replies = [reply(status=503), FINE]
    with pytest.raises(EndpointError):
        await client.complete(MESSAGES, Sampling(), timeout_s=30, attempts=1)
    assert len(endpoint.requests) == 1
