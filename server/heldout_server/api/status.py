"""The error table: from an exception to a gRPC status with a fixed message and a machine reason.

No message quotes input. What is not in the table is INTERNAL with an opaque id, which also stands in the server's log.
Refused, unknown and withheld look alike to whoever is not a bank tester: :func:`status_for` folds them together.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Final

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from heldout_policy.disclosure import NotDisclosable
from heldout_server.domain import Role
from heldout_server.errors import (
    BudgetExhausted,
    CheckpointError,
    HeldoutError,
    IntegrityError,
    InvalidRequest,
    NotFound,
    Refused,
    RunError,
    RunUnderWay,
    StorageError,
    WrongState,
)

DOMAIN: Final = "heldout"
DETAILS_KEY: Final = "grpc-status-details-bin"


@dataclass(frozen=True, slots=True)
class Status:
    """Hold what a caller is told of a failure.

    Attributes:
        reason: the table's machine reason.
        exact: the error's own, finer one, for bank testers alone; empty for everybody else.
        recorded: what stands in the log where a caller is told less; empty for the reason itself.
        retry_s: whole seconds after which the same call may be made again; 0 where that is not the point.
    """

    code: grpc.StatusCode
    reason: str
    message: str
    exact: str = ""
    recorded: str = ""
    retry_s: int = 0

    def details(self) -> bytes:
        """Return the serialized ``google.rpc.Status`` with an ``ErrorInfo``, and a ``RetryInfo`` where there is one."""
        metadata = {"exact": self.exact} if self.exact else {}
        details = [_packed(error_details_pb2.ErrorInfo(reason=self.reason, domain=DOMAIN, metadata=metadata))]
        if self.retry_s:
            delay = duration_pb2.Duration(seconds=self.retry_s)
            details.append(_packed(error_details_pb2.RetryInfo(retry_delay=delay)))
        number = code_pb2.Code.Value(self.code.name)
        serialized: bytes = status_pb2.Status(code=number, message=self.message, details=details).SerializeToString()
        return serialized


REFUSED: Final = Status(
    grpc.StatusCode.PERMISSION_DENIED,
    "REFUSED",
    "no such thing, or not for this certificate; the refusal is in the log",
)
DEADLINE: Final = Status(grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE", "the call took longer than it may")
UNIMPLEMENTED: Final = Status(grpc.StatusCode.UNIMPLEMENTED, "UNKNOWN_METHOD", "there is no such method")
UNLOGGED: Final = Status(
    grpc.StatusCode.UNAVAILABLE, "UNLOGGED", "the audit log cannot be written, so nothing is answered"
)
STOPPING: Final = Status(grpc.StatusCode.UNAVAILABLE, "STOPPING", "the appliance is stopping: call again later")
SEALED: Final = Status(grpc.StatusCode.UNAVAILABLE, "SEALED", "the appliance is sealed: it waits for its key holders")
CANCELLED: Final = Status(grpc.StatusCode.CANCELLED, "CANCELLED", "the caller went away")
RATE_LIMITED: Final = Status(
    grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED", "too many such calls of this certificate: wait, then call again"
)

TABLE: Final[tuple[tuple[type[Exception], Status], ...]] = (
    (
        InvalidRequest,
        Status(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST", "a field is missing, malformed or out of range"),
    ),
    (NotFound, Status(grpc.StatusCode.NOT_FOUND, "NOT_FOUND", "no such thing")),
    (Refused, REFUSED),
    (
        BudgetExhausted,
        Status(
            grpc.StatusCode.RESOURCE_EXHAUSTED, "BUDGET_EXHAUSTED", "the ledger has no release left: rotate the bank"
        ),
    ),
    (
        RunUnderWay,
        Status(
            grpc.StatusCode.FAILED_PRECONDITION,
            "RUN_UNDER_WAY",
            "a run is under way, and nothing is asked beside it: call again after its slot",
        ),
    ),
    (
        WrongState,
        Status(grpc.StatusCode.FAILED_PRECONDITION, "WRONG_STATE", "right in itself, but not in this state"),
    ),
    (CheckpointError, Status(grpc.StatusCode.FAILED_PRECONDITION, "CHECKPOINT", "the checkpoint cannot be used")),
    (RunError, Status(grpc.StatusCode.UNAVAILABLE, "RUN", "the runtime failed")),
    (StorageError, Status(grpc.StatusCode.UNAVAILABLE, "STORAGE", "a disk or a database failed; nothing was changed")),
    (IntegrityError, Status(grpc.StatusCode.DATA_LOSS, "INTEGRITY", "something stored is not what was stored")),
    (NotDisclosable, Status(grpc.StatusCode.INTERNAL, "WITHHELD", "the answer may not leave")),
)

ALIKE: Final = frozenset({"NOT_FOUND", "REFUSED", "WITHHELD"})
"""Reasons that whoever is not a bank tester cannot tell apart."""


def status_for(error: Exception, role: Role | None, *, opaque_id: str) -> Status:
    """Return what a caller of this role is told of an error.

    A bank tester is also told the error's own reason, which may be more exact than the table's.
    """
    for kind, status in TABLE:
        if isinstance(error, kind):
            if role is Role.BANK_TESTER:
                exact = error.reason if isinstance(error, HeldoutError) else ""
                return dataclasses.replace(status, exact=exact)
            return dataclasses.replace(REFUSED, recorded=status.reason) if status.reason in ALIKE else status
    return internal(opaque_id)


def rate_limited(wait_s: float) -> Status:
    """Return what a caller is told that calls too often: when to come again, in whole seconds, and nothing else."""
    return dataclasses.replace(RATE_LIMITED, retry_s=max(1, math.ceil(wait_s)))


def internal(opaque_id: str) -> Status:
    """Return what anybody is told of a failure that is not in the table: an id to look for in the server's own log."""
    return Status(grpc.StatusCode.INTERNAL, "INTERNAL", f"something failed inside; its id in the log is {opaque_id}")


def _packed(detail: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed
