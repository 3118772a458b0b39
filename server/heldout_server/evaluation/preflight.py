"""Ask a checkpoint a few harmless questions before its run costs anything, and say what looks wrong.

The questions are ours and in everybody's sight, so what comes of them says nothing of a bank. None of it is a trial.
Findings are for people: only a checkpoint that says nothing at all is not started.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from heldout_server.domain import Checkpoint, Ending, Manifest, Message, ModelResponse, SecretText
from heldout_server.errors import EndpointError, EndpointUnavailable
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


class Finding(StrEnum):
    """Name what looks wrong."""

    NO_START = "no_start"
    NO_ANSWER = "no_answer"
    NO_CHAT_TEMPLATE = "no_chat_template"
    TRUNCATED = "truncated"
    BLOCKED = "blocked"
    EMPTY_ANSWER = "empty_answer"
    EMPTY_BESIDE_REASONING = "empty_beside_reasoning"
    STOP_TOKENS = "stop_tokens"
    TOOL_CALLS = "tool_calls"


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightReport:
    """Say what came of the questions.

    Attributes:
        asked: conversations.
        answered: those that something was said in.
        findings: what looks wrong, in the order of :class:`Finding`.
    """

    asked: int
    answered: int
    findings: tuple[Finding, ...]


async def examine(runtime: Runtime, checkpoint: Checkpoint, manifest: Manifest, system: SecretText) -> PreflightReport:
    """Serve a checkpoint, ask it the questions as the manifest's trials would be asked, and stop it.

    Args:
        runtime: serves it.
        checkpoint: what is examined.
        manifest: sampling and deadline.
        system: text of the system prompt; may be empty.
    """
    try:
        async with runtime.serve(checkpoint, patient=False) as client:
            answers = await asyncio.gather(*(_ask(client, manifest, system, question) for question in QUESTIONS))
    except (EndpointError, EndpointUnavailable):
        return PreflightReport(asked=len(QUESTIONS), answered=0, findings=(Finding.NO_START,))
    found = set(_of_files(checkpoint))
    for answer in answers:
        found.update([Finding.NO_ANSWER] if answer is None else _of_answer(answer))
    return PreflightReport(
        asked=len(answers),
        answered=sum(answer is not None and _says_something(answer) for answer in answers),
        findings=tuple(finding for finding in Finding if finding in found),
    )


async def _ask(
    client: ModelClient, manifest: Manifest, system: SecretText, question: Sequence[str]
) -> ModelResponse | None:
    messages = [Message("system", system)] if len(system) else []
    for turn, text in enumerate(question):
        messages.append(Message("assistant" if turn % 2 else "user", SecretText(text)))
    try:
        return await client.complete(messages, manifest.sampling, timeout_s=manifest.deadline_s)
    except (EndpointError, EndpointUnavailable):
        return None


def _of_files(checkpoint: Checkpoint) -> Iterator[Finding]:
    if checkpoint.facts.precision and not checkpoint.facts.chat_template_digest:
        yield Finding.NO_CHAT_TEMPLATE


def _of_answer(answer: ModelResponse) -> Iterator[Finding]:
    if answer.ending is Ending.LENGTH:
        yield Finding.TRUNCATED
    if answer.ending in {Ending.BLOCKED_INPUT, Ending.BLOCKED_OUTPUT}:
        yield Finding.BLOCKED
    elif not answer.text.reveal().strip():
        yield Finding.EMPTY_BESIDE_REASONING if len(answer.reasoning) else Finding.EMPTY_ANSWER
    if MARKERS.search(answer.text.reveal()):
        yield Finding.STOP_TOKENS
    if len(answer.tool_calls):
        yield Finding.TOOL_CALLS


def _says_something(answer: ModelResponse) -> bool:
    return bool(len(answer.text) or len(answer.reasoning) or len(answer.tool_calls))
