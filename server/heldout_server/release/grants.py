"""Which release of an epoch a run may take: what the policy grants, and what the drafts say is taken. Pure.

The rules:

1.  An epoch is granted a number of releases, for all lines as they come, or for each line its own. A line without a
    quota is granted none. The turn of a run is its number among them: it says whether its release is full.
2.  Beside them it is granted a number of anchors. One restates, about this epoch and by this judge, a checkpoint that
    was released about an earlier epoch or by another judge; once, and only if it was not released here anyway.
3.  Cancelled runs have taken their release like others.

Drafts are written before a run starts, so no outcome enters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from heldout_policy.release_policy import ReleasePolicy
from heldout_proto.v1 import findings_pb2
from heldout_server.domain import Manifest
from heldout_server.errors import BudgetExhausted, WrongState


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Count the releases of an epoch that are taken.

    Attributes:
        by_line: ordinary ones, by model line.
        anchors: those that restate an earlier checkpoint.
    """

    by_line: Mapping[str, int]
    anchors: int

    @property
    def ordinary(self) -> int:
        """Return the ordinary ones of all lines."""
        return sum(self.by_line.values())


def count_taken(drafts: Iterable[bytes], *, epoch_id: str) -> Taken:
    """Count what the drafts of all releases say is taken of an epoch."""
    return _count(_read(drafts), epoch_id)


def take_turn(policy: ReleasePolicy, manifest: Manifest, drafts: Iterable[bytes]) -> int:
    """Return the 1-based turn of a run among what it is granted, from policy and drafts alone.

    Args:
        policy: the policy in force.
        manifest: of the run.
        drafts: of all releases that were ever taken.

    Raises:
        BudgetExhausted: the epoch, the line or the anchors have no release left.
        WrongState: the line is granted none, or the anchor ties nothing.
    """
    releases = _read(drafts)
    taken = _count(releases, manifest.epoch_id)
    if manifest.anchor:
        _verify_anchor(manifest, releases)
        if taken.anchors >= policy.anchors_per_epoch:
            raise BudgetExhausted("the epoch has no anchor left", reason="NO_ANCHOR_LEFT")
        return taken.anchors + 1
    if taken.ordinary >= policy.releases_per_epoch:
        raise BudgetExhausted("the epoch has no release left", reason="NO_RELEASE_LEFT")
    if not policy.lines:
        return taken.ordinary + 1
    if manifest.line not in policy.lines:
        raise WrongState(f"the policy grants the line {manifest.line} no release", reason="LINE_WITHOUT_QUOTA")
    if taken.by_line.get(manifest.line, 0) >= policy.lines[manifest.line]:
        raise BudgetExhausted(f"the line {manifest.line} has no release left in this epoch", reason="LINE_SPENT")
    return taken.by_line.get(manifest.line, 0) + 1


def _count(releases: Iterable[findings_pb2.Release], epoch_id: str) -> Taken:
    here = [release for release in releases if release.epoch_id == epoch_id]
    by_line = Counter(release.tested.line for release in here if not release.anchor)
    return Taken(by_line=by_line, anchors=sum(release.anchor for release in here))


def _verify_anchor(manifest: Manifest, releases: Iterable[findings_pb2.Release]) -> None:
    known = {
        (release.epoch_id, release.judge_digest)
        for release in releases
        if release.tested.checkpoint_digest == manifest.checkpoint_digest
    }
    here = (manifest.epoch_id, manifest.judge_digest)
    if here in known:
        raise WrongState("this checkpoint is released about this epoch already", reason="ANCHOR_REPEATED")
    if not known:
        raise WrongState("an anchor restates a checkpoint that was released before", reason="ANCHOR_UNKNOWN")


def _read(drafts: Iterable[bytes]) -> list[findings_pb2.Release]:
    return [findings_pb2.Release.FromString(draft) for draft in drafts]
