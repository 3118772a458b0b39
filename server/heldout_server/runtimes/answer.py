"""Read the body of a chat completion, or of a text completion. Pure, strict, and silent about what it reads.

Whoever serves the model decides these bytes, and that may be the people it is tested for: whatever is not plainly an
answer is an error of the endpoint, never an answer.
"""

from __future__ import annotations

import json
from typing import Any, Final

from heldout_server.domain import Ending, ModelResponse, SecretText
from heldout_server.errors import EndpointError

ENDINGS: Final = {"stop": Ending.STOP, "length": Ending.LENGTH, "content_filter": Ending.BLOCKED_OUTPUT}
"""What ``finish_reason`` may say (OpenAI API reference, "The chat completion object")."""

REASONING: Final = ("reasoning_content", "reasoning")
"""Where engines put what a model wrote before its answer: llama.cpp, SGLang and older vLLM, then newer vLLM."""

CALLED: Final = frozenset({"tool_calls", "function_call"})
"""``finish_reason`` of a turn that ends in calls of tools."""

MAX_TEXT_CHARACTERS: Final = 256 * 1024
"""Far over what a trial's ``max_tokens`` lets an engine say that keeps to it."""

FILTER_CODES: Final = frozenset({"content_filter", "content_policy_violation"})
"""``error.code`` of a request that a filter in front of the model refused."""


def read_completion(body: bytes) -> ModelResponse:
    """Return the one answer in the body of a chat completion.

    A text of null is empty where a filter, the token limit, reasoning or calls of tools explain it; the text of
    ``refusal`` stands in for it. Calls of tools end a turn as a stop does: nobody here answers them. A text over
    :data:`MAX_TEXT_CHARACTERS` is cut there and ended by length, as one over a limit of tokens is: what was said until
    there counts, and what decodes and judges it has a bound, whoever wrote it.

    Raises:
        EndpointError: ``EMPTY``, ``MALFORMED``, ``UNKNOWN_FINISH`` (an ending that is not known) or ``NO_TEXT``.
    """
    if not body.strip():
        raise EndpointError("the endpoint answered with an empty body", reason="EMPTY")
    try:
        choices = _parse(body)["choices"]
        choice = choices[0]
        message, finish_reason = choice["message"], choice["finish_reason"]
        text, refusal = message.get("content"), message.get("refusal")
        reasoning = next((message[key] for key in REASONING if message.get(key) is not None), "")
        calls = message.get("tool_calls") or []
        single = len(choices) == 1
    except (KeyError, IndexError, TypeError, AttributeError):
        raise _malformed() from None
    text = refusal if text is None else text
    if not single or not isinstance(text, str | None) or not isinstance(reasoning, str) or not isinstance(calls, list):
        raise _malformed()
    ending = _ending(finish_reason, called=bool(calls))
    if text is None:
        if ending is Ending.STOP and not reasoning and not calls:
            raise EndpointError("the endpoint's answer holds no text", reason="NO_TEXT")
        text = ""
    if len(text) > MAX_TEXT_CHARACTERS and ending is Ending.STOP:
        ending = Ending.LENGTH
    return ModelResponse(
        text=SecretText(_unicode(text[:MAX_TEXT_CHARACTERS])),
        ending=ending,
        reasoning=SecretText(_unicode(reasoning)),
        tool_calls=SecretText(json.dumps(calls) if calls else ""),
    )


def read_text_completion(body: bytes) -> ModelResponse:
    """Return the one answer in the body of a text completion: what the model went on with, as it is.

    Raises:
        EndpointError: ``EMPTY``, ``MALFORMED`` or ``UNKNOWN_FINISH``, as :func:`read_completion` raises them.
    """
    if not body.strip():
        raise EndpointError("the endpoint answered with an empty body", reason="EMPTY")
    try:
        choices = _parse(body)["choices"]
        text, finish_reason = choices[0]["text"], choices[0]["finish_reason"]
        single = len(choices) == 1
    except (KeyError, IndexError, TypeError, AttributeError):
        raise _malformed() from None
    if not single or not isinstance(text, str):
        raise _malformed()
    ending = _ending(finish_reason, called=False)
    if len(text) > MAX_TEXT_CHARACTERS and ending is Ending.STOP:
        ending = Ending.LENGTH
    return ModelResponse(text=SecretText(_unicode(text[:MAX_TEXT_CHARACTERS])), ending=ending)


def is_blocked_input(body: bytes) -> bool:
    """Say whether the body of a refused request (HTTP 400) says that a content filter refused it."""
    try:
        return _parse(body)["error"]["code"] in FILTER_CODES
    except (EndpointError, KeyError, TypeError):
        return False


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise EndpointError("the endpoint's answer is not JSON", reason="MALFORMED") from None


def _ending(finish_reason: object, *, called: bool) -> Ending:
    if called and isinstance(finish_reason, str) and finish_reason in CALLED:
        return Ending.STOP
    ending = ENDINGS.get(finish_reason) if isinstance(finish_reason, str) else None
    if ending is None:
        raise EndpointError("the endpoint's answer ended in a way that is not known", reason="UNKNOWN_FINISH")
    return ending


def _malformed() -> EndpointError:
    return EndpointError("the endpoint's answer is no completion with one choice", reason="MALFORMED")


def _unicode(text: str) -> str:
    """Replace lone surrogates, which JSON can spell and UTF-8 cannot: a slip, and no reason to lose the trial."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
