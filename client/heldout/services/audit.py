"""The logs, as they are: heads, leaves, proofs, and the policy in force."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Final

from heldout.calls import Caller
from heldout.contract import HALF_NUMBERS
from heldout.errors import VerificationError
from heldout.verification import Checkpoint, VerifierKey, open_checkpoint
from heldout_proto.v1 import audit_pb2 as pb

SERVICE: Final = "AuditService"
ENTRIES_PAGE_SIZE: Final = 1000


@dataclass(frozen=True, slots=True)
class SignedHead:
    """Hold a tree head whose signature was checked.

    Attributes:
        note: the signed note as it came.
        head: what it says.
        cosigned: the newest note that the appliance has from a witness it trusts, not checked; empty if there is none.
    """

    note: str
    head: Checkpoint
    cosigned: str = ""


@dataclass(frozen=True, slots=True)
class EntryPage:
    """Hold leaves that follow each other, not checked.

    Attributes:
        start: index of the first.
        entries: the leaves; a damaged one is empty.
        damaged: by index, the hashes of those whose bytes are lost.
    """

    start: int
    entries: tuple[bytes, ...]
    damaged: Mapping[int, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDocuments:
    """Hold the policy documents in force, byte for byte.

    Attributes:
        policy_digest: hex SHA-256 of ``release_toml``; checked.
    """

    release_toml: bytes
    authorization_cedar: bytes
    principals_toml: bytes
    policy_digest: str


class AsyncAudit:
    """Read the logs. Each call raises ``CallError`` if there is no answer, ``VerificationError`` if it does not hold.

    The appliance logs these calls too: a log grows while it is read, so read up to the head that was fetched first.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def head(self, half: str) -> SignedHead:
        """Return the newest head of a half's log: it is signed by the log and continues what was seen before."""
        request = pb.GetTreeHeadRequest(log=HALF_NUMBERS[half])
        floor = self._caller.memory.size(half)
        answer = await self._caller.unary(SERVICE, "GetTreeHead", request, pb.GetTreeHeadResponse)
        head = open_checkpoint(answer.checkpoint, VerifierKey.parse(self.vkey(half)))
        if head.size < floor:
            told = f"a head of {head.size} entries came after one of {floor}"
            self._caller.memory.refuse(half, told, answer.checkpoint)
        await self._caller.verify_continued(half, answer.checkpoint)
        self._caller.memory.keep(half, answer.checkpoint)
        return SignedHead(answer.checkpoint, head, cosigned=answer.cosigned_checkpoint)

    def vkey(self, half: str) -> str:
        """Return the verifier key of a half's log that the profile pins."""
        return self._caller.vkey(half)

    async def entries(self, half: str, *, start: int, stop: int) -> AsyncGenerator[EntryPage, None]:
        """Yield the leaves from ``start`` up to ``stop`` in pages, nothing of them checked.

        Raises:
            CallError: there is no answer.
            VerificationError: the log holds fewer than it signed for.
        """
        while start < stop:
            request = pb.ListEntriesRequest(
                log=HALF_NUMBERS[half], start=start, page_size=min(ENTRIES_PAGE_SIZE, stop - start)
            )
            answer = await self._caller.unary(SERVICE, "ListEntries", request, pb.ListEntriesResponse)
            page = tuple(answer.entries)[: stop - start]
            if not page:
                raise VerificationError(f"the log of the {half} gives out {start} entries, and signed for {stop}")
            yield EntryPage(start, page, {leaf.index: leaf.leaf_hash for leaf in answer.damaged})
            start += len(page)

    async def inclusion_proof(self, half: str, *, index: int, tree_size: int) -> tuple[bytes, ...]:
        """Return the proof that a leaf is in a tree (RFC 6962 section 2.1.1), not checked."""
        request = pb.GetInclusionProofRequest(log=HALF_NUMBERS[half], index=index, tree_size=tree_size)
        answer = await self._caller.unary(SERVICE, "GetInclusionProof", request, pb.GetInclusionProofResponse)
        return tuple(answer.hashes)

    async def consistency_proof(self, half: str, *, old_size: int, new_size: int) -> tuple[bytes, ...]:
        """Return the proof that a tree continues an older one (RFC 6962 section 2.1.2), not checked."""
        request = pb.GetConsistencyProofRequest(log=HALF_NUMBERS[half], old_size=old_size, new_size=new_size)
        answer = await self._caller.unary(SERVICE, "GetConsistencyProof", request, pb.GetConsistencyProofResponse)
        return tuple(answer.hashes)

    async def policy(self) -> PolicyDocuments:
        """Return the policy documents in force."""
        answer = await self._caller.unary(SERVICE, "GetPolicy", pb.GetPolicyRequest(), pb.GetPolicyResponse)
        if hashlib.sha256(answer.release_toml).hexdigest() != answer.policy_digest:
            raise VerificationError("the policy is not the one that its digest names")
        return PolicyDocuments(
            release_toml=answer.release_toml,
            authorization_cedar=answer.authorization_cedar,
            principals_toml=answer.principals_toml,
            policy_digest=answer.policy_digest,
        )

    async def add_cosignature(self, half: str, note: str) -> int:
        """Hand in a head with a witness's cosignature, and return how many leaves that head covers."""
        request = pb.AddCosignatureRequest(log=HALF_NUMBERS[half], note=note)
        answer = await self._caller.unary(SERVICE, "AddCosignature", request, pb.AddCosignatureResponse)
        return int(answer.tree_size)
