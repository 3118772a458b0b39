"""Call every method of the contract with the certificate of every role that is not meant to have it."""

from __future__ import annotations

import asyncio

from heldout_policy.disclosure import unclassified_fields
from heldout_server.api.contract import Method, methods
from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.hearing import OTHERS
from heldout_server.attack.stage import Stage

AUDIENCE = {
    "trainer": {"FindingsService"},
    "run_tester": {"FindingsService", "EvaluationService", "CardService", "CheckpointService"},
    "auditor": {"FindingsService", "AuditService"},
    "operator": {"CheckpointService", "SealService"},
    "key_holder": {"SealService"},
}
"""Whom the design writes each service for, apart from the rules that the appliance is run with.

The bank tester is the one who may see prompts, and is not played here.
"""

ALONE = {"RecordScore": "trainer", "Seal": "operator", "GiveShare": "key_holder"}
"""Methods of one role, in services that others have too."""


async def run(stage: Stage) -> Finding:
    """Call without a message: what is refused is refused before it is read."""
    calls, answered = 0, []
    for role in OTHERS:
        async with stage.caller(role) as caller:
            names = [method.name for method in methods().values() if not _is_meant_for(role, method)]
            told = await asyncio.gather(*(caller.call(name) for name in names))
            calls += len(names)
            answered += [
                f"{role} {name.rpartition('/')[2]}: {one.code}"
                for name, one in zip(names, told, strict=True)
                if one.code != "PERMISSION_DENIED" or one.bodies
            ]
    return Finding(
        tried=f"{calls} calls by {len(OTHERS)} roles of methods for others, or that answer with what may not leave",
        learned=f"not refused: {'; '.join(answered) or 'none'}",
        held=not answered,
    )


def _is_meant_for(role: str, method: Method) -> bool:
    """Say whether a role may have an answer: of a service that is for it, and without a field that may not leave."""
    _, service, name = method.name.replace(".", "/").rsplit("/", 2)
    return (
        service in AUDIENCE.get(role, ()) and ALONE.get(name, role) == role and not unclassified_fields(method.response)
    )


ATTACK = Attack(
    name="another-roles-methods",
    plays=Player.RUN_TESTER,
    explains="call every method with every certificate that is not meant to have it",
    needs=Needs.CALLS,
    run=run,
)
