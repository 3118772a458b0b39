"""A model line over time: overall, over-refusal and the team's own scores, checkpoint by checkpoint.

A release that restates an earlier checkpoint ties the two sides of a break together: the weights are the same, so what
it differs by is the prompts' or the judge's doing.

Consecutive releases are compared by :mod:`heldout.findings.compare`. Where they cannot be (another epoch, another
judge) the line is broken, and says why: a trend never mixes prompts or judges. Where a release tried other techniques
than the one before it, its overall figure is a mean over other things, and the point says over which. A release whose
run was cancelled holds no figures: it is a point without any, and the one after it is compared with the one before.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from heldout.findings.compare import Comparison, compare_releases, why_not_comparable
from heldout.findings.intervals import Estimate, Interval, estimate_overall, estimate_row
from heldout.findings.model import Release, Score, ScoreKind, Table, TableKind
from heldout.findings.silence import Silence, estimate_non_answers, find_silence

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True, kw_only=True)
class Restated:
    """Say by how much a restated checkpoint differs from its earlier release: by what broke the line, not the model.

    Attributes:
        earlier: the release that is restated.
        cause: what differs between the two, in words.
        difference: of the overall rates, over the techniques that both hold.
        interval: 95 %. Each side stands for prompts like its own, so sampling is in it (MOVER; Newcombe 1998, method
            10, "Interval estimation for the difference between independent proportions").
    """

    earlier: Release
    cause: str
    difference: float
    interval: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendPoint:
    """Hold one release of a line.

    Attributes:
        overall: attack success, mean of the technique rows; None if all are withheld.
        over_refusal: None if the table is missing or withheld.
        non_answers: share of answers that say nothing of safety; None if the table is missing or withheld.
        silence: how silent the release is: the figures above are lower bounds then; None if it is not.
        capability, internal: the team's own scores by benchmark, in points.
        change: against the release with figures before it in the line; None for the first, after a break, and for a
            release without figures.
        broken: why the line is broken before this point; empty if it is not.
        techniques_added, techniques_dropped: techniques that the overall figure is over, and that of the release
            before it is not, and the other way round.
        restated: how a release that restates an earlier one differs from it; None for others.
    """

    release: Release
    overall: Estimate | None
    over_refusal: Estimate | None
    non_answers: Estimate | None
    silence: Silence | None
    capability: Mapping[str, float]
    internal: Mapping[str, float]
    change: Comparison | None
    broken: str
    techniques_added: tuple[str, ...]
    techniques_dropped: tuple[str, ...]
    restated: Restated | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """Hold a model line, oldest release first."""

    line: str
    points: tuple[TrendPoint, ...]


def list_lines(releases: Iterable[Release]) -> tuple[str, ...]:
    """Return the model lines in the order of their first release."""
    return tuple(dict.fromkeys(release.tested.line for release in releases))


def build_trend(line: str, releases: Sequence[Release], scores: Iterable[Score]) -> Trend:
    """Put the releases of a line in order.

    Args:
        line: the model line.
        releases: in the order of publication; those of other lines are left out.
        scores: oldest first; a later one for the same checkpoint, kind and benchmark takes the place of an earlier.
    """
    capability: dict[str, dict[str, float]] = {}
    internal: dict[str, dict[str, float]] = {}
    for score in scores:
        kinds = capability if score.kind is ScoreKind.CAPABILITY else internal
        kinds.setdefault(score.checkpoint, {})[score.benchmark] = score.value
    points: list[TrendPoint] = []
    previous: Release | None = None
    for release in releases:
        if release.tested.line != line:
            continue
        if release.cancelled:  # the next one is held against the one before
            points.append(_empty_point(release, capability=capability, internal=internal))
            continue
        now, then = _techniques(release), _techniques(release if previous is None else previous)
        broken = (previous is not None and why_not_comparable(previous, release)) or ""
        points.append(
            TrendPoint(
                release=release,
                overall=_overall(release),
                over_refusal=_single(release.table(TableKind.OVER_REFUSAL)),
                non_answers=estimate_non_answers(release),
                silence=find_silence(release),
                capability=capability.get(release.tested.checkpoint, {}),
                internal=internal.get(release.tested.checkpoint, {}),
                change=None if previous is None or broken else compare_releases(previous, release),
                broken=broken,
                techniques_added=tuple(key for key in now if key not in then),
                techniques_dropped=tuple(key for key in then if key not in now),
                restated=_restate(release, releases) if release.anchor else None,
            )
        )
        previous = release
    return Trend(line=line, points=tuple(points))


def _restate(release: Release, among: Sequence[Release]) -> Restated | None:
    """Hold an anchor against the newest release before it of the same weights that its own cannot be compared with."""
    digest = release.tested.checkpoint_digest
    before = among[: among.index(release)]
    alike = [one for one in before if one.tested.checkpoint_digest == digest and not one.cancelled]
    earlier = next((one for one in reversed(alike) if why_not_comparable(one, release) is not None), None)
    if earlier is None:
        return None
    keys = [key for key in _techniques(earlier) if key in _techniques(release)]
    then, now = (_overall(one, keys=keys) for one in (earlier, release))
    if then is None or now is None:
        return None
    difference = now.rate - then.rate
    low = math.hypot(now.rate - now.prompts_like_these.low, then.prompts_like_these.high - then.rate)
    high = math.hypot(now.prompts_like_these.high - now.rate, then.rate - then.prompts_like_these.low)
    return Restated(
        earlier=earlier,
        cause="the prompts" if earlier.epoch_id != release.epoch_id else "the judge",
        difference=difference,
        interval=Interval(difference - low, difference + high),
    )


def _empty_point(
    release: Release, *, capability: Mapping[str, Mapping[str, float]], internal: Mapping[str, Mapping[str, float]]
) -> TrendPoint:
    """Return the point of a release without figures."""
    return TrendPoint(
        release=release,
        overall=None,
        over_refusal=None,
        non_answers=None,
        silence=None,
        capability=capability.get(release.tested.checkpoint, {}),
        internal=internal.get(release.tested.checkpoint, {}),
        change=None,
        broken="",
        techniques_added=(),
        techniques_dropped=(),
    )


def _techniques(release: Release) -> tuple[str, ...]:
    table = release.table(TableKind.TECHNIQUE)
    return () if table is None else tuple(row.key for row in table.visible())


def _overall(release: Release, *, keys: Sequence[str] | None = None) -> Estimate | None:
    table = release.table(TableKind.TECHNIQUE)
    return None if table is None else estimate_overall(table, keys=keys)


def _single(table: Table | None) -> Estimate | None:
    """Return the one row of a table that has one, if it is there and not withheld."""
    rows = () if table is None else table.visible()
    return estimate_row(table, rows[0]) if table is not None and rows else None
