"""AuditService: the logs and the policy in force, as they are."""

from __future__ import annotations

from collections.abc import Mapping
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
    digest: str


class AuditServicer(audit_pb2_grpc.AuditServiceServicer):
    """Translate between the contract and the logs.

    Args:
        logs: the logs that this process holds, by half.
    """

    def __init__(self, *, logs: Mapping[str, AuditLog], documents: PolicyDocuments) -> None:
        self._logs = logs
        self._documents = documents

    async def GetTreeHead(self, request: pb.GetTreeHeadRequest, _call: Call) -> pb.GetTreeHeadResponse:  # noqa: N802 - the contract's name
        """Return the newest signed checkpoint of a log."""
        return pb.GetTreeHeadResponse(checkpoint=self._of(request.log).checkpoint())

    async def ListEntries(self, request: pb.ListEntriesRequest, _call: Call) -> pb.ListEntriesResponse:  # noqa: N802 - the contract's name
        """List leaves from an index on."""
        log = self._of(request.log)
        return pb.ListEntriesResponse(
            entries=await log.entries(start=request.start, limit=page_size(request.page_size))
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

    async def GetPolicy(self, _request: pb.GetPolicyRequest, _call: Call) -> pb.GetPolicyResponse:  # noqa: N802 - the contract's name
        """Return the policy documents in force."""
        return pb.GetPolicyResponse(
            release_toml=self._documents.release_toml,
            authorization_cedar=self._documents.authorization_cedar,
            policy_digest=self._documents.digest,
        )

    def _of(self, half: int) -> AuditLog:
        log = self._logs.get(HALVES.get(half, ""))
        if log is None:
            raise NotFound("this half does not hold that log")
        return log
