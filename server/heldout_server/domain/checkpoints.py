"""What is tested: a checkpoint, and what is known of it before a run."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class TrustClass(StrEnum):
    """Who can see what a runtime is sent.

    Attributes:
        CONTAINED: nobody outside: the appliance started it, and nothing leaves it.
        ATTESTED: nobody outside, as the runtime itself proves.
        EXPOSED: whoever runs it, so each prompt that it is sent is burnt.
    """

    CONTAINED = "contained"
    ATTESTED = "attested"
    EXPOSED = "exposed"


class CheckpointState(StrEnum):
    """Where a checkpoint stands."""

    STAGED = "staged"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointFacts:
    """Hold what a checkpoint's own files say of it: identifiers and digests, each empty if they do not say.

    Attributes:
        precision: the type that most bytes of its weights have, such as ``bf16`` or ``q4_k``.
        architecture: such as ``llama``.
        chat_template_digest: hex SHA-256 of the chat template's UTF-8 text.
    """

    precision: str = ""
    architecture: str = ""
    chat_template_digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Describe a checkpoint that was noticed.

    Attributes:
        sequence: 1-based order in which checkpoints were noticed.
        digest: hex SHA-256 over the sorted (path, SHA-256, size) of its files; empty if refused.
        reason: why it was refused, as a code; empty if staged.
        detail: where in it, as one identifier in words of ours; empty if that is not known.
        path: the read-only staged folder; empty if refused.
        facts: what its files say of themselves.
        base: the checkpoint whose weights it adapts; None if it stands alone.
    """

    name: str
    line: str
    sequence: int
    runtime: str
    digest: str
    state: CheckpointState
    reason: str
    path: str
    noticed_s: int
    facts: CheckpointFacts = CheckpointFacts()
    base: Checkpoint | None = None
    detail: str = ""


class LeftOutReason(StrEnum):
    """Say why something in the source is not taken in, and not refused either.

    Attributes:
        NO_MARKER: a folder whose ``READY`` is not there.
        STRAY_FILE: a file beside the folders.
    """

    NO_MARKER = "no_marker"
    STRAY_FILE = "stray_file"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Name something in the source that has been waiting there for a while.

    Attributes:
        name: its own, or ``waiting-`` and a number where that is no identifier.
        seen_s: Unix seconds when it was first seen by this process.
    """

    name: str
    reason: LeftOutReason
    seen_s: int


class PreflightFinding(StrEnum):
    """Name what looks wrong with a checkpoint as it answers a few harmless questions."""

    NO_START = "no_start"
    NOT_CONTAINED = "not_contained"
    ACCESS_REFUSED = "access_refused"
    NO_ANSWER = "no_answer"
    NO_CHAT_TEMPLATE = "no_chat_template"
    TRUNCATED = "truncated"
    BLOCKED = "blocked"
    EMPTY_ANSWER = "empty_answer"
    EMPTY_BESIDE_REASONING = "empty_beside_reasoning"
    STOP_TOKENS = "stop_tokens"
    TOOL_CALLS = "tool_calls"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """Say what came of the questions.

    Attributes:
        asked: conversations.
        answered: those that something was said in.
        findings: what looks wrong, in the order of :class:`PreflightFinding`.
    """

    asked: int
    answered: int
    findings: tuple[PreflightFinding, ...]
