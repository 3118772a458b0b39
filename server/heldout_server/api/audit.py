"""AuditService: the logs and the policy in force, as they are."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from heldout_proto.v1 import audit_pb2 as pb
from heldout_proto.v1 import audit_pb2_grpc
from heldout_server.api.contract import HALVES
from heldout_server.api.edge import Call
from heldout_server.api.paging import page_size
from heldout_server.errors import NotFound
from heldout_server.ports.audit import AuditLog


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDocuments:
    """Hold the policy documents in force, byte for byte, and the digest of the release policy."""

    release_toml: bytes
    authorization_cedar: bytes
    principals_toml: bytes
    digest: str

    def digests(self) -> dict[str, str]:
        """Return what the log says of the documents: with it, and with them, every decision can be made again."""
        return {
            "policy_digest": self.digest,
            "authorization_digest": hashlib.sha256(self.authorization_cedar).hexdigest(),
            "principals_digest": hashlib.sha256(self.principals_toml).hexdigest(),
        }


class AuditServicer(audit_pb2_grpc.AuditServiceServicer):
    """Translate between the contract and the logs.

    Args:
        logs: the logs that this process holds, by half.
        documents: returns the policy documents in force.
        on_cosignature: called after a cosignature was stored.
    """

    def __init__(
        self,
        *,
        logs: Mapping[str, AuditLog],
        documents: Callable[[], PolicyDocuments],
        on_cosignature: Callable[[], None],
    ) -> None:
        self._logs = logs
        self._documents = documents
        self._on_cosignature = on_cosignature

    async def GetTreeHead(self, request: pb.GetTreeHeadRequest, _call: Call) -> pb.GetTreeHeadResponse:  # noqa: N802 - the contract's name
        """Return the newest signed checkpoint of a log, and the newest that a witness cosigned."""
        log = self._of(request.log)
        return pb.GetTreeHeadResponse(checkpoint=log.checkpoint(), cosigned_checkpoint=log.cosigned_checkpoint())

    async def ListEntries(self, request: pb.ListEntriesRequest, _call: Call) -> pb.ListEntriesResponse:  # noqa: N802 - the contract's name
        """List leaves from an index on."""
        log, limit = self._of(request.log), page_size(request.page_size)
        damaged = await log.damaged(start=request.start, limit=limit)
        return pb.ListEntriesResponse(
            entries=await log.entries(start=request.start, limit=limit),
            damaged=[pb.DamagedLeaf(index=leaf.index, leaf_hash=leaf.leaf_hash) for leaf in damaged],
        )

    async def GetInclusionProof(  # noqa: N802 - the contract's name
        self, request: pb.GetInclusionProofRequest, _call: Call
    ) -> pb.GetInclusionProofResponse:
        """Prove that an entry is in a tree."""
        proof = await self._of(request.log).inclusion_proof(index=request.index, size=request.tree_size)
        return pb.GetInclusionProofResponse(hashes=proof)

    async def GetConsistencyProof(  # noqa: N802 - the contract's name
        self, request: pb.GetConsistencyProofRequest, _call: Call
    ) -> pb.GetConsistencyProofResponse:
        """Prove that a tree continues an older one."""
        proof = await self._of(request.log).consistency_proof(old=request.old_size, new=request.new_size)
        return pb.GetConsistencyProofResponse(hashes=proof)

    async def AddCosignature(  # noqa: N802 - the contract's name
        self, request: pb.AddCosignatureRequest, _call: Call
    ) -> pb.AddCosignatureResponse:
        """Keep a witness's cosignature; a release that waits for it goes on."""
        size = await self._of(request.log).add_cosignatures(request.note)
        self._on_cosignature()
        return pb.AddCosignatureResponse(tree_size=size)

    async def GetPolicy(self, _request: pb.GetPolicyRequest, _call: Call) -> pb.GetPolicyResponse:  # noqa: N802 - the contract's name
        """Return the policy documents in force."""
        documents = self._documents()
        return pb.GetPolicyResponse(
            release_toml=documents.release_toml,
            authorization_cedar=documents.authorization_cedar,
            policy_digest=documents.digest,
            principals_toml=documents.principals_toml,
        )

    def _of(self, half: int) -> AuditLog:
        log = self._logs.get(HALVES.get(half, ""))
        if log is None:
            raise NotFound("this half does not hold that log")
        return log
