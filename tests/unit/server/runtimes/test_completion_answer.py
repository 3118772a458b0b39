import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldout_server.domain import Ending
from heldout_server.errors import EndpointError
from heldout_server.runtimes.answer import MAX_TEXT_CHARACTERS, is_blocked_input, read_completion, read_text_completion


def body(**choice):
    return json.dumps({"choices": [{"finish_reason": "stop", "message": {"content": "fine"}} | choice]}).encode()


@pytest.mark.parametrize(
    ("finish_reason", "ending"),
    [("stop", Ending.STOP), ("length", Ending.LENGTH), ("content_filter", Ending.BLOCKED_OUTPUT)],
)
def test_each_known_finish_reason_is_an_ending(finish_reason, ending):
    answer = read_completion(body(finish_reason=finish_reason))
    assert (answer.text.reveal(), answer.ending) == ("fine", ending)


@pytest.mark.parametrize("finish_reason", [None, "tool_calls", "abort", "STOP", "", 0, ["stop"], {"a": 1}])
def test_an_unknown_finish_reason_is_an_error_and_never_an_ending(finish_reason):
    with pytest.raises(EndpointError) as caught:
        read_completion(body(finish_reason=finish_reason))
    assert caught.value.reason == "UNKNOWN_FINISH"


@pytest.mark.parametrize(
    ("finish_reason", "ending"), [("length", Ending.LENGTH), ("content_filter", Ending.BLOCKED_OUTPUT)]
)
def test_no_text_is_empty_where_the_ending_explains_it(finish_reason, ending):
    answer = read_completion(body(finish_reason=finish_reason, message={"content": None}))
    assert (answer.text.reveal(), answer.ending) == ("", ending)


def test_no_text_at_a_stop_is_an_error():
    with pytest.raises(EndpointError) as caught:
        read_completion(body(message={"content": None}))
    assert caught.value.reason == "NO_TEXT"


def test_the_text_of_a_refusal_stands_in_for_none():
    answer = read_completion(body(message={"content": None, "refusal": "I won't."}))
    assert answer.text.reveal() == "I won't."


def test_an_empty_text_is_an_answer():
    assert read_completion(body(message={"content": ""})).text.reveal() == ""


@pytest.mark.parametrize("empty", [b"", b" \r\n"])
def test_an_empty_body_is_named_so(empty):
    with pytest.raises(EndpointError) as caught:
        read_completion(empty)
    assert caught.value.reason == "EMPTY"


@pytest.mark.parametrize(
    "malformed",
    [
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b"[]",
        b"null",
        b'"text"',
        b"{}",
        b'{"choices": []}',
        b'{"choices": {}}',
        b'{"choices": [1]}',
        b'{"choices": [{}]}',
        b'{"choices": [{"message": {"content": "x"}}]}',
        b'{"choices": [{"message": "x", "finish_reason": "stop"}]}',
        b'{"choices": [{"message": {"content": 1}, "finish_reason": "stop"}]}',
        b'{"choices": [{"message": {"content": [{"text": "x"}]}, "finish_reason": "stop"}]}',
        json.dumps({"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}] * 2}).encode(),
    ],
)
def test_what_is_no_completion_with_one_choice_is_malformed(malformed):
    with pytest.raises(EndpointError) as caught:
        read_completion(malformed)
    assert caught.value.reason == "MALFORMED"


@given(st.binary())
def test_any_bytes_are_an_answer_or_an_endpoint_error_that_quotes_nothing(junk):
    with pytest.raises(EndpointError) as caught:
        read_completion(b"canary" + junk)
    assert "canary" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@given(st.text())
def test_any_text_comes_through_as_it_is(text):
    assert read_completion(body(message={"content": text})).text.reveal() == text


def test_a_lone_surrogate_becomes_the_replacement_character_and_can_be_stored():
    answer = read_completion(
        b'{"choices": [{"message": {"content": "a\\ud800b \\ud83d\\ude00"}, "finish_reason": "stop"}]}'
    )
    assert answer.text.reveal() == "a\ufffdb \U0001f600"


@pytest.mark.parametrize("code", ["content_filter", "content_policy_violation"])
def test_a_filter_in_front_of_the_model_is_recognized_by_its_code(code):
    assert is_blocked_input(json.dumps({"error": {"code": code, "message": "no"}}).encode())


@pytest.mark.parametrize(
    "other",
    [b"", b"{", b"[]", b"{}", b'{"error": "content_filter"}', b'{"error": {"code": null}}', b'{"error": {"code": []}}'],
)
def test_any_other_refused_request_is_not_taken_for_a_filter(other):
    assert not is_blocked_input(other)


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning"])
def test_reasoning_is_kept_apart_from_the_text(key):
    answer = read_completion(body(message={"content": "fine", key: "let me think"}))
    assert (answer.text.reveal(), answer.reasoning.reveal()) == ("fine", "let me think")


def test_reasoning_alone_is_an_empty_answer_and_not_the_answer():
    answer = read_completion(body(message={"content": None, "reasoning_content": "let me think"}))
    assert (answer.text.reveal(), answer.ending) == ("", Ending.STOP)


@pytest.mark.parametrize("finish_reason", ["tool_calls", "function_call", "stop"])
def test_calls_of_tools_are_kept_and_end_a_turn(finish_reason):
    calls = [{"id": "1", "type": "function", "function": {"name": "ring", "arguments": "{}"}}]
    answer = read_completion(body(finish_reason=finish_reason, message={"content": None, "tool_calls": calls}))
    assert (answer.text.reveal(), answer.ending) == ("", Ending.STOP)
    assert json.loads(answer.tool_calls.reveal()) == calls


@pytest.mark.parametrize("message", [{"content": "a", "reasoning": 7}, {"content": "a", "tool_calls": {"a": 1}}])
def test_reasoning_or_calls_of_another_type_are_malformed(message):
    with pytest.raises(EndpointError) as caught:
        read_completion(body(message=message))
    assert caught.value.reason == "MALFORMED"


@pytest.mark.parametrize(
    ("finish_reason", "ending"), [("stop", Ending.LENGTH), ("content_filter", Ending.BLOCKED_OUTPUT)]
)
def test_a_text_that_no_limit_of_tokens_held_is_cut_and_ends_by_length(finish_reason, ending):
    whole = read_completion(body(message={"content": "a" * MAX_TEXT_CHARACTERS}))
    assert (len(whole.text), whole.ending) == (MAX_TEXT_CHARACTERS, Ending.STOP)
    cut = read_completion(body(finish_reason=finish_reason, message={"content": "a" * (MAX_TEXT_CHARACTERS + 1)}))
    assert (len(cut.text), cut.ending) == (MAX_TEXT_CHARACTERS, ending)


def text_body(*choices):
    return json.dumps({"choices": list(choices)}).encode()


@pytest.mark.parametrize(
    ("finish_reason", "ending"),
    [("stop", Ending.STOP), ("length", Ending.LENGTH), ("content_filter", Ending.BLOCKED_OUTPUT)],
)
def test_what_a_model_went_on_with_is_its_answer(finish_reason, ending):
    answer = read_text_completion(text_body({"text": " A lark.", "finish_reason": finish_reason}))
    assert (answer.text.reveal(), answer.ending) == (" A lark.", ending)


def test_a_text_without_end_is_cut_and_ended_by_length():
    answer = read_text_completion(text_body({"text": "a" * (MAX_TEXT_CHARACTERS + 1), "finish_reason": "stop"}))
    assert (len(answer.text), answer.ending) == (MAX_TEXT_CHARACTERS, Ending.LENGTH)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b" ", "EMPTY"),
        (b"{", "MALFORMED"),
        (b"[]", "MALFORMED"),
        (text_body(), "MALFORMED"),
        (text_body({"text": None, "finish_reason": "stop"}), "MALFORMED"),
        (text_body({"message": {"content": "x"}, "finish_reason": "stop"}), "MALFORMED"),
        (text_body(*[{"text": "x", "finish_reason": "stop"}] * 2), "MALFORMED"),
        (text_body({"text": "x", "finish_reason": None}), "UNKNOWN_FINISH"),
    ],
)
def test_what_is_no_text_completion_is_an_error(content, reason):
    with pytest.raises(EndpointError) as caught:
        read_text_completion(content)
    assert caught.value.reason == reason
