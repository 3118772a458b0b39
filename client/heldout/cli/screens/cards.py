"""What cards would give away, for bank testers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from heldout.cli.screens.page import Page, clean, fill, join_parts, lay_out
from heldout.services.bank import CardHit


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
