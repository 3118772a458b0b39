"""A release policy in plain words: what it lets out, to whom, and what it does not protect."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Final

from heldout_policy.cards import explain_cards
from heldout_policy.mechanism import FULL_ONLY, TableKind, state_claims
from heldout_policy.release_policy import NANO, ReleasePolicy

DEFAULT_BITS: Final = 8
"""``bits_per_prompt`` of the policy that is shipped, to measure the ``exact`` profile by."""

_WHAT = {
    TableKind.TECHNIQUE: "attack success rate by technique",
    TableKind.STACK: "attack success rate by stack of techniques",
    TableKind.FIRST_BREACH: "share of prompts that break plain, by one technique at most, by a stack at most",
    TableKind.CATEGORY: "attack success rate by category of prompt",
    TableKind.NON_ANSWERS: "share of answers that say nothing of safety",
    TableKind.OVER_REFUSAL: "share of benign prompts that were refused",
}


def explain(policy: ReleasePolicy) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return headings with sentences under each, every figure taken from the policy itself."""
    if policy.exact:
        return (
            ("WARNING: the exact profile", _exact_warning(policy)),
            ("What leaves", _what_leaves(policy)),
            ("When", _when(policy)),
            ("Who decides", _who_decides(policy)),
        )
    return (
        ("What leaves", _what_leaves(policy)),
        ("When", _when(policy)),
        ("How much can be learnt", _how_much(policy)),
        ("Who decides", _who_decides(policy)),
        ("What this does not protect", _not_protected(policy)),
    )


def table_shares(policy: ReleasePolicy) -> dict[TableKind, Decimal]:
    """Return the share of a unit's budget that each table may spend over an epoch, in the order of a release."""
    return {
        TableKind.TECHNIQUE: policy.harmful.technique,
        TableKind.STACK: policy.harmful.stack,
        TableKind.FIRST_BREACH: policy.harmful.first_breach,
        TableKind.CATEGORY: policy.harmful.category,
        TableKind.NON_ANSWERS: policy.harmful.non_answers,
        TableKind.OVER_REFUSAL: policy.benign.over_refusal,
    }


def _what_leaves(policy: ReleasePolicy) -> tuple[str, ...]:
    how = f"without noise, in steps of {_units(policy.grid_units)}" if policy.exact else "each with noise, on a grid"
    lines = [f"Tables of sums over prompts, {how}. Never a prompt, an answer or a verdict."]
    for kind, share in table_shares(policy).items():
        if policy.exact:
            lines.append(f"{_WHAT[kind]}: {_often(policy) if kind in FULL_ONLY else 'in every release'}")
            continue
        if share == 0:
            lines.append(f"{_WHAT[kind]}: never")
            continue
        often = _often(policy) if kind in FULL_ONLY else "in every release"
        side = "a benign unit" if kind is TableKind.OVER_REFUSAL else "a harmful unit"
        lines.append(f"{_WHAT[kind]}: {often}; {_percent(share)} of the budget of {side}")
    lines.append(f"A row about fewer than {policy.minimum_units_per_cell} units is withheld, whatever came of it.")
    lines.append("Names of techniques and categories, as rows; those of categories are compared with the bank before.")
    lines.append("Cards that describe techniques, written and approved beforehand: the one text that leaves.")
    return tuple(lines)


def _when(policy: ReleasePolicy) -> tuple[str, ...]:
    if policy.lines:
        granted = ", ".join(f"{line} {quota}" for line, quota in policy.lines.items())
        releases = f"Releases an epoch by model line, for all its readers: {granted}. Another line is granted none."
    else:
        releases = f"{policy.releases_per_epoch} releases an epoch, for all readers and all checkpoints together."
    paid = "" if policy.exact else ", paid from the reserve"
    anchors = f"Beside them {policy.anchors_per_epoch} to restate a checkpoint of an earlier epoch or judge{paid}."
    return (
        releases,
        *([anchors] if policy.anchors_per_epoch else []),
        "A started run always publishes, failed trials counted by a fixed rule.",
        *_slots(policy),
        *_witnesses(policy),
    )


def _slots(policy: ReleasePolicy) -> tuple[str, ...]:
    if not policy.schedule.is_planned:
        return (
            (
                "FOR DEVELOPMENT: it publishes when it is complete. How long it took can be seen from that, so a"
                " checkpoint that stalls on a word tells by its delay what no noise hides. For a real bank set"
                ' publish = "as_planned".'
            ),
        )
    return (
        (
            f"It publishes at a slot, every {_duration(policy.schedule.slot_s)} counted from 1970-01-01 00:00 UTC."
            " Which one is fixed when it starts, from its plan, its deadlines and the runs before it, never from an"
            " outcome."
        ),
        "A run that is done early waits for its slot; what is not tried by then counts as failed.",
    )


def _witnesses(policy: ReleasePolicy) -> tuple[str, ...]:
    if policy.witness is None:
        return ()
    names, needed = policy.witness.names, policy.witness.needed
    who = names[0] if len(names) == 1 else f"{needed} of {len(names)} witnesses ({', '.join(names)})"
    have = "have each" if needed > 1 else "has"
    lately = f"in the last {_duration(policy.witness.maximum_age_s)}"
    return (f"It appears once {who} {have} cosigned a head of the log that holds it, {lately}; until then it waits.",)


def _duration(seconds: int) -> str:
    for name, unit_s in (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)):
        if seconds % unit_s == 0:
            count = seconds // unit_s
            return name if count == 1 else f"{count:,} {name}s"
    raise AssertionError("every whole number is a multiple of 1")


def _exact_warning(policy: ReleasePolicy) -> tuple[str, ...]:
    private = state_claims(int(DEFAULT_BITS * math.log(2) * NANO))
    return (
        (
            "Figures carry no noise. What protects a prompt is that no group of fewer than"
            f" {policy.minimum_units_per_cell} units can be reached by subtracting rows, steps of"
            f" {_units(policy.grid_units)}, and that an epoch has"
            f" {policy.releases_granted + policy.anchors_per_epoch} releases. Nothing bounds what they tell together."
        ),
        (
            "It is weaker by this much: a checkpoint that behaves in an agreed way on one prompt makes one row answer"
            " one yes/no question about it for certain, and each row of each release tells up to one bit of it:"
            " hundreds over an epoch (heldout-server policy plan counts them)."
        ),
        (
            "The private profile's default answers one question rightly at most"
            f" {private.one_question_accuracy:.1%} of the time, and all its releases together tell"
            f" {private.tight_bits:.1f} bits of a unit on average."
        ),
        "A unit that was released so never counts as protected again, whatever policy comes later.",
        "Every release and every page of heldout says so.",
    )


def _how_much(policy: ReleasePolicy) -> tuple[str, ...]:
    claims = state_claims(policy.budget_nano_rho)
    return (
        (
            f"One unit has a budget of rho {policy.budget_nano_rho / NANO:.3f} (zCDP) for its whole life: over all"
            " releases, checkpoints, epochs and readers. It is never given back."
        ),
        (
            f"All releases together carry at most {claims.tight_bits:.1f} bits about one unit, on average"
            f" ({claims.general_bits:.1f} by the bound that holds for any mechanism)."
        ),
        (
            f"One yes/no question about one unit is answered rightly at most {claims.one_question_accuracy:.1%} of the"
            " time, however clever the checkpoints and however many the questions."
        ),
        "Asking again tells nothing new: every answer comes from the same published documents.",
    )


def _who_decides(policy: ReleasePolicy) -> tuple[str, ...]:
    roles = " and a ".join(role.replace("_", " ") for role in policy.approval_roles)
    approval = (
        f"A {roles} must approve the exact manifest before a run starts."
        if roles
        else "No approval is needed before a run starts: right for development, and every release says so."
    )
    return (
        approval,
        *explain_cards(policy.cards),
        "The bank tester signs this document; its digest is in every release and log entry.",
    )


def _not_protected(policy: ReleasePolicy) -> tuple[str, ...]:  # noqa: ARG001 - the same for every policy
    return (
        "What prompts have in common: their topic, the style of who wrote them.",
        "Undeclared near copies: k of them cost k² as much. Declare them as one scenario family.",
        "Mutual information is an average: one prompt can be unluckier than the rest.",
        "The machine itself: who has root on it reads everything.",
    )


def _often(policy: ReleasePolicy) -> str:
    return "in every release" if policy.full_every == 1 else f"in one release of {policy.full_every}"


def _percent(share: Decimal) -> str:
    return f"{share * 100:f}".rstrip("0").rstrip(".") + " %"


def _units(number: int) -> str:
    return "one unit" if number == 1 else f"{number:,} units"
