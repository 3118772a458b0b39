"""Read the body of a chat completion. Pure, strict, and silent about what it reads.

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

FILTER_CODES: Final = frozenset({"content_filter", "content_policy_violation"})
"""``error.code`` of a request that a filter in front of the model refused."""


def read_completion(body: bytes) -> ModelResponse:
    """Return the one answer in the body of a chat completion.

    A text of null is empty where a filter or the token limit explains it; the text of ``refusal`` stands in for it.

    Raises:
        EndpointError: ``EMPTY``, ``MALFORMED``, ``UNKNOWN_FINISH`` (an ending that is not known) or ``NO_TEXT``.
    """
    if not body.strip():
        raise EndpointError("the endpoint answered with an empty body", reason="EMPTY")
    try:
        choices = _parse(body)["choices"]
        choice = choices[0]
        message, finish_reason = choice["message"], choice["finish_reason"]
        text = message.get("content")
        if text is None:
            text = message.get("refusal")
        single = len(choices) == 1
    except (KeyError, IndexError, TypeError, AttributeError):
        single, text, finish_reason = False, None, None
    if not single or not isinstance(text, str | None):
        raise EndpointError("the endpoint's answer is no chat completion with one choice", reason="MALFORMED")
    ending = ENDINGS.get(finish_reason) if isinstance(finish_reason, str) else None
    if ending is None:
        raise EndpointError("the endpoint's answer ended in a way that is not known", reason="UNKNOWN_FINISH")
    if text is None:
        if ending is Ending.STOP:
            raise EndpointError("the endpoint's answer holds no text", reason="NO_TEXT")
        text = ""
    return ModelResponse(text=SecretText(_unicode(text)), ending=ending)


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


def _unicode(text: str) -> str:
    """Replace lone surrogates, which JSON can spell and UTF-8 cannot: a slip, and no reason to lose the trial."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
