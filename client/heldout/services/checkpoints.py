"""Checkpoints that the watcher noticed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from heldout.calls import Caller
from heldout.findings.documents import known
from heldout.services.paging import PAGE_SIZE, read_pages
from heldout_proto.v1 import checkpoint_pb2 as pb

SERVICE: Final = "CheckpointService"


class CheckpointState(StrEnum):
    """Say where a checkpoint stands."""

    STAGED = "staged"
    REFUSED = "refused"
    WAITING = "waiting"


STATES: Final[Mapping[int, CheckpointState]] = {
    pb.CHECKPOINT_STATE_STAGED: CheckpointState.STAGED,
    pb.CHECKPOINT_STATE_REFUSED: CheckpointState.REFUSED,
    pb.CHECKPOINT_STATE_WAITING: CheckpointState.WAITING,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Describe a checkpoint.

    Attributes:
        sequence: 1-based order in which checkpoints were noticed; 0 of what waits.
        digest: hex SHA-256 over the digests of its files; empty if it is not staged.
        reason: why it was refused or waits, as a code such as ``symlink``; of what is staged ``no_runtime`` or empty.
        noticed_s: Unix seconds, a whole minute.
        detail: where a refused one is wrong, such as ``unknown_key.line-4`` or ``file-2.ending-bin``.
    """

    name: str
    line: str
    sequence: int
    runtime: str
    digest: str
    state: CheckpointState
    reason: str
    noticed_s: int
    detail: str = ""


class AsyncCheckpoints:
    """List checkpoints."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def list(self) -> tuple[Checkpoint, ...]:
        """Return every checkpoint in the order they were noticed.

        Raises:
            CallError: there is no answer.
            VerificationError: the answer is not what the log says.
        """

        async def fetch(token: str) -> tuple[Sequence[pb.Checkpoint], str]:
            request = pb.ListCheckpointsRequest(page_size=PAGE_SIZE, page_token=token)
            answer = await self._caller.unary(SERVICE, "ListCheckpoints", request, pb.ListCheckpointsResponse)
            return answer.checkpoints, answer.next_page_token

        return tuple(
            Checkpoint(
                name=one.name,
                line=one.line,
                sequence=one.sequence,
                runtime=one.runtime,
                digest=one.digest,
                state=known(STATES, one.state, "checkpoint state"),
                reason=one.reason,
                noticed_s=one.noticed_s,
                detail=one.detail,
            )
            for one in await read_pages(fetch)
        )
