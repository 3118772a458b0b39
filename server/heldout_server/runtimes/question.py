"""Write the body of a request for a completion: every parameter explicitly, in the words of the engine. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from heldout_server.config.runtimes import Dialect
from heldout_server.domain import Message, Sampling

NO_TOP_K: Final = -1
"""How vLLM spells that all tokens count (vLLM, ``SamplingParams.top_k``)."""


STOP: Final = ("\nUser:",)
"""Where a text to go on ends: a model that was never taught to stop writes the other side as well."""

_SPEAKERS: Final = {"user": "User: ", "assistant": "Assistant: ", "system": ""}


def encode_request(messages: Sequence[Message], sampling: Sampling, *, model: str, dialect: Dialect) -> bytes:
    """Return the body of a request.

    Args:
        messages: the conversation.
        sampling: what is asked for.
        model: the name that the endpoint gives it.
        dialect: ``openai`` knows neither ``top_k``, ``min_p``, a repetition penalty, nor how to turn reasoning off:
            there the engine's own settings hold, and the manifest says so by naming the dialect. An effort of reasoning
            is asked for in every dialect alike. In the mode ``completion`` the conversation is one text to go on, no
            chat template is in it, and so nothing that only a template could be told.
    """
    return json.dumps(
        {
            "model": model,
            **(_conversation(messages) if sampling.mode == "chat" else _text(messages)),
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
            "seed": sampling.seed,
            "n": 1,
            "stream": False,
            **(_effort(sampling) if sampling.mode == "chat" else {}),
            **_BEYOND[dialect](sampling),
        }
    ).encode()


def _conversation(messages: Sequence[Message]) -> dict[str, Any]:
    return {"messages": [{"role": one.role, "content": one.content.reveal()} for one in messages]}


def _text(messages: Sequence[Message]) -> dict[str, Any]:
    turns = [f"{_SPEAKERS[one.role]}{one.content.reveal()}" for one in messages]
    return {"prompt": "\n\n".join((*turns, "Assistant:")), "stop": list(STOP)}


def _openai(_sampling: Sampling) -> dict[str, Any]:
    return {}


def _vllm(sampling: Sampling) -> dict[str, Any]:
    return {
        "top_k": sampling.top_k or NO_TOP_K,
        "min_p": sampling.min_p,
        "repetition_penalty": sampling.repetition_penalty,
        **_template(sampling),
    }


def _llamacpp(sampling: Sampling) -> dict[str, Any]:
    return {
        "top_k": sampling.top_k,  # 0 for all as well (llama.cpp, tools/server/README.md)
        "min_p": sampling.min_p,
        "repeat_penalty": sampling.repetition_penalty,
        "cache_prompt": False,
        **_template(sampling),
    }


def _template(sampling: Sampling) -> dict[str, Any]:
    """Turn reasoning off where a model's chat template knows the switch; all these engines pass it on alike."""
    told = sampling.reasoning == "off" and sampling.mode == "chat"
    return {"chat_template_kwargs": {"enable_thinking": False}} if told else {}


def _effort(sampling: Sampling) -> dict[str, Any]:
    """Say how much reasoning is wanted, in the one way that all dialects share (OpenAI API, ``reasoning_effort``)."""
    return {} if sampling.reasoning in {"engine", "off"} else {"reasoning_effort": sampling.reasoning}


_BEYOND: Final[Mapping[Dialect, Callable[[Sampling], dict[str, Any]]]] = {
    "openai": _openai,
    "vllm": _vllm,
    "llamacpp": _llamacpp,
}
