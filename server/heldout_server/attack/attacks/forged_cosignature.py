"""Hand in cosignatures of heads that the log never had, or that nobody may cosign."""

from __future__ import annotations

import base64

from heldout_proto.v1 import audit_pb2, options_pb2
from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.stage import Stage

AUDIT = "/heldout.v1.AuditService/"
HASH_BYTES = 32


async def run(stage: Stage) -> Finding:
    """Add cosignatures by a key of our own, of the true head and of made-up ones, and look what is handed out."""
    async with stage.caller("auditor") as auditor:

        async def head() -> audit_pb2.GetTreeHeadResponse:
            request = audit_pb2.GetTreeHeadRequest(log=options_pb2.HALF_VAULT).SerializeToString()
            return audit_pb2.GetTreeHeadResponse.FromString((await auditor.call(f"{AUDIT}GetTreeHead", request)).body)

        before = await head()
        origin, size, root = before.checkpoint.split("\n")[:3]
        line = f"— made-up.example/witness {base64.b64encode(bytes(76)).decode()}\n"
        signed = before.checkpoint if before.checkpoint.endswith("\n") else before.checkpoint + "\n"
        invented = base64.b64encode(b"\x03" * HASH_BYTES).decode()
        notes = {
            "the true head by an unknown witness": signed + line,
            "a larger tree": signed.replace(f"\n{size}\n", f"\n{int(size) + 1000}\n") + line,
            "another root": signed.replace(root, invented) + line,
            "another log": signed.replace(origin, f"{origin}-2") + line,
            "a head without the log's signature": f"{origin}\n{size}\n{root}\n\n{line}",
        }
        taken = []
        for name, note in notes.items():
            request = audit_pb2.AddCosignatureRequest(log=options_pb2.HALF_VAULT, note=note).SerializeToString()
            if (await auditor.call(f"{AUDIT}AddCosignature", request)).code == "OK":
                taken.append(name)
        after = await head()
    return Finding(
        tried=f"handed in {len(notes)} cosignatures: {', '.join(notes)}",
        learned=f"taken: {', '.join(taken) or 'none'}; the cosigned head is"
        f" {'what it was' if after.cosigned_checkpoint == before.cosigned_checkpoint else 'another'}",
        held=not taken and after.cosigned_checkpoint == before.cosigned_checkpoint,
    )


ATTACK = Attack(
    name="forged-cosignature",
    plays=Player.AUDITOR,
    explains="hand in cosignatures of heads that the log never had, or by a witness that nobody named",
    needs=Needs.CALLS,
    run=run,
)
