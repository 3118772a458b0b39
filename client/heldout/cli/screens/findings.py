"""A release, the cards and the scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from heldout.cli.screens import figures
from heldout.cli.screens.exactness import exact_data, exact_lines
from heldout.cli.screens.page import Page, fill, join_parts, lay_out
from heldout.cli.screens.tested import condition_parts, name_parts, tested_data
from heldout.findings.intervals import Estimate, estimate_overall, estimate_row
from heldout.findings.model import CANCELLED, Card, Release, Row, Score, Table, TableKind
from heldout.findings.silence import BOUNDED, Silence, find_silence

TITLES: Final = {
    TableKind.TECHNIQUE: "attack success by technique",
    TableKind.STACK: "attack success by stack, first technique innermost",
    TableKind.FIRST_BREACH: "first breach, with noise of its own: broken by",
    TableKind.CATEGORY: "attack success by category",
    TableKind.NON_ANSWERS: "answers that say nothing of safety",
    TableKind.OVER_REFUSAL: "over-refusal: harmless prompts that were refused",
}
LEVELS: Final = {"plain": "nothing but the prompt", "single": "one technique at most", "stack": "a stack at most"}
"""What the levels of the first-breach table mean: its ``plain`` is not the row of that name among the techniques."""
WITHHELD: Final = "withheld"


def release_page(release: Release, *, others: Sequence[Release] = ()) -> Page:
    """Show one release: every table, with both intervals.

    Args:
        release: the release.
        others: of the same checkpoint, which its name alone does not reach.
    """
    tested = release.tested
    table = release.table(TableKind.TECHNIQUE)
    overall = None if table is None else estimate_overall(table)
    silence = find_silence(release)
    lines = join_parts(
        [
            " ".join(name_parts(tested)),
            f"release {release.number}",
            "restates an earlier one" if release.anchor else "",
            f"bank epoch {release.epoch_number}",
            figures.moment(release.published_s),
        ]
    )
    lines += join_parts(condition_parts(release.tested, judge=release.judge))
    lines += join_parts(
        [
            release.release_id,
            *(f"release {other.number} about it: {other.release_id}" for other in others),
            _approval(release),
        ]
    )
    lines += exact_lines(release)
    if silence is not None:
        lines += _silence_lines(silence, overall)
    if release.cancelled:
        lines += join_parts([CANCELLED, "receipt verified"])
    else:
        lines += _figure_lines(release, overall, silence)
    return Page(
        lines=tuple(lines),
        data=_release_data(release, overall, silence),
        header=_RELEASE_HEADER,
        records=tuple(_records(release, overall, silent=silence is not None)),
    )


def _approval(release: Release) -> str:
    roles = " and ".join(role.replace("_", " ") for role in release.approving_roles)
    return f"approved by a {roles} before its start" if roles else "its policy asks for no approval"


def _figure_lines(release: Release, overall: Estimate | None, silence: Silence | None) -> list[str]:
    lines = [""]
    rows = [["per cent", "", "this bank", "prompts like these"]]
    if overall is not None:
        rows.append(["overall, mean of the techniques", *_cells(overall, lower_bound=silence is not None)])
    for each in release.tables:
        bounded = silence is not None and each.kind in BOUNDED
        rows.append([TITLES[each.kind]])
        rows += [
            [f" {_row_name(each, row)}", *_cells(_estimate(each, index), lower_bound=bounded)]
            for index, row in enumerate(each.rows)
        ]
    lines += lay_out(rows, "<>>>")
    lines.append("")
    lines += _legend(release)
    return lines


def _row_name(table: Table, row: Row) -> str:
    return LEVELS.get(row.key, row.key) if table.kind is TableKind.FIRST_BREACH else row.key


def _silence_lines(silence: Silence, overall: Estimate | None) -> list[str]:
    lines = fill(f"! {figures.silence(silence)}", indent="  ", first="")
    if overall is not None:
        upper = figures.rate(silence.upper(overall.rate))
        lines += fill(
            f"as high as {upper} overall if each of those were a success; over-refusal is a lower bound too",
            indent="  ",
        )
    return lines


def _legend(release: Release) -> list[str]:
    harmful, benign = _units(release.table(TableKind.TECHNIQUE)), _units(release.table(TableKind.OVER_REFUSAL))
    parts = ["lower is safer", "95 % intervals", f"{harmful} harmful, {benign} harmless units"]
    if any(row.withheld for table in release.tables for row in table.rows):
        parts.append("withheld: too few units for the policy")
    if not release.full:
        parts.append("a light release: stacks, first breach and categories are in full ones")
    return join_parts([*parts, "receipt verified"])


def _units(table: Table | None) -> int:
    return 0 if table is None else max((row.units for row in table.rows), default=0)


def _estimate(table: Table, index: int) -> Estimate | None:
    row = table.rows[index]
    return None if row.withheld or row.units < 1 else estimate_row(table, row)


def _cells(estimate: Estimate | None, *, lower_bound: bool) -> list[str]:
    if estimate is None:
        return [WITHHELD, "", ""]
    if lower_bound:
        return [
            figures.rate(estimate.rate, lower_bound=True),
            figures.lower_end(estimate.this_bank),
            figures.lower_end(estimate.prompts_like_these),
        ]
    return [
        figures.rate(estimate.rate),
        figures.interval(estimate.this_bank),
        figures.interval(estimate.prompts_like_these),
    ]


def _release_data(release: Release, overall: Estimate | None, silence: Silence | None) -> dict[str, Any]:
    return {
        "release_id": release.release_id,
        "number": release.number,
        "releases_total": release.releases_total,
        "epoch": release.epoch_number,
        "run_id": release.run_id,
        "published_s": release.published_s,
        "full": release.full,
        "cancelled": release.cancelled,
        "anchor": release.anchor,
        **exact_data(release),
        "judge": release.judge,
        "judge_digest": release.judge_digest,
        "manifest_digest": release.manifest_digest,
        "policy_digest": release.policy_digest,
        "approving_roles": list(release.approving_roles),
        "cards": dict(release.cards),
        "tested": tested_data(release.tested),
        "overall": None if overall is None else figures.estimate_data(overall),
        "lower_bound": silence is not None,
        "overall_upper": None if overall is None or silence is None else silence.upper(overall.rate),
        "tables": [
            {
                "kind": table.kind.value,
                "sigma_micro": table.sigma_micro,
                "grid_micro": table.grid_micro,
                "cells_per_unit": table.cells_per_unit,
                "debit_nano_rho": table.debit_nano_rho,
                "lower_bound": silence is not None and table.kind in BOUNDED,
                "rows": [_row_data(table, index) for index in range(len(table.rows))],
            }
            for table in release.tables
        ],
        "receipt": "verified",
    }


def _row_data(table: Table, index: int) -> dict[str, Any]:
    row, estimate = table.rows[index], _estimate(table, index)
    figured = {"rate": None, "units": row.units} if estimate is None else figures.estimate_data(estimate)
    return {"key": row.key, "withheld": row.withheld, **figured}


_RELEASE_HEADER: Final = (
    "checkpoint",
    "table",
    "key",
    "units",
    "rate",
    "bank_low",
    "bank_high",
    "like_low",
    "like_high",
    "profile",
    "lower_bound",
)
"""Of :func:`_records`, place by place."""


def _records(release: Release, overall: Estimate | None, *, silent: bool) -> list[tuple[Any, ...]]:
    named: list[tuple[str, str, int, Estimate | None]] = []
    if overall is not None:
        named.append(("overall", "overall", overall.units, overall))
    named += [
        (table.kind.value, row.key, row.units, _estimate(table, index))
        for table in release.tables
        for index, row in enumerate(table.rows)
    ]
    return [
        (
            release.tested.checkpoint,
            kind,
            key,
            units,
            *(
                ("",) * 5
                if estimate is None
                else (
                    estimate.rate,
                    estimate.this_bank.low,
                    estimate.this_bank.high,
                    estimate.prompts_like_these.low,
                    estimate.prompts_like_these.high,
                )
            ),
            release.profile.value,
            silent and kind != TableKind.NON_ANSWERS.value,
        )
        for kind, key, units, estimate in named
    ]


def cards_page(cards: Sequence[Card]) -> Page:
    """List the technique cards."""
    rows = [["technique", "kind", "what it is"]] + [[card.technique, card.kind, card.title] for card in cards]
    if not cards:
        return Page(lines=("no card is published: testers propose and approve them", "receipt verified"), data=[])
    lines = [*lay_out(rows, "<<<", flexible=2), "more: heldout techniques show ID · receipt verified"]
    return Page(lines=tuple(lines), data=[card_data(card) for card in cards])


def card_page(*cards: Card) -> Page:
    """Show a technique's card, or those of a stack: in JSON an object, or a list of them."""
    lines: list[str] = []
    for card in cards:
        lines += [*card_lines(card), ""]
        lines += join_parts([f"written by {card.author}", f"approved by {card.approved_by}", "receipt verified"])
        lines += [] if card is cards[-1] else ["", ""]
    found = [card_data(card) for card in cards]
    return Page(lines=tuple(lines), data=found[0] if len(found) == 1 else found)


def card_lines(card: Card) -> list[str]:
    """Return what a person wrote of a technique, under headings."""
    lines = join_parts([f"{card.technique}: {card.title}", f"family {card.family}", f"kind {card.kind}"])
    for title, text in (("how it works", card.mechanism), ("what helps against it", card.mitigation)):
        lines += ["", title, *fill(text, indent="  ")]
    lines += ["", "references"]
    for reference in card.references:
        lines += fill(reference, indent="    ", first="  · ")
    return lines


def card_data(card: Card) -> dict[str, Any]:
    """Return a card for ``--json``."""
    return {
        "technique": card.technique,
        "title": card.title,
        "family": card.family,
        "kind": card.kind,
        "mechanism": card.mechanism,
        "references": list(card.references),
        "mitigation": card.mitigation,
        "digest": card.digest,
        "author": card.author,
        "approved_by": card.approved_by,
    }


def scores_page(scores: Sequence[Score]) -> Page:
    """List recorded scores, oldest first."""
    header = ("checkpoint", "kind", "benchmark", "value")
    records = tuple((score.checkpoint, score.kind.value, score.benchmark, score.value) for score in scores)
    digits = max((len(f"{score.value:g}".partition(".")[2]) for score in scores), default=0)  # so that points align
    rows = [[*header], *([*words, f"{value:.{digits}f}"] for *words, value in records)]
    lines = lay_out(rows, "<<<>") if scores else ["no scores yet: heldout scores record CHECKPOINT --benchmark NAME"]
    return Page(
        lines=(*lines, "receipt verified"),
        data=[dict(zip(header, record, strict=True)) for record in records],
        header=header,
        records=records,
    )
