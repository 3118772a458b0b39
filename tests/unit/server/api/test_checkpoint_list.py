"""The list of checkpoints: what was noticed, what nothing here serves, and what waits."""

from __future__ import annotations

import pytest

from heldout_policy.disclosure import verify_disclosable
from heldout_proto.v1 import checkpoint_pb2 as pb
from heldout_server.api.checkpoint import CheckpointServicer
from heldout_server.domain import Checkpoint, CheckpointState, LeftOut, LeftOutReason


def checkpoint(number, *, runtime="scripted", reason="", detail=""):
    return Checkpoint(
        name=f"nova-{number}",
        line="nova",
        sequence=number,
        runtime=runtime,
        digest="" if reason else "a" * 64,
        state=CheckpointState.REFUSED if reason else CheckpointState.STAGED,
        reason=reason,
        path="",
        noticed_s=90,
        detail=detail,
    )


class Registry:
    def __init__(self, *noticed):
        self.noticed = noticed

    async def list(self, *, after, limit):
        return tuple(one for one in self.noticed if one.sequence > after)[:limit]

    async def left_out(self):
        return (LeftOut(name="nova-9", reason=LeftOutReason.NO_MARKER, seen_s=150),)


@pytest.fixture
def servicer():
    noticed = (
        checkpoint(1),
        checkpoint(2, runtime="other"),
        checkpoint(3, runtime="", reason="manifest_invalid", detail="unknown_key.line-3"),
    )
    return CheckpointServicer(checkpoints=Registry(*noticed), engines={"scripted"})


async def test_what_nothing_serves_and_what_waits_are_named(servicer):
    answer = await servicer.ListCheckpoints(pb.ListCheckpointsRequest(), None)
    verify_disclosable(answer, approved_texts=frozenset())
    shown = [(one.name, one.state, one.reason, one.detail) for one in answer.checkpoints]
    assert shown == [
        ("nova-1", pb.CHECKPOINT_STATE_STAGED, "", ""),
        ("nova-2", pb.CHECKPOINT_STATE_STAGED, "no_runtime", ""),
        ("nova-3", pb.CHECKPOINT_STATE_REFUSED, "manifest_invalid", "unknown_key.line-3"),
        ("nova-9", pb.CHECKPOINT_STATE_WAITING, "no_marker", ""),
    ]
    assert answer.checkpoints[3].noticed_s == 120


async def test_what_waits_stands_behind_the_last_page_alone(servicer):
    first = await servicer.ListCheckpoints(pb.ListCheckpointsRequest(page_size=2), None)
    assert [one.name for one in first.checkpoints] == ["nova-1", "nova-2"]
    second = await servicer.ListCheckpoints(
        pb.ListCheckpointsRequest(page_size=2, page_token=first.next_page_token), None
    )
    assert [one.name for one in second.checkpoints] == ["nova-3", "nova-9"]
