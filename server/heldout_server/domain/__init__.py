"""The words that every room shares: frozen values, enums, and the one type for text that must not leave.

No I/O, no clock, no randomness. A value that crosses a room's door is defined here, and taken from here::

    names         what a name looks like, and the one of the cell without a technique
    secret_text   the one type for text that must not leave
    people        who calls: identities and their roles
    prompts       what is asked: prompts on their way into the bank, and what is known of them without their text
    answers       what a model is sent, what it answers, and what a judge says of that
    techniques    what is said of a technique
    checkpoints   what is tested: a checkpoint, and what is known of it before a run
    runs          a run: what it tests, fixed before it starts, and where it stands
"""

from heldout_server.domain.answers import (
    ATTACK_SUCCESS,
    NON_ANSWERS,
    OVER_REFUSAL,
    Ending,
    Message,
    ModelResponse,
    Outcome,
    Verdict,
)
from heldout_server.domain.checkpoints import (
    Checkpoint,
    CheckpointFacts,
    CheckpointState,
    LeftOut,
    LeftOutReason,
    Preflight,
    PreflightFinding,
    TrustClass,
)
from heldout_server.domain.names import IDENTIFIER, PLAIN
from heldout_server.domain.people import Principal, Role
from heldout_server.domain.prompts import Epoch, Intent, Member, PromptDraft
from heldout_server.domain.runs import Manifest, Mode, Reasoning, Run, RunState, Sampling, SystemPrompt
from heldout_server.domain.secret_text import NOTHING, SecretText
from heldout_server.domain.techniques import Card

__all__ = [
    "ATTACK_SUCCESS",
    "IDENTIFIER",
    "NON_ANSWERS",
    "NOTHING",
    "OVER_REFUSAL",
    "PLAIN",
    "Card",
    "Checkpoint",
    "CheckpointFacts",
    "CheckpointState",
    "Ending",
    "Epoch",
    "Intent",
    "LeftOut",
    "LeftOutReason",
    "Manifest",
    "Member",
    "Message",
    "Mode",
    "ModelResponse",
    "Outcome",
    "Preflight",
    "PreflightFinding",
    "Principal",
    "PromptDraft",
    "Reasoning",
    "Role",
    "Run",
    "RunState",
    "Sampling",
    "SecretText",
    "SystemPrompt",
    "TrustClass",
    "Verdict",
]
