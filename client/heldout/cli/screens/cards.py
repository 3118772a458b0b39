"""Cards and where they stand, and what they would give away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from heldout.bank_model import CardHit
from heldout.cli.screens.findings import card_data, card_lines
from heldout.cli.screens.page import Page, clean, fill, join_parts, lay_out
from heldout.services.cards import CardRecord


def checked_page(found: Mapping[str, Sequence[CardHit]]) -> Page:
    """Show each card that was checked, and which prompts it would give away.

    Args:
        found: hits by the name of the card.
    """
    bad = {name: hits for name, hits in found.items() if hits}
    noun = "card" if len(found) == 1 else "cards"
    said = f"{len(bad):,} would give a prompt away" if bad else "nothing of a prompt found in it"
    if not bad and len(found) != 1:
        said = "nothing of a prompt found in them"
    lines = [*join_parts([f"{len(found):,} {noun} checked", said, "receipt verified"])]
    rows = [[clean(name), hit.rule.value, clean(hit.handle)] for name, hits in bad.items() for hit in hits]
    if rows:
        lines += lay_out([["card", "by", "prompt"], *rows], "<<<", flexible=0)
    else:
        lines += fill("a paraphrase or a translation is not found: read the card as well")
    return Page(
        lines=tuple(lines),
        data={
            "cards": [
                {"card": name, "hits": [{"rule": hit.rule.value, "handle": hit.handle} for hit in hits]}
                for name, hits in found.items()
            ]
        },
    )


def records_page(records: Sequence[CardRecord]) -> Page:
    """List cards and where they stand."""
    if not records:
        return Page(lines=("no card to show", "receipt verified"), data=[])
    rows = [["technique", "state", "written by", "digest"]]
    rows += [[one.card.technique, one.state.value, _person(one.card.author), one.card.digest[:12]] for one in records]
    return Page(
        lines=(*lay_out(rows, "<<<<", flexible=2), "more: heldout cards show ID · receipt verified"),
        data=[_record_data(one) for one in records],
    )


def record_page(record: CardRecord, hits: Sequence[CardHit] | None) -> Page:
    """Show a card and where it stands.

    Args:
        record: the card.
        hits: what is found in it; None where that is not for the reader.
    """
    card = record.card
    lines = [
        *card_lines(card),
        "",
        *join_parts(
            [record.state.value, f"written by {card.author}", card.approved_by and f"approved by {card.approved_by}"]
        ),
    ]
    lines += fill(f"digest {card.digest}")
    if hits:
        lines += ["", "found in it"]
        lines += lay_out([[hit.rule.value, clean(hit.handle)] for hit in hits], "<<", indent="  ")
    elif hits is not None:
        lines += fill("nothing of a prompt is found in it; a paraphrase or a translation would not be")
    data = _record_data(record)
    if hits is not None:
        data["hits"] = [{"rule": hit.rule.value, "handle": hit.handle} for hit in hits]
    return Page(lines=(*lines, "receipt verified"), data=data)


def _record_data(record: CardRecord) -> dict[str, Any]:
    return {**card_data(record.card), "state": record.state.value, "proposed_s": record.proposed_s}


def _person(identity: str) -> str:
    """Return the end of an identity: its trust domain is the same for all."""
    return identity.removeprefix("spiffe://").partition("/")[2] or identity
