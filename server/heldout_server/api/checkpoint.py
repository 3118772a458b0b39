"""CheckpointService: what the watcher noticed."""

from __future__ import annotations

from typing import Final

from heldout_policy.disclosure import whole_minute
from heldout_proto.v1 import checkpoint_pb2 as pb
from heldout_proto.v1 import checkpoint_pb2_grpc
from heldout_server.api.edge import Call
from heldout_server.api.paging import after_sequence, next_token, page_size
from heldout_server.domain import CheckpointState
from heldout_server.ports.checkpoints import Checkpoints

STATES: Final = {
    CheckpointState.STAGED: pb.CHECKPOINT_STATE_STAGED,
    CheckpointState.REFUSED: pb.CHECKPOINT_STATE_REFUSED,
}


class CheckpointServicer(checkpoint_pb2_grpc.CheckpointServiceServicer):
    """Translate between the contract and the registry of checkpoints."""

    def __init__(self, *, checkpoints: Checkpoints) -> None:
        self._checkpoints = checkpoints

    async def ListCheckpoints(self, request: pb.ListCheckpointsRequest, _call: Call) -> pb.ListCheckpointsResponse:  # noqa: N802 - the contract's name
        """List checkpoints in the order they were noticed."""
        size = page_size(request.page_size)
        found = await self._checkpoints.list(after=after_sequence(request.page_token), limit=size)
        return pb.ListCheckpointsResponse(
            checkpoints=[
                pb.Checkpoint(
                    name=one.name,
                    line=one.line,
                    sequence=one.sequence,
                    runtime=one.runtime,
                    digest=one.digest,
                    state=STATES[one.state],
                    reason=one.reason,
                    noticed_s=whole_minute(one.noticed_s),
                )
                for one in found
            ],
            next_page_token=next_token(found, size, lambda one: one.sequence),
        )
