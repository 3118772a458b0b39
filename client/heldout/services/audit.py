"""The logs, as they are: heads, leaves, proofs, and the policy in force."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator
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
    """

    note: str
    head: Checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDocuments:
    """Hold the policy documents in force, byte for byte.

    Attributes:
        policy_digest: hex SHA-256 of ``release_toml``; checked.
    """

    release_toml: bytes
    authorization_cedar: bytes
    policy_digest: str


class AsyncAudit:
    """Read the logs. Each call raises ``CallError`` if there is no answer, ``VerificationError`` if it does not hold.

    The appliance logs these calls too: a log grows while it is read, so read up to the head that was fetched first.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def head(self, half: str) -> SignedHead:
        """Return the newest signed head of a half's log, its signature checked."""
        request = pb.GetTreeHeadRequest(log=HALF_NUMBERS[half])
        answer = await self._caller.unary(SERVICE, "GetTreeHead", request, pb.GetTreeHeadResponse)
        return SignedHead(answer.checkpoint, open_checkpoint(answer.checkpoint, VerifierKey.parse(self.vkey(half))))

    def vkey(self, half: str) -> str:
        """Return the verifier key of a half's log that the profile pins."""
        return self._caller.vkey(half)

    async def entries(self, half: str, *, start: int, stop: int) -> AsyncGenerator[tuple[bytes, ...], None]:
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
            yield page
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
            policy_digest=answer.policy_digest,
        )
