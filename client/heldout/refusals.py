"""The error table of the client: from a gRPC status to one error with a fixed message.

The machine reason in ``google.rpc.ErrorInfo`` decides, else the gRPC code; a bank tester is told an exact one beside
it, which is shown in brackets. Nothing else that the appliance wrote is shown: not even a forged appliance can put
words into a terminal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from heldout.errors import (
    BudgetExhausted,
    CallError,
    InternalError,
    InvalidRequest,
    NotFound,
    Refused,
    Unavailable,
    WrongState,
)

DETAILS_KEY: Final = "grpc-status-details-bin"
DOMAIN: Final = "heldout"

REFUSED: Final = "not for this certificate, or no such thing. The refusal is in the log."
NOT_FOUND: Final = "there is no such thing: see heldout bank list, run list, checkpoints or cards list"
INVALID: Final = "a field is missing, malformed or out of range"
STATE: Final = "right in itself, but not in this state"
BUDGET: Final = "the ledger has no release left for these prompts: rotate the bank"
DEADLINE: Final = "the appliance did not answer in time"
UNKNOWN_METHOD: Final = "not a call of this version, or of this half: see window_address in the profile"
INTERNAL: Final = "something failed inside the appliance"

Row = tuple[type[CallError], str]

BY_REASON: Final[Mapping[str, Row]] = {
    "REFUSED": (Refused, REFUSED),
    "NOT_FOUND": (NotFound, NOT_FOUND),
    "INVALID_REQUEST": (InvalidRequest, INVALID),
    "WRONG_STATE": (WrongState, STATE),
    "RUN_UNDER_WAY": (WrongState, "a run is under way, and nothing is asked beside it: call again after its slot"),
    "BUDGET_EXHAUSTED": (BudgetExhausted, BUDGET),
    "RATE_LIMITED": (Unavailable, "too many such calls of this certificate: wait a moment, then call again"),
    "CHECKPOINT": (WrongState, "the checkpoint cannot be used"),
    "SEALED": (Unavailable, "the appliance is sealed: it answers once its key holders have given their shares"),
    "STOPPING": (Unavailable, "the appliance is stopping: call again later"),
    "UNLOGGED": (Unavailable, "the appliance cannot write its audit log, so it answers nothing"),
    "STORAGE": (Unavailable, "a disk or a database of the appliance failed; nothing was changed"),
    "RUN": (Unavailable, "the model's runtime failed"),
    "DEADLINE": (Unavailable, DEADLINE),
    "CANCELLED": (Unavailable, "the call was cancelled"),
    "UNKNOWN_METHOD": (Unavailable, UNKNOWN_METHOD),
    "INTEGRITY": (InternalError, "something that the appliance stored is not what it stored"),
    "WITHHELD": (InternalError, "the answer may not leave the appliance"),
    "INTERNAL": (InternalError, INTERNAL),
}

BY_CODE: Final[Mapping[str, Row]] = {
    "PERMISSION_DENIED": (Refused, REFUSED),
    "UNAUTHENTICATED": (Refused, REFUSED),
    "NOT_FOUND": (NotFound, NOT_FOUND),
    "INVALID_ARGUMENT": (InvalidRequest, INVALID),
    "OUT_OF_RANGE": (InvalidRequest, INVALID),
    "FAILED_PRECONDITION": (WrongState, STATE),
    "ALREADY_EXISTS": (WrongState, STATE),
    "ABORTED": (WrongState, STATE),
    "RESOURCE_EXHAUSTED": (Unavailable, "more was asked than fits into one call"),
    "DEADLINE_EXCEEDED": (Unavailable, DEADLINE),
    "CANCELLED": (Unavailable, "the call was cancelled"),
    "UNIMPLEMENTED": (Unavailable, UNKNOWN_METHOD),
    "UNKNOWN": (InternalError, INTERNAL),
    "INTERNAL": (InternalError, INTERNAL),
    "DATA_LOSS": (InternalError, INTERNAL),
}

BY_EXACT: Final[Mapping[str, str]] = {
    "ACCESS_REFUSED": "the endpoint refuses the appliance's key: the operator puts a good one in place, then restarts",
    "ANCHOR_REPEATED": "this checkpoint is released about this epoch already",
    "ANCHOR_UNKNOWN": "--anchor restates a checkpoint that was released before, and this one was not",
    "FOLDS_TEXT": "this stack: what does not keep all of a text (morse) goes innermost: put it first",
    "MANY_SHOT_INSIDE": "this stack: many-shot demonstrations must be outermost: put them last",
    "NO_PLAIN_CELL": "a plan needs the plain cell: --technique plain first",
    "NO_WORDS_LEFT": "this stack: an obfuscation finds no words left to rewrite: put it first",
    "OBFUSCATION_OVER_ENCODING": "this stack: an obfuscation over an encoding destroys it: put it first",
    "OBFUSCATION_OVER_WORDS": "this stack: an obfuscation over instructions rewrites their words: put it first",
    "REPEATED_CELL": "a technique or a stack is named twice: name it once",
    "REPEATED_TECHNIQUE": "this stack: it holds a technique twice, which says nothing new: name it once",
    "SPLIT_OF_A_SPLIT": "this stack: a split of a split gives two meanings to the name of a part: keep one",
    "SPLIT_OVER_INSTRUCTIONS": "this stack: a split over instructions would cut them: put it first",
    "SUFFIX_IN_A_SCENE": "this stack: a framing or persona takes the suffix into its scene: put the suffix last",
    "TWO_PERSONAS": "this stack: two personas contradict each other: keep one",
    "UNKNOWN_TECHNIQUE": "there is no such technique to stack: heldout techniques list (plain goes with none)",
    **dict.fromkeys(
        (
            *("CARDS_CHANGED", "CHECKPOINT_CHANGED", "CONTAINMENT_CHANGED", "EPOCH_CHANGED", "JUDGE_CHANGED"),
            *("OUTDATED", "RUNTIME_CHANGED", "SAMPLING_CHANGED", "SYSTEM_PROMPT_CHANGED", "TECHNIQUES_CHANGED"),
        ),
        "what the run would test changed since it was proposed: propose it anew",
    ),
    "BANK_EMPTY": "there is no live prompt to freeze: heldout bank import FILE",
    "CHECKPOINT_REFUSED": "the checkpoint was refused: heldout checkpoints says why",
    "ENDPOINT_UNAVAILABLE": "the endpoint stayed away longer than a run waits: bring it up, restart the appliance",
    "EPOCH_UNCHANGED": "nothing changed in the bank since the newest epoch, so there is none to open",
    "EXPOSED_RUNTIME": "an exposed runtime would see the prompts: --allow-exposed, if you mean that",
    "NOTHING_ANSWERED": "the checkpoint gave no answer that says anything: heldout run preflight says what to change",
    "NOT_APPROVED": "an approval is missing: heldout run show says who approved",
    "NOT_COMPLETE": "not all of its trials are done: heldout run show says where it stands",
    "NOT_PROPOSED": "the run is not proposed any more: heldout run show says where it stands",
    "NO_EPOCH": "no epoch is open: heldout bank epoch open",
    "NO_RUNTIME": "nothing here serves the engine that the checkpoint asks for: the operator sets it up",
    "PACK_BROKEN": "the pack was changed or cut off on its way: nothing was imported, seal the file anew",
    "PACK_OF_ANOTHER_APPLIANCE": "the pack was sealed to another appliance: heldout bank pack-key shows this one's key",
    "PACK_UNKNOWN": "that is no pack of this version: seal the file with heldout bank seal",
    "POLICY_CHANGED": "the policy changed since the run was proposed: propose it anew",
    "STAGED_FILES_CHANGED": "the checkpoint's staged files are not what was staged: stage it anew under another name",
}
"""What a bank tester is told in place of what does for any such failure; the code stands behind it all the same."""

EXPLAINED: Final = (InvalidRequest, WrongState, Unavailable, InternalError)
"""The kinds of errors of which a bank tester is told so; a refusal looks like any other."""

NOBODY_LISTENS: Final = "Connection refused"
NO_SUCH_HOST: Final = ("DNS resolution failed", "Domain name not found")
NOT_OF_OUR_CA: Final = "CERTIFICATE_VERIFY_FAILED"

_OPAQUE_ID: Final = re.compile(r"its id in the log is ([A-Za-z0-9._-]{1,80})\Z")
_REASON: Final = re.compile(r"[A-Z][A-Z0-9_]{0,62}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Hold a gRPC status as it came.

    Attributes:
        code: the status code's name, such as ``NOT_FOUND``.
        message: its text; not shown.
        details: the serialized ``google.rpc.Status``, if it came.
    """

    code: str
    message: str
    details: bytes | None


def error_for(failure: Failure, *, address: str, doubt: Callable[[], str] = str) -> CallError:
    """Return the error that stands for a status.

    Args:
        failure: the status.
        address: where the appliance was looked for.
        doubt: says what is wrong with our own certificate, as far as it can be seen here; empty for nothing.
    """
    reason, exact = read_reasons(failure.details)
    if not reason and failure.code == "UNAVAILABLE":
        return Unavailable(_explain_unreached(failure.message, address, doubt), reason="UNREACHABLE")
    kind, message = BY_REASON.get(reason) or BY_CODE.get(failure.code, (InternalError, INTERNAL))
    if kind in EXPLAINED:
        message = BY_EXACT.get(exact, message)
    if exact and exact != reason:
        message += f" ({exact.lower()})"
    if kind is not InternalError:
        return kind(message, reason=exact or reason or failure.code)
    found = _OPAQUE_ID.search(failure.message)
    opaque_id = found.group(1) if found else ""
    return InternalError(
        f"{message}; its id in the appliance's log is {opaque_id}" if opaque_id else message,
        reason=reason or failure.code,
        opaque_id=opaque_id,
    )


def _explain_unreached(said: str, address: str, doubt: Callable[[], str]) -> str:
    """Say why there is no connection: of what gRPC's core says, some marks are known, and none of it is shown."""
    if NOBODY_LISTENS in said:
        return f"nothing listens at {address}: is the appliance started, and is that its address?"
    if any(mark in said for mark in NO_SUCH_HOST):
        return f"the name in {address} is not known here: see address in the profile"
    if NOT_OF_OUR_CA in said:
        return f"what answers at {address} has no certificate of the profile's ca: is it another appliance?"
    message = f"no appliance answers at {address}, or it does not accept this certificate"
    return f"{message}: {found}" if (found := doubt()) else message


def read_reasons(details: bytes | None) -> tuple[str, str]:
    """Return the appliance's machine reason and, for bank testers, the exact one; empty where there is none."""
    if details is None:
        return "", ""
    info = error_details_pb2.ErrorInfo()
    try:
        status = status_pb2.Status.FromString(details)
        for detail in status.details:
            if detail.Unpack(info) and info.domain == DOMAIN and _REASON.fullmatch(info.reason):
                exact = str(info.metadata.get("exact", ""))
                return str(info.reason), exact if _REASON.fullmatch(exact) else ""
    except DecodeError:
        return "", ""
    return "", ""
