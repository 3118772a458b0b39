"""Every error of the client.

::

    HeldoutClientError
    ├── VerificationError      something signed, logged or proved does not hold
    ├── ProfileError           the profile, or a file that it names, is missing or wrong
    ├── BankFileError          a file of prompts cannot be read as one
    ├── MissingExtra           an optional package is not installed
    ├── NotComparable          two releases were not measured on the same prompts by the same judge
    ├── UnknownAnswer          the appliance sent something that this version does not know
    └── CallError              the appliance did not do what was asked
        ├── Refused                this certificate may not do that, or there is no such thing for it
        ├── NotFound               there is no such thing
        ├── InvalidRequest         a field is missing, malformed or out of range
        ├── WrongState             right in itself, but not now
        ├── BudgetExhausted        the ledger has no release left
        ├── Unavailable            the appliance cannot be reached, or cannot answer now
        └── InternalError          something failed inside the appliance

Messages are fixed by kind: nothing that the appliance wrote is quoted, but an opaque id and a reason code.
"""

from __future__ import annotations


class HeldoutClientError(Exception):
    """Be the root of every error that the client raises on purpose."""


class VerificationError(HeldoutClientError):
    """Say that a signature, a proof, a digest or a log does not hold: do not trust what came with it."""


class ProfileError(HeldoutClientError):
    """Say what is wrong in a profile, or in a file that it names."""


class BankFileError(HeldoutClientError):
    """Say why a file of prompts cannot be read as one, and at which line; never what the line says."""


class MissingExtra(HeldoutClientError):
    """Say which extra of this package has to be installed."""


class NotComparable(HeldoutClientError):
    """Say why the figures of two releases cannot be compared."""


class UnknownAnswer(HeldoutClientError):
    """Say that the appliance sent something that this version does not know."""


class CallError(HeldoutClientError):
    """Say that the appliance did not do what was asked.

    Attributes:
        reason: the appliance's machine-readable code, such as ``NOT_FOUND``.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class Refused(CallError):
    """Say that this certificate may not do that, or that there is no such thing for it."""


class NotFound(CallError):
    """Say that there is no such thing."""


class InvalidRequest(CallError):
    """Say that a field is missing, malformed or out of range."""


class WrongState(CallError):
    """Say that the request is right in itself, but not now."""


class BudgetExhausted(CallError):
    """Say that the ledger has no release left for these prompts."""


class Unavailable(CallError):
    """Say that the appliance cannot be reached, or cannot answer now."""


class InternalError(CallError):
    """Say that something failed inside the appliance.

    Attributes:
        opaque_id: what to look for in the appliance's own log; empty if it gave none.
    """

    def __init__(self, message: str, *, reason: str, opaque_id: str = "") -> None:
        super().__init__(message, reason=reason)
        self.opaque_id = opaque_id
