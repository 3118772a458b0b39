"""CheckpointService: what the watcher noticed."""

from __future__ import annotations

from collections.abc import Container
from typing import Final

from heldout_policy.disclosure import whole_minute
from heldout_proto.v1 import checkpoint_pb2 as pb
from heldout_proto.v1 import checkpoint_pb2_grpc
from heldout_server.api.edge import Call
from heldout_server.api.paging import after_sequence, next_token, page_size
from heldout_server.domain import Checkpoint, CheckpointState
from heldout_server.ports.checkpoints import Checkpoints

STATES: Final = {
    CheckpointState.STAGED: pb.CHECKPOINT_STATE_STAGED,
    CheckpointState.REFUSED: pb.CHECKPOINT_STATE_REFUSED,
}


NO_RUNTIME: Final = "no_runtime"
"""The reason of what is staged, and no run of which could start."""


class CheckpointServicer(checkpoint_pb2_grpc.CheckpointServiceServicer):
    """Translate between the contract and the registry of checkpoints.

    Args:
        checkpoints: the registry.
        engines: what is served here.
    """

    def __init__(self, *, checkpoints: Checkpoints, engines: Container[str]) -> None:
        self._checkpoints = checkpoints
        self._engines = engines

    async def ListCheckpoints(self, request: pb.ListCheckpointsRequest, _call: Call) -> pb.ListCheckpointsResponse:  # noqa: N802 - the contract's name
        """List checkpoints in the order they were noticed, and behind the last what is not taken in."""
        size = page_size(request.page_size)
        found = await self._checkpoints.list(after=after_sequence(request.page_token), limit=size)
        token = next_token(found, size, lambda one: one.sequence)
        waiting = () if token else await self._checkpoints.left_out()
        return pb.ListCheckpointsResponse(
            checkpoints=[
                *map(self._noticed, found),
                *(
                    pb.Checkpoint(
                        name=one.name,
                        state=pb.CHECKPOINT_STATE_WAITING,
                        reason=one.reason.value,
                        noticed_s=whole_minute(one.seen_s),
                    )
                    for one in waiting
                ),
            ],
            next_page_token=token,
        )

    def _noticed(self, one: Checkpoint) -> pb.Checkpoint:
        unserved = one.state is CheckpointState.STAGED and one.runtime not in self._engines
        return pb.Checkpoint(
            name=one.name,
            line=one.line,
            sequence=one.sequence,
            runtime=one.runtime,
            digest=one.digest,
            state=STATES[one.state],
            reason=NO_RUNTIME if unserved else one.reason,
            detail=one.detail,
            noticed_s=whole_minute(one.noticed_s),
        )
