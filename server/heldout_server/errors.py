"""Every error of the appliance, split by whose fault it is.

::

    HeldoutError
    ├── CallerError            the caller asked for something wrong
    │   ├── InvalidRequest         a field is missing, malformed, or out of range
    │   ├── NotFound               no such thing, or none that this caller may know of
    │   ├── Refused                this identity may not do that
    │   ├── WrongState             right in itself, but not now
    │   │   └── RunUnderWay            since a run is between its start and its slot
    │   └── BudgetExhausted        the ledger has nothing left for these units
    ├── ConfigError            a file that the operator wrote is missing or wrong
    ├── CheckpointError        a checkpoint cannot be taken in
    ├── RunError               a trial or a runtime failed
    │   ├── NotDeliverable         a technique cannot carry this prompt
    │   ├── EndpointError          the model's endpoint failed
    │   │   ├── FailedAlone            with one trial that had it for itself
    │   │   └── RuntimeDied            because the process behind it ended
    │   └── EndpointUnavailable    there is no endpoint to ask: the run waits, and no trial is to blame
    ├── StorageError           a database or a disk failed
    │   └── WrongKey               the key does not open what it should open
    └── IntegrityError         something stored is not what was stored

Messages hold ids and reason codes: never a prompt, a response, a key, or a piece of the input.
"""

from __future__ import annotations


class HeldoutError(Exception):
    """Be the root of every error that the appliance raises on purpose.

    Attributes:
        reason: a short machine-readable code in capitals, fixed at the place that raises.
    """

    reason: str = "HELDOUT"

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        super().__init__(message)
        if reason is not None:
            self.reason = reason


class CallerError(HeldoutError):
    """Say that the caller asked for something wrong."""

    reason = "CALLER"


class InvalidRequest(CallerError):
    """Say that a field is missing, malformed or out of range."""

    reason = "INVALID_REQUEST"


class NotFound(CallerError):
    """Say that there is no such thing, or none that this caller may know of."""

    reason = "NOT_FOUND"


class Refused(CallerError):
    """Say that this identity may not do that."""

    reason = "REFUSED"


class WrongState(CallerError):
    """Say that the request is right in itself, but not now."""

    reason = "WRONG_STATE"


class RunUnderWay(WrongState):
    """Say that something has to wait, since a run is between its start and its slot."""

    reason = "RUN_UNDER_WAY"


class BudgetExhausted(CallerError):
    """Say that the ledger has too little left for these units: rotate the bank."""

    reason = "BUDGET_EXHAUSTED"


class ConfigError(HeldoutError):
    """Say what is wrong in a file that the operator wrote, where, and what to do."""

    reason = "CONFIG"


class CheckpointError(HeldoutError):
    """Say why a checkpoint cannot be taken in."""

    reason = "CHECKPOINT"


class RunError(HeldoutError):
    """Say that a trial or a runtime failed."""

    reason = "RUN"


class NotDeliverable(RunError):
    """Say that a technique cannot carry this prompt."""

    reason = "NOT_DELIVERABLE"


class EndpointError(RunError):
    """Say that the model's endpoint failed to answer."""

    reason = "ENDPOINT"


class FailedAlone(EndpointError):
    """Say that a trial failed though it had the endpoint for itself, while all others waited."""


class RuntimeDied(EndpointError):
    """Say that the process behind the endpoint ended while it was asked: every trial then in flight is in doubt."""

    reason = "RUNTIME_DIED"


class EndpointUnavailable(RunError):
    """Say that the endpoint as such does not answer, for longer than a run waits. It says nothing of any trial.

    Reasons: ``ENDPOINT_UNAVAILABLE``, and ``ACCESS_REFUSED`` where it answers that the appliance may not ask, or the
    appliance has no key to ask with.
    """

    reason = "ENDPOINT_UNAVAILABLE"


class StorageError(HeldoutError):
    """Say that a database or a disk failed."""

    reason = "STORAGE"


class WrongKey(StorageError):
    """Say that a key does not open what it should open."""

    reason = "WRONG_KEY"


class IntegrityError(HeldoutError):
    """Say that something stored is not what was stored."""

    reason = "INTEGRITY"
