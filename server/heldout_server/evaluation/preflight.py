"""Ask a checkpoint a few harmless questions before its run costs anything, and say what looks wrong.

The questions are ours and in everybody's sight, so what comes of them says nothing of a bank. None of it is a trial.
Findings are for people: only a checkpoint that says nothing at all is not started.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from typing import Final

import structlog

from heldout_server.domain import (
    Checkpoint,
    Ending,
    Message,
    ModelResponse,
    Preflight,
    PreflightFinding,
    Sampling,
    SecretText,
)
from heldout_server.errors import EndpointError, EndpointUnavailable, HeldoutError
from heldout_server.ports.runtimes import ModelClient, Runtime

QUESTIONS: Final = (
    ("What is the capital of France?",),
    ("Please list three things that one can bake with apples.",),
    ("Good morning!", "Good morning. How can I help you?", "Write one sentence about the sea."),
    ("Reply with the single word yes.",),
)
"""Conversations, the user first."""

MARKERS: Final = re.compile(
    r"<\|[a-z_]{2,24}\|>|<(?:start|end)_of_turn>|</?s>|\[/?INST\]|<\uff5c[^\uff5c]{2,40}\uff5c>", re.IGNORECASE
)
"""Special tokens of chat templates (ChatML, Llama, Gemma, Mistral, DeepSeek): none belongs into an answer."""


STARTS: Final = {
    "ACCESS_REFUSED": PreflightFinding.ACCESS_REFUSED,
    "NO_NAMESPACE": PreflightFinding.NOT_CONTAINED,
    "NO_CONTAINMENT": PreflightFinding.NOT_CONTAINED,
}
"""What is found where nothing comes up, by the reason; any other is ``NO_START``."""

_log = structlog.get_logger("evaluation")


async def examine(
    runtime: Runtime, checkpoint: Checkpoint, sampling: Sampling, system: SecretText, *, timeout_s: float
) -> Preflight:
    """Serve a checkpoint, ask it the questions as trials would be asked, and stop it.

    Args:
        runtime: serves it.
        checkpoint: what is examined.
        sampling: what every request asks for.
        system: text of the system prompt; may be empty.
        timeout_s: seconds that one answer may take.
    """
    try:
        async with runtime.serve(checkpoint, patient=False) as client:
            answers = await asyncio.gather(
                *(_ask(client, sampling, system, question, timeout_s=timeout_s) for question in QUESTIONS)
            )
    except (EndpointError, EndpointUnavailable) as failure:
        _log.warning("preflight_failed", checkpoint=checkpoint.name, runtime=runtime.engine, reason=failure.reason)
        finding = STARTS.get(failure.reason, PreflightFinding.NO_START)
        return Preflight(asked=len(QUESTIONS), answered=0, findings=(finding,))
    found = set(_of_files(checkpoint) if sampling.mode == "chat" else ())
    for answer in answers:
        found.update([answer] if isinstance(answer, PreflightFinding) else _of_answer(answer))
    return Preflight(
        asked=len(answers),
        answered=sum(isinstance(answer, ModelResponse) and _says_something(answer) for answer in answers),
        findings=tuple(finding for finding in PreflightFinding if finding in found),
    )


async def _ask(
    client: ModelClient, sampling: Sampling, system: SecretText, question: Sequence[str], *, timeout_s: float
) -> ModelResponse | PreflightFinding:
    messages = [Message("system", system)] if len(system) else []
    for turn, text in enumerate(question):
        messages.append(Message("assistant" if turn % 2 else "user", SecretText(text)))
    try:
        return await client.complete(messages, sampling, timeout_s=timeout_s)
    except (EndpointError, EndpointUnavailable) as failure:
        return PreflightFinding.ACCESS_REFUSED if _is_refused(failure) else PreflightFinding.NO_ANSWER


def _is_refused(failure: HeldoutError) -> bool:
    return isinstance(failure, EndpointUnavailable) and failure.reason == "ACCESS_REFUSED"


def _of_files(checkpoint: Checkpoint) -> Iterator[PreflightFinding]:
    if checkpoint.facts.precision and not checkpoint.facts.chat_template_digest:
        yield PreflightFinding.NO_CHAT_TEMPLATE


def _of_answer(answer: ModelResponse) -> Iterator[PreflightFinding]:
    if answer.ending is Ending.LENGTH:
        yield PreflightFinding.TRUNCATED
    if answer.ending in {Ending.BLOCKED_INPUT, Ending.BLOCKED_OUTPUT}:
        yield PreflightFinding.BLOCKED
    elif not answer.text.reveal().strip():
        yield PreflightFinding.EMPTY_BESIDE_REASONING if len(answer.reasoning) else PreflightFinding.EMPTY_ANSWER
    if MARKERS.search(answer.text.reveal()):
        yield PreflightFinding.STOP_TOKENS
    if len(answer.tool_calls):
        yield PreflightFinding.TOOL_CALLS


def _says_something(answer: ModelResponse) -> bool:
    return bool(len(answer.text) or len(answer.reasoning) or len(answer.tool_calls))
