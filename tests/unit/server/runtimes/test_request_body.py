"""Every engine is told the same, in its own words."""

from __future__ import annotations

import json

import pytest

from heldout_server.domain import Message, Sampling, SecretText
from heldout_server.runtimes.question import encode_request

COMMON = {
    "model": "nova",
    "messages": [{"role": "user", "content": "who sings?"}],
    "temperature": 0.5,
    "top_p": 0.9,
    "max_tokens": 17,
    "seed": 4,
    "n": 1,
    "stream": False,
}
ASKED = {"temperature": 0.5, "top_p": 0.9, "max_tokens": 17, "seed": 4}


def encode(dialect, **sampling):
    messages = (Message("user", SecretText("who sings?")),)
    return json.loads(encode_request(messages, Sampling(**ASKED | sampling), model="nova", dialect=dialect))


@pytest.mark.parametrize(
    ("dialect", "beyond"),
    [
        ("openai", {}),
        ("vllm", {"top_k": 20, "min_p": 0.1, "repetition_penalty": 1.2}),
        ("llamacpp", {"top_k": 20, "min_p": 0.1, "repeat_penalty": 1.2, "cache_prompt": False}),
    ],
)
def test_each_dialect_spells_what_goes_beyond_openai(dialect, beyond):
    assert encode(dialect, top_k=20, min_p=0.1, repetition_penalty=1.2) == COMMON | beyond


@pytest.mark.parametrize(
    ("dialect", "beyond"),
    [("openai", {}), ("vllm", {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0})],
)
def test_a_checkpoint_without_a_chat_template_goes_on_with_a_text_of_turns(dialect, beyond):
    said = [("system", "Be kind."), ("user", "who sings?"), ("assistant", "A lark."), ("user", "why?")]
    messages = [Message(role, SecretText(text)) for role, text in said]
    sampling = Sampling(**ASKED, mode="completion", reasoning="off")
    asked = json.loads(encode_request(messages, sampling, model="nova", dialect=dialect))
    text = "Be kind.\n\nUser: who sings?\n\nAssistant: A lark.\n\nUser: why?\n\nAssistant:"
    common = {name: value for name, value in COMMON.items() if name != "messages"}
    assert asked == common | {"prompt": text, "stop": ["\nUser:"]} | beyond


def test_all_tokens_are_spelt_differently():
    assert encode("vllm")["top_k"] == -1
    assert encode("llamacpp")["top_k"] == 0


@pytest.mark.parametrize("dialect", ["openai", "vllm", "llamacpp"])
def test_an_effort_of_reasoning_is_asked_for_in_the_words_of_openai(dialect):
    assert encode(dialect, reasoning="low")["reasoning_effort"] == "low"
    assert "chat_template_kwargs" not in encode(dialect, reasoning="low")
    assert not {"reasoning_effort"} & {*encode(dialect), *encode(dialect, reasoning="off")}


@pytest.mark.parametrize("dialect", ["vllm", "llamacpp"])
def test_reasoning_is_turned_off_by_the_chat_template(dialect):
    assert encode(dialect, reasoning="off")["chat_template_kwargs"] == {"enable_thinking": False}
    assert "chat_template_kwargs" not in encode(dialect)
