"""The terms of an evaluation: what config and policy say of every run, whatever it tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from heldout_policy.schedule import Schedule
from heldout_server.domain import Sampling, SystemPrompt

ON_COMPLETION: Final = Schedule(slot_s=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Hold what stays the same from one run to the next while this process lives.

    Attributes:
        policy_digest: hex SHA-256 of the release policy in force.
        approving_roles: roles that must each have approved a manifest before its start.
        in_flight: trials tried at the same time, at least 1.
        deadline_s: seconds that one trial may take.
        sampling: what every request asks for.
        system: what is said before every prompt.
        guarded: no prompt goes to an exposed runtime unless the manifest says so.
        preflight: ask a checkpoint a few harmless questions before its run starts.
        schedule: when runs publish.
    """

    policy_digest: str
    approving_roles: Sequence[str]
    in_flight: int
    deadline_s: float
    sampling: Sampling = field(default_factory=Sampling)
    system: SystemPrompt = field(default_factory=SystemPrompt)
    guarded: bool = True
    preflight: bool = False
    schedule: Schedule = ON_COMPLETION
