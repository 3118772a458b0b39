"""A run: what it tests, fixed before it starts, and where it stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypeAlias

from heldout_server.domain.checkpoints import TrustClass
from heldout_server.domain.secret_text import NOTHING, SecretText


class RunState(StrEnum):
    """Where a run stands. A started run always ends in ``PUBLISHED``."""

    PROPOSED = "proposed"
    RUNNING = "running"
    COMPLETE = "complete"
    PUBLISHED = "published"
    CANCELLED = "cancelled"


Reasoning: TypeAlias = Literal["engine", "off", "low", "medium", "high"]
"""Whether a model that can reason before it answers may: as its engine has it, or not at all."""


Mode: TypeAlias = Literal["chat", "completion"]
"""How a model is spoken to: through its chat template, or, where there is none yet, with a text to go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """List every sampling parameter, all sent explicitly: engines take silent defaults.

    Attributes:
        temperature: 0 to 2.
        top_p: 0 to 1.
        top_k: only so many of the likeliest tokens, or 0 for all.
        min_p: only tokens at least this likely relative to the likeliest, 0 to 1.
        repetition_penalty: 1 for none.
        max_tokens: the most tokens of an answer, of its reasoning as well.
        seed: sent with each request.
        reasoning: how much the model may reason before it answers; ``engine`` leaves it to the engine.
        mode: through its chat template, or with a text to go on.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    max_tokens: int = 512
    seed: int = 0
    reasoning: Reasoning = "engine"
    mode: Mode = "chat"


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemPrompt:
    """Hold what is said to the model before every prompt, as a deployment would.

    Attributes:
        profile: its name, an identifier; empty for none.
        digest: hex SHA-256 of its UTF-8 text; empty for none.
    """

    profile: str = ""
    digest: str = ""
    text: SecretText = NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Fix what a run tests before it starts: nothing in it may depend on an outcome.

    Attributes:
        checkpoint: registered name of the checkpoint.
        checkpoint_digest: hex SHA-256 over the digests of its files.
        line: the model line it belongs to.
        base, base_digest: name and digest of the checkpoint whose weights it adapts; empty if it stands alone.
        epoch_id: the frozen set of prompts.
        epoch_commitment: see :class:`Epoch`.
        techniques: ids tried alone, in table order; :data:`PLAIN` first where it is tried.
        stacks: ordered compositions of technique ids, in table order.
        judge: id of the judge.
        judge_digest: hex SHA-256 of everything that shapes its verdicts.
        policy_digest: hex SHA-256 of the signed policy document.
        runtime: engine that serves the checkpoint.
        trust: who can see what the runtime is sent.
        attempts: trials of each prompt in each cell, at least 1.
        deadline_s: seconds that one trial may take.
        engine_version: version of the engine; empty where it is not known.
        dialect: how sampling beyond the OpenAI parameters is sent; ``openai``: not, and the engine's own settings hold.
        filters: names of filters in front of the model.
        precision, chat_template_digest: see :class:`CheckpointFacts`.
        system_profile, system_digest: see :class:`SystemPrompt`.
        allow_exposed: the prompts may be sent to a server that can log them.
        burnt_prompts: prompts that the run sends to such a server: all of the epoch, or none.
        techniques_digest: hex SHA-256 of what the techniques and those of the stacks make of fixed texts.
        cards: of those that have a published card, their ids in order, each with the hex SHA-256 of its card.
        anchor: the release restates a checkpoint that was released about an earlier epoch, or by an earlier judge.
    """

    checkpoint: str
    checkpoint_digest: str
    line: str
    epoch_id: str
    epoch_commitment: str
    techniques: tuple[str, ...]
    stacks: tuple[tuple[str, ...], ...]
    judge: str
    judge_digest: str
    policy_digest: str
    runtime: str
    trust: TrustClass
    sampling: Sampling = field(default_factory=Sampling)
    attempts: int = 1
    deadline_s: float = 30.0
    engine_version: str = ""
    dialect: str = "openai"
    filters: tuple[str, ...] = ()
    precision: str = ""
    chat_template_digest: str = ""
    system_profile: str = ""
    system_digest: str = ""
    allow_exposed: bool = False
    base: str = ""
    base_digest: str = ""
    burnt_prompts: int = 0
    techniques_digest: str = ""
    cards: tuple[tuple[str, str], ...] = ()
    anchor: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Say where a run stands.

    Attributes:
        digest: hex SHA-256 of the manifest, which approvals and receipts name.
        release_number: 1-based number of its release in the epoch, from its start on; 0 before.
        approvals: identities that approved exactly this digest.
        template: hex SHA-256 of the manifest without its checkpoint, which standing approvals name.
        created_s, started_s: Unix seconds; ``started_s`` is 0 before the start.
        publishes_s: its slot in Unix seconds, from its start on; 0 if it publishes on completion.
        planned_trials: trials that the plan holds, from membership alone.
        cancelled: it was ended early, after its start: its release holds no figures.
        submitted: proposed by the appliance itself when it noticed the checkpoint.
    """

    run_id: str
    manifest: Manifest
    digest: str
    state: RunState
    release_number: int
    approvals: tuple[str, ...]
    created_s: int
    started_s: int
    planned_trials: int
    cancelled: bool = False
    submitted: bool = False
    template: str = ""
    publishes_s: int = 0
