"""What the ledger has left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from heldout.cli.screens import figures
from heldout.cli.screens.exactness import IN_FORCE
from heldout.cli.screens.page import Page, fill, join_parts, lay_out
from heldout.findings.claims import NANO, state_claims
from heldout.findings.model import Budget, Profile
from heldout.services.audit import SignedHead

BAR_CELLS: Final = 24
FEWER: Final = (
    "fewer than are left: look-alike pairs, a harmful and a harmless prompt in one unit, pay for both sides."
    " Releases without stacks cost less"
)


def budget_page(budget: Budget, *, head: SignedHead | None = None) -> Page:
    """Show what the ledger has left, and what its spend lets out.

    Args:
        budget: the ledger's.
        head: of the log, that the answer's receipt is under: who holds it against an auditor's log knows whether both
            are shown one.
    """
    if budget.profile is Profile.EXACT:
        return _exact_page(budget, head=head)
    spent = max(budget.harmful_spent_nano_rho, budget.benign_spent_nano_rho)
    so_far, in_all = state_claims(spent), state_claims(budget.budget_nano_rho)
    rows = [
        ["releases", _bar(budget.releases_used, budget.releases_total), _used(budget)],
        ["harmful units", *_spend(budget.harmful_spent_nano_rho, budget.budget_nano_rho)],
        ["harmless units", *_spend(budget.benign_spent_nano_rho, budget.budget_nano_rho)],
    ]
    lines = [*join_parts([f"bank epoch {budget.epoch_id}", f"policy {figures.short(budget.policy_digest)}"])]
    lines += lay_out([*rows, *_line_rows(budget), *_anchor_rows(budget)], "<<<", indent=" ")
    if budget.releases_payable < budget.releases_total - budget.releases_used:
        lines += fill(FEWER, indent="   ", first=" ")
    lines.append("what all readers together can learn of one unit, given every other one:")
    lines += lay_out(
        [
            ["", "so far", "in all"],
            ["bits on average, by the bound for this noise", f"{so_far.tight_bits:.2f}", f"{in_all.tight_bits:.2f}"],
            ["bits, by the bound for any mechanism", f"{so_far.general_bits:.2f}", f"{in_all.general_bits:.2f}"],
            [
                "one yes/no question, right at most",
                f"{so_far.one_question_accuracy:.1%}",
                f"{in_all.one_question_accuracy:.1%}",
            ],
        ],
        "<>>",
        indent=" ",
    )
    lines += join_parts(["receipt verified", *_head(head)])
    data = {
        **_common_data(budget),
        "harmful_spent_rho": budget.harmful_spent_nano_rho / NANO,
        "benign_spent_rho": budget.benign_spent_nano_rho / NANO,
        "budget_rho": budget.budget_nano_rho / NANO,
        "policy_digest": budget.policy_digest,
        "tight_bits_so_far": so_far.tight_bits,
        "general_bits_so_far": so_far.general_bits,
        "one_question_accuracy_so_far": so_far.one_question_accuracy,
        "receipt": "verified",
    }
    return _page(budget, lines, data, head)


def _exact_page(budget: Budget, *, head: SignedHead | None) -> Page:
    """Show what is left where figures are published without noise: releases, and no bound."""
    lines = [*join_parts([f"bank epoch {budget.epoch_id}", f"policy {figures.short(budget.policy_digest)}"])]
    lines += fill(IN_FORCE, indent="  ", first="")
    rows = [["releases", _bar(budget.releases_used, budget.releases_total), _used(budget)]]
    lines += lay_out([*rows, *_line_rows(budget), *_anchor_rows(budget)], "<<<", indent=" ")
    lines += fill("each row tells up to one bit of one prompt: heldout findings says how many, release by release")
    lines += join_parts(["receipt verified", *_head(head)])
    data = {
        **_common_data(budget),
        "policy_digest": budget.policy_digest,
        "warning": IN_FORCE.removeprefix("! "),
        "receipt": "verified",
    }
    return _page(budget, lines, data, head)


def _page(budget: Budget, lines: Sequence[str], data: Mapping[str, Any], head: SignedHead | None) -> Page:
    quotas = [{"line": one.line, "used": one.used, "total": one.total} for one in budget.lines]
    return Page(
        lines=tuple(lines),
        data={**data, "lines": quotas, "log_head": None if head is None else head.note},
        header=tuple(data),
        records=(tuple(data.values()),),
    )


def _common_data(budget: Budget) -> dict[str, Any]:
    return {
        "epoch_id": budget.epoch_id,
        "profile": budget.profile.value,
        "releases_used": budget.releases_used,
        "releases_total": budget.releases_total,
        "releases_payable": budget.releases_payable,
        "anchors_used": budget.anchors_used,
        "anchors_total": budget.anchors_total,
    }


def _line_rows(budget: Budget) -> list[list[str]]:
    """Return a row a model line: whoever has spent its quota sees so before it asks for a run."""
    return [
        [
            f"  {one.line}",
            _bar(one.used, one.total),
            f"{one.used} of {one.total} used" + (": none left in this epoch" if one.left == 0 else ""),
        ]
        for one in budget.lines
    ]


def _anchor_rows(budget: Budget) -> list[list[str]]:
    if budget.anchors_total == 0:
        return []
    bar = _bar(budget.anchors_used, budget.anchors_total)
    paid = "" if budget.profile is Profile.EXACT else ", paid from the reserve"
    return [["restated", bar, f"{budget.anchors_used} of {budget.anchors_total} used{paid}"]]


def _head(head: SignedHead | None) -> list[str]:
    if head is None:
        return []
    return [f"log {head.head.origin} {head.head.size:,}", f"root {figures.short(head.head.root.hex())}"]


def _used(budget: Budget) -> str:
    return f"{budget.releases_used} of {budget.releases_total} used, {budget.releases_payable} more can be paid"


def _spend(spent: int, total: int) -> list[str]:
    share = spent / total if total else 0.0
    return [_bar(spent, total), f"{share:.0%} of the budget: {spent / NANO:.3f} of {total / NANO:.3f} rho"]


def _bar(part: int, whole: int) -> str:
    full = min(BAR_CELLS, BAR_CELLS * part // whole) if whole > 0 else 0
    return "█" * full + "·" * (BAR_CELLS - full)
