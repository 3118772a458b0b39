"""Answer with what was true once: an old answer, with its own old receipt, and old heads."""

from __future__ import annotations

from dataclasses import replace

from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.lying import Answer, LyingDoor, honest
from heldout_server.attack.stage import Stage

MEMORY = "replayed"


async def run(stage: Stage) -> Finding:
    """Keep an answer, let the log grow, and tell it again to another process of the same client."""
    async with LyingDoor(stage) as door:
        await door.tell(honest, memory=MEMORY)
        old = door.heard[-1]
        lies = (
            ("an old answer with its old receipt", lambda _answer: old),
            ("a new answer with the old receipt", lambda answer: replace(answer, receipt=old.receipt)),
            (
                "the old answer with a new receipt",
                lambda answer: replace(answer, body=old.body, receipt=_salted(answer)),
            ),
            ("a new receipt under the old head", lambda answer: _old_head(answer, old)),
        )
        return await door.tell_all(lies, memory=MEMORY, tried="answered a trainer with")


def _salted(answer: Answer) -> bytes:
    """Return the receipt with the salt made longer by the first byte of the answer: the digest's bytes stay alike."""
    return answer.with_receipt(salt=bytes(17)).receipt


def _old_head(answer: Answer, old: Answer) -> Answer:
    """Put the old signed head below the new path."""
    path, blank, _ = answer.proof.partition("\n\n")
    return answer.with_receipt(proof=path + blank + old.proof.partition("\n\n")[2])


ATTACK = Attack(
    name="replayed-receipt",
    plays=Player.OPERATOR,
    explains="answer a trainer with what was true once, with its old receipt, or under an old head",
    needs=Needs.SHARED,
    run=run,
)
