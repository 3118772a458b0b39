"""Who calls: identities and their roles."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What an identity is: each has exactly one, and ``authorization.cedar`` says what it may."""

    TRAINER = "trainer"
    BANK_TESTER = "bank_tester"
    RUN_TESTER = "run_tester"
    AUDITOR = "auditor"
    OPERATOR = "operator"
    KEY_HOLDER = "key_holder"


@dataclass(frozen=True, slots=True)
class Principal:
    """Name who calls: one identity and its role."""

    identity: str
    role: Role
