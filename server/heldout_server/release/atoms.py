"""What was ever summed over: read back from the drafts of all releases, and written into the next one.

A draft says which rows a release shows, and the epoch who is in them; so what was released is what stands in the
ledger's own database, whatever policy was in force then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from heldout_policy.atoms import Released, SetName, offered_sets
from heldout_policy.mechanism import Side, TablePlan, unit_categories
from heldout_proto.v1 import findings_pb2
from heldout_server.domain import Intent, Member
from heldout_server.errors import WrongState
from heldout_server.release.document import tables_of


def released_before(drafts: Iterable[bytes], members: Mapping[str, Sequence[Member]]) -> Released:
    """Return everything that the releases with these drafts sum over, in the order in which they were taken.

    Args:
        drafts: of all releases that were ever taken.
        members: by epoch, at least those of the drafts.
    """
    sets: dict[SetName, frozenset[str]] = {}
    for draft in drafts:
        release = findings_pb2.Release.FromString(draft)
        shown = sets_of(release.epoch_id, tables_of(release), members[release.epoch_id])
        sets |= {name: units for name, units in shown.items() if name not in sets}
    return Released(sets)


def sets_of(epoch_id: str, tables: Iterable[TablePlan], members: Sequence[Member]) -> dict[SetName, frozenset[str]]:
    """Return the sets that tables about an epoch sum over."""
    benign = {member.unit for member in members if member.intent is Intent.BENIGN}
    return offered_sets(epoch_id, tables, harmful=unit_categories(members), benign=benign)


def verify_worth(tables: Iterable[TablePlan], *, minimum: int, withheld: frozenset[SetName]) -> None:
    """Check that a release would not pay for rows of which atoms leave none.

    Raises:
        WrongState: the epoch differs from earlier ones by fewer units than the minimum.
    """
    if any(not name.category and name.side is Side.HARMFUL for name in withheld) and any(
        table.side is Side.HARMFUL for table in tables
    ):
        raise WrongState(
            f"the epoch differs from earlier ones by fewer than {minimum} units: retire and import in blocks of that",
            reason="EPOCH_TOO_CLOSE",
        )


def certificate(released: Released, *, minimum: int) -> findings_pb2.AtomCertificate:
    """Write the certificate that a release carries."""
    places = {name: place for place, name in enumerate(released.sets)}
    return findings_pb2.AtomCertificate(
        minimum=minimum,
        sets=[
            findings_pb2.AtomSet(
                epoch_id=name.epoch_id,
                benign=name.side is Side.BENIGN,
                category=name.category,
                units=len(units),
            )
            for name, units in released.sets.items()
        ],
        atoms=[
            findings_pb2.Atom(sets=[places[name] for name in atom.sets], units=atom.units)
            for side in Side
            for atom in released.atoms(side)
        ],
    )
