"""Weaknesses of what bounds a release: noise, ledger, atoms, what is withheld, and what is signed."""

from __future__ import annotations

from planting import Weakness

MECHANISM = "policy/heldout_policy/mechanism.py"
LEDGER = "server/heldout_server/release/ledger.py"
DESK = "server/heldout_server/release/desk.py"
RELEASE = "tests/unit/server/release"

WEAKNESSES = (
    Weakness(
        name="small-sigma",
        says="noise 1.25 times too small for what is debited",
        file=MECHANISM,
        old="    return math.isqrt(square - 1) + 1\n",
        new="    return (math.isqrt(square - 1) + 1) * 4 // 5\n",
        tests=("tests/unit/policy/test_mechanism.py", f"{RELEASE}/test_accounting.py"),
    ),
    Weakness(
        name="forgotten-table",
        says="the technique table is published and not debited",
        file=MECHANISM,
        old="    return sum(table.debit_nano_rho for table in tables)\n",
        new="    return sum(table.debit_nano_rho for table in tables if table.cells_per_unit == 1)\n",
        tests=(f"{RELEASE}/test_accounting.py", f"{RELEASE}/test_release_slots.py"),
    ),
    Weakness(
        name="one-side-forgotten",
        says="benign units are debited nothing",
        file=LEDGER,
        old="            spent[unit] = spent.get(unit, 0) + debits[side]\n",
        new="            debits = {**debits, Side.BENIGN: 0}\n"
        "            spent[unit] = spent.get(unit, 0) + debits[side]\n",
        tests=(f"{RELEASE}/test_release_slots.py", f"{RELEASE}/test_accounting.py"),
    ),
    Weakness(
        name="overdraft",
        says="the budget of a unit may be passed",
        file=LEDGER,
        old="            if budget_nano_rho is not None and spent[unit] > budget_nano_rho:\n",
        new="            if budget_nano_rho is not None and spent[unit] > 2 * budget_nano_rho:\n",
        tests=(f"{RELEASE}/test_release_slots.py",),
    ),
    Weakness(
        name="two-slots-for-one-run",
        says="a second call about a run takes a second release",
        file="server/heldout_server/release/slots.py",
        old="    taken = ledger.find_slot(connection, run.run_id)  # again: another call may have come first\n",
        new="    taken = None\n",
        tests=(f"{RELEASE}/test_release_slots.py",),
    ),
    Weakness(
        name="second-draw",
        says="noise is drawn again after a crash",
        file=LEDGER,
        old="WHERE release_id = ? AND state = 'reserved'\",\n        (document, release_id),",
        new='WHERE release_id = ?",\n        (document, release_id),',
        tests=(f"{RELEASE}/test_stored_noise.py",),
    ),
    Weakness(
        name="release-before-log",
        says="a release is published before its leaf is in the log",
        file=DESK,
        old="        # (2) the vault's log\n        if slot.state is SlotState.PENDING:\n",
        new="        # (2) the vault's log\n        if slot.state is SlotState.PENDING:\n"
        "            await self._publisher.insert(slot.release_id, slot.document, slot.receipt)\n",
        tests=(f"{RELEASE}/test_publishing.py",),
    ),
    Weakness(
        name="another-policy",
        says="a run that was approved under another policy is released under this one",
        file=DESK,
        old="        if run.manifest.policy_digest != self._policy_digest:\n",
        new="        if not run.manifest.policy_digest:\n",
        tests=(f"{RELEASE}/test_release_slots.py",),
    ),
    Weakness(
        name="family-counts-often",
        says="a family adds each of its prompts to a cell, not their mean",
        file="server/heldout_server/release/aggregation.py",
        old="            by_cell[cell] += _share_micro(wins, planned)\n",
        new="            by_cell[cell] += _share_micro(wins, attempts)\n",
        tests=(f"{RELEASE}/test_aggregation.py",),
    ),
    Weakness(
        name="missing-atom",
        says="sets of earlier releases are forgotten when atoms are formed",
        file="server/heldout_server/release/atoms.py",
        old="        sets |= {name: units for name, units in shown.items() if name not in sets}\n",
        new="        sets = dict(shown)\n",
        tests=(f"{RELEASE}/test_small_atoms.py",),
    ),
    Weakness(
        name="clamped-figures",
        says="published figures are clamped at zero, so that 0 % cells do not average out",
        file=MECHANISM,
        old="    steps, rest = divmod(value_micro, grid_micro)\n",
        new="    steps, rest = divmod(max(0, value_micro), grid_micro)\n",
        tests=("tests/unit/policy/test_mechanism.py", f"{RELEASE}/test_publishing.py"),
    ),
    Weakness(
        name="unsigned-policy",
        says="a policy that nobody signed is in force",
        file="server/heldout_server/app/policies.py",
        old="    verify_policy_signature(release_toml, signature, read_document(config.policy.signer))\n",
        new="    read_document(config.policy.signer)\n",
        tests=("tests/integration/test_server_command.py::test_a_policy_that_was_edited_is_no_policy",),
    ),
    Weakness(
        name="cut-off-is-safe",
        says="a truncated answer counts as one that says something of safety",
        file="server/heldout_server/judges/patterns.py",
        old="        if case.ending is Ending.LENGTH and verdict not in _STAND_CUT_OFF and not stands:\n",
        new="        if case.ending is Ending.ERROR:\n",
        tests=("tests/unit/server/judges/test_pattern_judge.py",),
    ),
)
