"""Atom certificates: what the policy decided holds for an independent reader, and nothing else does."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldout.errors import VerificationError
from heldout.findings import model
from heldout.findings.model import Atom, AtomCertificate, AtomSet, Release, Row, Table, TableKind, TrustClass
from heldout.verification.atoms import verify_atoms
from heldout_policy.atoms import Released, SetName
from heldout_policy.mechanism import Side

MINIMUM = 3
POLICY = "3" * 64
TESTED = model.Tested(
    checkpoint="v1",
    line="nova",
    checkpoint_digest="",
    runtime="lab",
    trust=TrustClass.CONTAINED,
    temperature=0.0,
    top_p=1.0,
    max_tokens=1,
    attempts=1,
)


def certificate(released: Released, *, minimum: int = MINIMUM) -> AtomCertificate:
    """Write what the policy decided as a release says it."""
    names = list(released.sets)
    return AtomCertificate(
        minimum=minimum,
        sets=tuple(
            AtomSet(
                epoch_id=name.epoch_id,
                benign=name.side is Side.BENIGN,
                category=name.category,
                units=len(released.sets[name]),
            )
            for name in names
        ),
        atoms=tuple(
            Atom(sets=tuple(names.index(name) for name in atom.sets), units=atom.units)
            for side in Side
            for atom in released.atoms(side)
        ),
    )


def release(number: int, *, epoch_id: str, atoms: AtomCertificate) -> Release:
    """Make a release with a row for every set of its epoch."""
    rows: dict[TableKind, list[Row]] = {TableKind.TECHNIQUE: [], TableKind.CATEGORY: [], TableKind.OVER_REFUSAL: []}
    for one in atoms.sets:
        if one.epoch_id == epoch_id:
            kind = TableKind.CATEGORY if one.category else TableKind.TECHNIQUE
            row = Row(key=one.category or "plain", units=one.units, count=1)
            rows[TableKind.OVER_REFUSAL if one.benign else kind].append(row)
    return Release(
        release_id=f"release-{number}",
        number=number,
        releases_total=25,
        run_id=f"run-{number}",
        epoch_id=epoch_id,
        epoch_number=1,
        tested=TESTED,
        manifest_digest="",
        policy_digest=POLICY,
        judge="patterns",
        judge_digest="",
        published_s=0,
        full=True,
        tables=tuple(
            Table(kind=kind, sigma_micro=1, grid_micro=1, cells_per_unit=1, debit_nano_rho=1, rows=tuple(held))
            for kind, held in rows.items()
        ),
        atoms=atoms,
    )


def released(*epochs: dict[str, range], benign: range = range(0)) -> list[Release]:
    """Release each epoch once, as the policy decides."""
    so_far, releases = Released(), []
    for number, categories in enumerate(epochs, start=1):
        epoch_id = f"epoch-{number}"
        of = {category: frozenset(f"u{unit}" for unit in units) for category, units in categories.items()}
        offered = {SetName(epoch_id=epoch_id, side=Side.HARMFUL): frozenset().union(*of.values())}
        offered |= {SetName(epoch_id=epoch_id, side=Side.HARMFUL, category=one): held for one, held in of.items()}
        offered[SetName(epoch_id=epoch_id, side=Side.BENIGN)] = frozenset(f"b{unit}" for unit in benign)
        so_far, _ = so_far.admit(offered, minimum=MINIMUM)
        releases.append(release(number, epoch_id=f"epoch-{number}", atoms=certificate(so_far)))
    return releases


TWO = ({"a": range(5), "b": range(5, 10)}, {"a": range(5), "b": range(8, 15)})


def test_two_epochs_hold_and_the_newest_certificate_is_returned():
    releases = released(*TWO, benign=range(4))
    assert verify_atoms(releases, minimums={POLICY: MINIMUM}) == releases[-1].atoms
    assert min(atom.units for atom in releases[-1].atoms.atoms) >= MINIMUM


def test_no_release_has_nothing_to_check():
    assert verify_atoms([], minimums={POLICY: MINIMUM}).sets == ()


def changed(releases: list[Release], **fields: object) -> list[Release]:
    last = releases[-1]
    return [*releases[:-1], dataclasses.replace(last, atoms=dataclasses.replace(last.atoms, **fields))]


def broken_certificates() -> dict[str, list[Release]]:
    good = released(*TWO)
    last = good[-1].atoms
    small = dataclasses.replace(last.atoms[0], units=MINIMUM - 1)
    nowhere = dataclasses.replace(last.atoms[0], sets=(len(last.sets),))
    empty = dataclasses.replace(last.atoms[0], sets=())
    mixed = (*last.sets[:-1], dataclasses.replace(last.sets[-1], benign=True))
    return {
        "fewer than the policy wants": changed(good, minimum=1),
        "a small atom": changed(good, atoms=(small, *last.atoms[1:])),
        "an atom of no set": changed(good, atoms=(empty, *last.atoms[1:])),
        "an atom of a set that is not there": changed(good, atoms=(nowhere, *last.atoms[1:])),
        "an atom twice": changed(good, atoms=(last.atoms[0], *last.atoms)),
        "an atom left out": changed(good, atoms=last.atoms[1:]),
        "sides mixed": changed(good, sets=mixed),
        "a set that grew": changed(good, sets=(dataclasses.replace(last.sets[0], units=99), *last.sets[1:])),
        "an old set forgotten": changed(good, sets=last.sets[1:]),
        "a set twice": changed(good, sets=(*last.sets, last.sets[-1])),
        "a row over an unknown set": [dataclasses.replace(good[0], epoch_id="epoch-9"), *good[1:]],
    }


@pytest.mark.parametrize("what", broken_certificates())
def test_a_certificate_that_breaks_a_rule_is_refused(what):
    with pytest.raises(VerificationError, match=r"release-\d: "):
        verify_atoms(broken_certificates()[what], minimums={POLICY: MINIMUM})


def test_atoms_that_regroup_old_units_are_refused():
    """Sizes may add up and still not divide the atoms of the release before."""
    first = AtomCertificate(
        minimum=1,
        sets=(AtomSet(epoch_id="e", benign=False, category="", units=4),) * 1,
        atoms=(Atom(sets=(0,), units=4),),
    )
    second = AtomCertificate(
        minimum=1,
        sets=(*first.sets, AtomSet(epoch_id="f", benign=False, category="", units=4)),
        atoms=(Atom(sets=(0,), units=1), Atom(sets=(1,), units=1), Atom(sets=(0, 1), units=3)),
    )
    verify_atoms([release(1, epoch_id="e", atoms=first), release(2, epoch_id="f", atoms=second)], minimums={POLICY: 1})
    moved = dataclasses.replace(second, atoms=(Atom(sets=(0,), units=2), *second.atoms[1:]))
    with pytest.raises(VerificationError, match="release-2"):
        verify_atoms(
            [release(1, epoch_id="e", atoms=first), release(2, epoch_id="f", atoms=moved)], minimums={POLICY: 1}
        )


epochs = st.lists(
    st.dictionaries(
        st.sampled_from("abc"),
        st.builds(lambda start, size: range(start, start + size), st.integers(0, 9), st.integers(1, 9)),
        min_size=1,
    ),
    max_size=4,
)


@given(epochs)
def test_whatever_the_policy_admits_holds_for_the_reader(chosen):
    verify_atoms(released(*chosen), minimums={POLICY: MINIMUM})
