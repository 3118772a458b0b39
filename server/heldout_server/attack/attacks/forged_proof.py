"""Stand before the appliance and tell a trainer other figures, with receipts that are forged."""

from __future__ import annotations

import base64
from dataclasses import replace

from heldout_proto.v1 import findings_pb2
from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.lying import Answer, LyingDoor
from heldout_server.attack.stage import Stage

HASH_BYTES = 32


def _other_budget(answer: Answer) -> Answer:
    """Say that nothing is spent."""
    told = findings_pb2.GetBudgetResponse.FromString(answer.body)
    told.budget.harmful_spent_nano_rho = 0
    return replace(answer, body=told.SerializeToString(deterministic=True))


def _other_hash(answer: Answer) -> Answer:
    """Exchange a hash of the inclusion proof."""
    head, blank, note = answer.proof.partition("\n\n")
    lines = head.split("\n")
    lines[-1] = base64.b64encode(b"\x01" * HASH_BYTES).decode()
    return answer.with_receipt(proof="\n".join(lines) + blank + note)


def _other_index(answer: Answer) -> Answer:
    """Say that the entry stands elsewhere."""
    lines = answer.proof.split("\n")
    place = next(n for n, line in enumerate(lines) if line.startswith("index "))
    lines[place] = f"index {int(lines[place].removeprefix('index ')) + 1}"
    return answer.with_receipt(proof="\n".join(lines))


def _other_root(answer: Answer) -> Answer:
    """Exchange the root under the signature."""
    head, blank, note = answer.proof.partition("\n\n")
    lines = note.split("\n")
    lines[2] = base64.b64encode(b"\x02" * HASH_BYTES).decode()
    return answer.with_receipt(proof=head + blank + "\n".join(lines))


def _other_signature(answer: Answer) -> Answer:
    """Flip a bit of the signature."""
    start, _, signature = answer.proof.rstrip("\n").rpartition(" ")
    flipped = bytearray(base64.b64decode(signature))
    flipped[-1] ^= 1
    return answer.with_receipt(proof=f"{start} {base64.b64encode(flipped).decode()}\n")


LIES = (
    ("no receipt", lambda answer: replace(answer, receipt=b"")),
    ("another body", _other_budget),
    ("another entry", lambda answer: answer.with_receipt(entry=b'{"kind":"outcome"}')),
    ("another salt", lambda answer: answer.with_receipt(salt=bytes(16))),
    ("another hash", _other_hash),
    ("another index", _other_index),
    ("another root", _other_root),
    ("another signature", _other_signature),
)


async def run(stage: Stage) -> Finding:
    """Tell each lie to a client of its own."""
    async with LyingDoor(stage) as door:
        return await door.tell_all(LIES, memory="forged", tried="answered a trainer with")


ATTACK = Attack(
    name="forged-proof",
    plays=Player.OPERATOR,
    explains="answer a trainer with changed figures and a forged receipt",
    needs=Needs.SHARED,
    run=run,
)
