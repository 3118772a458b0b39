"""The release document, in two strokes: all that is known beforehand, then the figures. Used by the desk alone.

The draft is written when a slot is taken, and holds everything but counts and time: what is published later is fixed by
what was debited then, even if the policy changes in between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from heldout_policy.disclosure import whole_minute
from heldout_policy.mechanism import FULL_ONLY, RowPlan, Side, TableKind, TablePlan, to_grid
from heldout_policy.release_policy import ReleasePolicy
from heldout_proto.v1 import findings_pb2
from heldout_server.domain import Run
from heldout_server.errors import IntegrityError
from heldout_server.ports.environment import Noise
from heldout_server.ports.release import BudgetState
from heldout_server.tested_system import describe_tested_system

PADDING_BYTES: Final = 256
"""What a release has of padding at least, its frame included: enough for a length of two bytes."""

_KINDS: Final = {
    TableKind.TECHNIQUE: findings_pb2.TABLE_KIND_TECHNIQUE,
    TableKind.STACK: findings_pb2.TABLE_KIND_STACK,
    TableKind.FIRST_BREACH: findings_pb2.TABLE_KIND_FIRST_BREACH,
    TableKind.CATEGORY: findings_pb2.TABLE_KIND_CATEGORY,
    TableKind.NON_ANSWERS: findings_pb2.TABLE_KIND_NON_ANSWERS,
    TableKind.OVER_REFUSAL: findings_pb2.TABLE_KIND_OVER_REFUSAL,
}
_TABLES: Final = {number: kind for kind, number in _KINDS.items()}


def draft_release(
    run: Run,
    *,
    release_id: str,
    number: int,
    epoch_number: int,
    policy: ReleasePolicy,
    tables: Sequence[TablePlan],
    atoms: findings_pb2.AtomCertificate | None = None,
) -> bytes:
    """Write all of a release that is known before its run starts.

    Args:
        run: the run that takes the slot.
        release_id: name of the release.
        number: its 1-based number in the epoch.
        epoch_number: the epoch's number.
        policy: the policy in force.
        tables: what it will hold, from :func:`heldout_policy.mechanism.plan_tables`.
        atoms: its certificate.
    """
    manifest = run.manifest
    return findings_pb2.Release(
        release_id=release_id,
        number=number,
        releases_total=policy.releases_granted + policy.anchors_per_epoch,
        run_id=run.run_id,
        epoch_id=manifest.epoch_id,
        epoch_number=epoch_number,
        tested=describe_tested_system(manifest),
        manifest_digest=run.digest,
        policy_digest=manifest.policy_digest,
        judge=manifest.judge,
        judge_digest=manifest.judge_digest,
        full=any(table.kind in FULL_ONLY for table in tables),
        tables=[_table(table) for table in tables],
        atoms=atoms,
        cards=[findings_pb2.CardDigest(technique=technique, digest=digest) for technique, digest in manifest.cards],
        approving_roles=policy.approval_roles,
        profile=_profile(exact=policy.exact),
        anchor=manifest.anchor,
    ).SerializeToString(deterministic=True)


def finish_release(draft: bytes, *, sums: Mapping[TableKind, Sequence[int]], noise: Noise, published_s: int) -> bytes:
    """Add the figures to a draft, with noise, and return the exact bytes to publish.

    This draws the noise: whoever calls it stores what it returns, and never calls it again for the same release. How
    long the bytes are follows from the draft, and not from the figures.

    Args:
        draft: from :func:`draft_release`.
        sums: exact sums in millionths of a unit, by table and row.
        noise: where the noise comes from.
        published_s: Unix time, of which the document tells the minute.

    Raises:
        IntegrityError: a table has no noise, and the draft does not say that it is published so.
    """
    release = findings_pb2.Release.FromString(draft)
    release.published_s = whole_minute(published_s)
    length = _longest(release) + PADDING_BYTES
    for table in release.tables:
        exact = [
            (row, value) for row, value in zip(table.rows, sums[_TABLES[table.kind]], strict=True) if not row.withheld
        ]
        figures = [value for _, value in exact]
        if table.sigma_micro > 0:
            # An exact figure must never be read where there is none to be noised: no rows, no draw.
            noised = noise.add(figures, sigma=float(table.sigma_micro)) if exact else []
        elif release.profile == findings_pb2.PROFILE_EXACT:
            noised = figures
        else:
            raise IntegrityError(f"{release.release_id}: a table without noise", reason="NOISE_MISSING")
        for (row, _), value in zip(exact, noised, strict=True):
            row.count = to_grid(value, grid_micro=table.grid_micro)
    _pad(release, length)
    return release.SerializeToString(deterministic=True)


def _longest(release: findings_pb2.Release) -> int:
    """Return the bytes that a release can have before it is padded, whatever its figures."""
    longest = findings_pb2.Release()
    longest.CopyFrom(release)
    for table in longest.tables:
        for row in table.rows:
            if not row.withheld:
                row.count = -1  # ten bytes, as any negative number
    return longest.ByteSize()


def _pad(release: findings_pb2.Release, length: int) -> None:
    """Bring a release to a length, with zeros. A figure's own length, and whether it is 0, would tell of it."""
    release.padding = b""
    size = length - release.ByteSize()
    release.padding = bytes(size)
    # The padding has a tag and a length of its own, of as many bytes as it is long.
    release.padding = bytes(size - (release.ByteSize() - length))
    if release.ByteSize() != length:
        raise AssertionError("a release was not brought to its length")


def finish_cancelled(draft: bytes, *, published_s: int) -> bytes:
    """Take every table out of a draft, say that the run was cancelled, and return the exact bytes to publish.

    Args:
        draft: from :func:`draft_release`.
        published_s: Unix time, of which the document tells the minute.
    """
    release = findings_pb2.Release.FromString(draft)
    release.published_s = whole_minute(published_s)
    release.cancelled = True
    del release.tables[:]
    return release.SerializeToString(deterministic=True)


def budget_document(state: BudgetState, *, policy_digest: str) -> bytes:
    """Write the window's standing document of what the ledger has left."""
    return findings_pb2.Budget(
        epoch_id=state.epoch_id,
        releases_used=state.releases_used,
        releases_total=state.releases_total,
        releases_payable=state.releases_payable,
        harmful_spent_nano_rho=state.harmful_spent_nano_rho,
        benign_spent_nano_rho=state.benign_spent_nano_rho,
        budget_nano_rho=state.budget_nano_rho,
        policy_digest=policy_digest,
        lines=[findings_pb2.LineQuota(line=one.line, used=one.used, total=one.total) for one in state.lines],
        anchors_used=state.anchors_used,
        anchors_total=state.anchors_total,
        profile=_profile(exact=state.exact),
    ).SerializeToString(deterministic=True)


def tables_of(release: findings_pb2.Release) -> tuple[TablePlan, ...]:
    """Return the tables of a release or draft as they were planned."""
    return tuple(
        TablePlan(
            kind=(kind := _TABLES[table.kind]),
            side=Side.BENIGN if kind is TableKind.OVER_REFUSAL else Side.HARMFUL,
            debit_nano_rho=table.debit_nano_rho,
            cells_per_unit=table.cells_per_unit,
            sigma_micro=table.sigma_micro,
            grid_micro=table.grid_micro,
            rows=tuple(RowPlan(key=row.key, units=row.units, withheld=row.withheld) for row in table.rows),
        )
        for table in release.tables
    )


def _profile(*, exact: bool) -> findings_pb2.Profile:
    return findings_pb2.PROFILE_EXACT if exact else findings_pb2.PROFILE_PRIVATE


def _table(plan: TablePlan) -> findings_pb2.Table:
    return findings_pb2.Table(
        kind=_KINDS[plan.kind],
        sigma_micro=plan.sigma_micro,
        grid_micro=plan.grid_micro,
        cells_per_unit=plan.cells_per_unit,
        debit_nano_rho=plan.debit_nano_rho,
        rows=[findings_pb2.Row(key=row.key, units=row.units, withheld=row.withheld) for row in plan.rows],
    )
