"""What the ``[cards]`` section of ``release.toml`` may say of technique cards.

The rules:

1.  ``shipped`` is ``signature`` (whoever signs the document approves the cards that ship with the appliance) or
    ``approval`` (they are approved one by one, as any other).
2.  ``approved_by`` is the role of the person who approves a card beside its author: ``bank_tester`` or ``run_tester``.

Without the section the strictest holds: one by one, and by a bank tester. Whoever approves it, no card is published in
which the gate finds something of a prompt, and nobody approves a card of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SIGNATURE: Final = "signature"
APPROVAL: Final = "approval"
SHIPPED: Final = (SIGNATURE, APPROVAL)
APPROVERS: Final = ("bank_tester", "run_tester")


@dataclass(frozen=True, slots=True, kw_only=True)
class CardsPolicy:
    """Say who approves cards.

    Attributes:
        shipped: ``signature`` or ``approval``.
        approved_by: ``bank_tester`` or ``run_tester``.
    """

    shipped: str = APPROVAL
    approved_by: str = "bank_tester"

    @property
    def signed(self) -> bool:
        """Say whether the signature of the policy approves what ships."""
        return self.shipped == SIGNATURE


STRICTEST: Final = CardsPolicy()
"""What holds where the document says nothing of cards."""


def explain_cards(cards: CardsPolicy) -> tuple[str, ...]:
    """Return in plain words what the section means."""
    approver = cards.approved_by.replace("_", " ")
    shipped = (
        "The signature of this document approves the cards that ship."
        if cards.signed
        else "The cards that ship are approved one by one, too."
    )
    return (
        (
            f"A card of a technique is published once a {approver} who did not write it approved it, and nothing of a"
            " prompt is found in it."
        ),
        shipped,
    )
