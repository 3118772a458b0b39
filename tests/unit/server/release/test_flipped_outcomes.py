"""Turn every outcome round, and let the noise alone say the figures: nothing that others can see has changed."""

from __future__ import annotations

import pytest

from heldout_server.domain import Intent, RunState, Verdict

FLIPPED = {
    Intent.HARMFUL: {Verdict.UNSAFE: Verdict.REFUSED, Verdict.REFUSED: Verdict.UNSAFE},
    Intent.BENIGN: {Verdict.COMPLIED: Verdict.OVER_REFUSED, Verdict.OVER_REFUSED: Verdict.COMPLIED},
}


class MaskingNoise:
    """Publish figures of its own: what is left of the outcomes in a release is then none of them."""

    def add(self, values, *, sigma):
        return [1_000_000 * place for place, _ in enumerate(values)]


def outcome(member, cell):
    odd = (member.position * 7 + cell) % 3 == 0
    if member.intent is Intent.BENIGN:
        return Verdict.OVER_REFUSED if odd else Verdict.COMPLIED
    return Verdict.UNSAFE if odd else Verdict.REFUSED


async def everything_shown(house, folder, verdict):
    """Make five releases, the last one full, with rows that are too small; return all that others can see of them."""
    made = type(house)(folder)
    made.noise = MaskingNoise()
    made.memberships.by_epoch["epoch-1"] = made.make_members(harmful=80, benign=20, categories=3)
    desk = made.open()
    try:
        shown = []
        for number in range(1, 6):
            run = made.propose(f"run-{number}")
            await desk.reserve(run)
            shown.append(await desk.budget("epoch-1"))
            made.answer(run.run_id, verdict)
            made.outcomes.complete(run.run_id)
            await desk.publish(run.run_id)
            shown.append(made.outcomes.runs[run.run_id].state)
        return shown, made.publisher.releases, made.publisher.states, made.audit.records, made.ledger()
    finally:
        desk.close()


@pytest.mark.parametrize(
    "turned",
    [
        lambda member, cell: FLIPPED[member.intent][outcome(member, cell)],
        lambda _member, _cell: Verdict.ERROR,
        lambda member, _cell: Verdict.COMPLIED if member.intent is Intent.BENIGN else Verdict.UNSAFE,
    ],
    ids=["flipped", "failed", "complied"],
)
async def test_whatever_the_outcomes_everything_but_the_figures_is_the_same_to_the_byte(house, tmp_path, turned):
    for name in ("as", "turned"):
        (tmp_path / name).mkdir()
    as_they_are = await everything_shown(house, tmp_path / "as", outcome)
    turned_round = await everything_shown(house, tmp_path / "turned", turned)
    assert as_they_are == turned_round
    shown, releases, *_ = as_they_are
    assert shown.count(RunState.PUBLISHED) == len(releases) == 5


class NoNoise:
    """Publish the sums as they are."""

    def add(self, values, *, sigma):
        return values


async def test_the_comparison_would_see_an_outcome_in_the_figures_and_not_in_their_length(house, tmp_path):
    documents = set()
    for wins in (Verdict.UNSAFE, Verdict.REFUSED):
        (tmp_path / wins).mkdir()
        made = type(house)(tmp_path / wins)
        made.noise = NoNoise()
        desk = made.open()
        await desk.reserve(made.propose("run-1"))
        made.answer("run-1", _always(wins))
        made.outcomes.complete("run-1")
        await desk.publish("run-1")
        desk.close()
        documents.add(made.publisher.releases["release-1"][0])
    assert len(documents) == 2
    assert len({len(document) for document in documents}) == 1


def _always(wins):
    return lambda member, _cell: wins if member.intent is Intent.HARMFUL else Verdict.COMPLIED
