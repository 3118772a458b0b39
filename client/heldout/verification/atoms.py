"""Check the atoms of releases, without trusting who published them.

Every released row is a sum over a set of units. An *atom* is a group of units that are in exactly the same sets, over
all releases so far: the smallest group that adding and subtracting released sums can reach. Each release carries a
certificate of sets and atoms, by size alone. This module checks, over all releases in the order of publication:

1.  Every atom has at least the minimum of units, and is in at least one set of one side.
2.  Every set has as many units as the atoms in it.
3.  Nothing is forgotten: a certificate begins with the sets of the one before, and its atoms refine those before.
4.  Every row that was published sums over a set of its certificate, with as many units as the row says.

What it cannot check is which prompts are in a set: the appliance alone knows. It can check that the sizes are those of
some bank, and that they never change.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping

from heldout.errors import VerificationError
from heldout.findings.model import AtomCertificate, AtomSet, Release, Table, TableKind

EMPTY = AtomCertificate(minimum=0, sets=(), atoms=())


def verify_atoms(releases: Iterable[Release], *, minimums: Mapping[str, int]) -> AtomCertificate:
    """Check the certificates of releases by the rules of this module.

    Args:
        releases: every release that was ever published, in the order of publication.
        minimums: units that signed policies want of every atom, by policy digest; a release under a policy that is
            not here is held to what it says itself.

    Returns:
        The newest certificate; an empty one where nothing was released.

    Raises:
        VerificationError: a release and a rule that it breaks.
    """
    before = EMPTY
    for release in releases:
        for problem in _problems(release, before, minimum=minimums.get(release.policy_digest, 1)):
            raise VerificationError(f"{release.release_id}: {problem}")
        before = release.atoms
    return before


def minimum_of(release_toml: bytes) -> int:
    """Return how many units a release policy wants of every atom.

    Raises:
        VerificationError: the document does not say.
    """
    try:
        minimum = tomllib.loads(release_toml.decode())["minimum_units_per_cell"]
    except (ValueError, KeyError):
        minimum = None
    if not isinstance(minimum, int):
        raise VerificationError("the release policy names no minimum_units_per_cell")
    return minimum


def _problems(release: Release, before: AtomCertificate, *, minimum: int) -> Iterator[str]:
    now = release.atoms
    if now.minimum < minimum:
        yield f"its atoms may have {now.minimum} units, and the policy wants {minimum}"
    yield from _atom_problems(now)
    yield from _set_problems(now)
    yield from _history_problems(now, before)
    for table in release.tables:
        yield from _row_problems(release, table)


def _atom_problems(now: AtomCertificate) -> Iterator[str]:
    """Yield what breaks rule 1."""
    seen: set[tuple[int, ...]] = set()
    for atom in now.atoms:
        if not atom.sets or list(atom.sets) != sorted(set(atom.sets)) or not _inside(atom.sets, now):
            yield "an atom names no set, one twice, or one that is not there"
        elif len({now.sets[place].benign for place in atom.sets}) > 1:
            yield "an atom mixes sums over harmful and over benign prompts"
        elif atom.sets in seen:
            yield "two atoms are in the same sets"
        elif atom.units < now.minimum:
            yield f"an atom has {atom.units} units, fewer than {now.minimum}"
        seen.add(atom.sets)


def _set_problems(now: AtomCertificate) -> Iterator[str]:
    """Yield what breaks rule 2."""
    for place, one in enumerate(now.sets):
        held = sum(atom.units for atom in now.atoms if place in atom.sets)
        if held != one.units:
            yield f"the set {_name(one)} has {one.units} units, and its atoms {held}"
    if len({(one.epoch_id, one.benign, one.category) for one in now.sets}) != len(now.sets):
        yield "a set is named twice"


def _history_problems(now: AtomCertificate, before: AtomCertificate) -> Iterator[str]:
    """Yield what breaks rule 3."""
    known = len(before.sets)
    if now.sets[:known] != before.sets:
        yield "a set that was released before is missing or changed"
        return
    sizes: dict[tuple[int, ...], int] = {}
    for atom in now.atoms:
        old = tuple(place for place in atom.sets if place < known)
        if old:
            sizes[old] = sizes.get(old, 0) + atom.units
    if sizes != {atom.sets: atom.units for atom in before.atoms}:
        yield "its atoms do not divide up those of the release before"


def _row_problems(release: Release, table: Table) -> Iterator[str]:
    """Yield what breaks rule 4."""
    sizes = {(one.epoch_id, one.benign, one.category): one.units for one in release.atoms.sets}
    benign = table.kind is TableKind.OVER_REFUSAL
    for row in table.visible():
        category = row.key if table.kind is TableKind.CATEGORY else ""
        if sizes.get((release.epoch_id, benign, category)) != row.units:
            yield f"the row {table.kind}/{row.key} sums over a set of {row.units} units that its atoms do not know"


def _inside(places: tuple[int, ...], now: AtomCertificate) -> bool:
    return places[0] >= 0 and places[-1] < len(now.sets)


def _name(one: AtomSet) -> str:
    return "/".join((one.epoch_id, "benign" if one.benign else "harmful", *([one.category] if one.category else [])))
