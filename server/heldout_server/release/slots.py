"""Taking a slot: what the ledger decides about a run before anybody has seen an outcome. One transaction, no I/O else.

From the policy, the memberships and the drafts of all earlier releases alone:

1.  the run's number in its epoch, and its turn among what the policy grants;
2.  the tables of its release with their widths, without the rows that would tell a small group of units apart;
3.  the debit of every unit for them;
4.  the draft of the document, which says all of that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from heldout_policy.atoms import withhold
from heldout_policy.mechanism import Side, TablePlan, plan_tables, side_debit
from heldout_policy.release_policy import ReleasePolicy
from heldout_proto.v1 import findings_pb2
from heldout_server.database import Connection
from heldout_server.domain import Member, Run
from heldout_server.errors import BudgetExhausted, WrongState
from heldout_server.release import ledger
from heldout_server.release.atoms import certificate, released_before, sets_of, verify_worth
from heldout_server.release.document import draft_release
from heldout_server.release.grants import take_turn


def take_slot(
    connection: Connection,
    *,
    run: Run,
    release_id: str,
    epoch_number: int,
    policy: ReleasePolicy,
    members: Mapping[str, Sequence[Member]],
) -> int:
    """Debit every unit of the run's epoch for one release and return its 1-based number. Idempotent by run.

    Args:
        connection: of ``releases.db``, in a transaction.
        run: proposed, under this policy.
        release_id: its release is called so.
        epoch_number: the 1-based number of its epoch.
        policy: the policy in force.
        members: of the run's epoch, and of every epoch that was ever released.

    Raises:
        BudgetExhausted: a unit, the epoch, the line or the reserve has too little left.
        WrongState: the line is granted no release, it is an anchor that ties nothing, what is left of its tables says
            too little, or an epoch was released whose members are missing.
    """
    taken = ledger.find_slot(connection, run.run_id)  # again: another call may have come first
    if taken is not None:
        return taken.number
    manifest = run.manifest
    if ledger.is_closed(connection, manifest.epoch_id):
        raise BudgetExhausted("the epoch is closed: a restore lost what was released of it", reason="EPOCH_CLOSED")
    # (1) number and turn
    drafts = ledger.list_drafts(connection)
    turn = take_turn(policy, manifest, [draft for _, draft in drafts])
    number = ledger.count_slots(connection, manifest.epoch_id) + 1
    # (2) tables
    tables = plan_tables(
        policy,
        release_number=turn,
        anchor=manifest.anchor,
        techniques=manifest.techniques,
        stacks=manifest.stacks,
        members=members[manifest.epoch_id],
    )
    tables, atoms = _withhold_small_atoms(
        tables,
        epoch_id=manifest.epoch_id,
        drafts=drafts,
        members=members,
        minimum=policy.minimum_units_per_cell,
    )
    # (3) debit
    ledger.debit(
        connection,
        units=ledger.units_by_side(members[manifest.epoch_id]),
        debits={side: side_debit(tables, side) for side in Side},
        budget_nano_rho=None if policy.exact else policy.budget_nano_rho,
    )
    # (4) draft
    draft = draft_release(
        run,
        release_id=release_id,
        number=number,
        epoch_number=epoch_number,
        policy=policy,
        tables=tables,
        atoms=atoms,
    )
    ledger.insert_slot(
        connection,
        release_id=release_id,
        run_id=run.run_id,
        epoch_id=manifest.epoch_id,
        number=number,
        draft=draft,
    )
    return number


def _withhold_small_atoms(
    tables: Sequence[TablePlan],
    *,
    epoch_id: str,
    drafts: Sequence[tuple[str, bytes]],
    members: Mapping[str, Sequence[Member]],
    minimum: int,
) -> tuple[tuple[TablePlan, ...], findings_pb2.AtomCertificate]:
    """Withhold rows that would tell a small group of units apart, over everything that was ever released."""
    if any(epoch not in members for epoch, _ in drafts):
        raise WrongState("another epoch was released meanwhile: start again", reason="EPOCH_RELEASED_MEANWHILE")
    before = released_before((draft for _, draft in drafts), members)
    released, withheld = before.admit(sets_of(epoch_id, tables, members[epoch_id]), minimum=minimum)
    verify_worth(tables, minimum=minimum, withheld=withheld)
    return withhold(tables, withheld, epoch_id=epoch_id), certificate(released, minimum=minimum)
