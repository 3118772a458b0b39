"""The cards gate: no card leaves that gives a prompt away, alone or together with the cards before it.

A card is read in every way that :mod:`heldout_server.bank.readings` knows. Its traces are compared with those of every
prompt that was ever imported, retired ones too. A trace that many prompts share weighs little: it says something of
how prompts begin, and nothing of one of them.

1.  *Runs of words* and *runs of letters*, of this card alone: enough of them by weight, or most of those of a short
    prompt.
2.  *Pairs*, *words* and *tokens*, of this card and all that were admitted before it, to which this one must add.

It cannot see a paraphrase or a translation: for that there is the person who approves.
"""

from __future__ import annotations

import asyncio
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Final, NamedTuple

from heldout_server.anchored import AnchoredDatabase
from heldout_server.bank.readings import TooManyReadings, read_all
from heldout_server.bank.studies import Studies, find_handle
from heldout_server.bank.traces import Found, Kind, TraceBlock, Tracer, Traces, join
from heldout_server.database import Connection
from heldout_server.ports.cards import MAX_HITS, CardHit, CardRule, CardText

BLOCK_SHARDS: Final = 16
"""Shards whose traces are in memory together."""

COMMON: Final = {Kind.RUNS: 100, Kind.CHARACTERS: 100, Kind.PAIRS: 200, Kind.WORDS: 200, Kind.TOKENS: 200}
"""A trace of a kind weighs 1 up to one in so many prompts that have it, and less in proportion past it."""

COMMON_LEAST: Final = 3
"""Prompts that may share a trace in any bank before it weighs less."""

_OVER_CARDS: Final = (Kind.PAIRS, Kind.WORDS, Kind.TOKENS)


class Bound(NamedTuple):
    """Say when traces of one kind give a prompt away: all bounds together.

    Attributes:
        share: of all traces of that kind that the prompt has, 0 to 1.
        weight: their weights in sum.
        least: how many they are at least.
    """

    share: float
    weight: float
    least: int = 1


BOUNDS: Final[Mapping[Kind, tuple[CardRule, tuple[Bound, ...]]]] = {
    Kind.RUNS: (CardRule.WORD_RUNS, (Bound(0, 4), Bound(0.6, 1.5), Bound(0.95, 0))),
    Kind.CHARACTERS: (CardRule.CHARACTER_RUNS, (Bound(0, 3), Bound(0.6, 1.5), Bound(0.95, 0))),
    Kind.PAIRS: (CardRule.PAIRS_OVER_CARDS, (Bound(0.45, 1.5, 4),)),
    Kind.WORDS: (CardRule.WORDS_OVER_CARDS, (Bound(0.85, 5), Bound(0.95, 1.5, 12))),
    Kind.TOKENS: (CardRule.RARE_TOKENS, (Bound(0, 2),)),
}
"""Any one of a kind's bounds is enough."""


class SqlCardsGate:
    """Judge cards by the traces in the bank's database: :class:`heldout_server.ports.cards.CardsGate`."""

    def __init__(self, database: AnchoredDatabase, *, tracer: Tracer, studies: Studies) -> None:
        self._database = database
        self._tracer = tracer
        self._studies = studies
        self._admitting = asyncio.Lock()

    async def examine(self, card: CardText) -> tuple[CardHit, ...]:
        """Return the prompts that a card would give away, at most :data:`heldout_server.ports.cards.MAX_HITS`.

        Raises:
            IntegrityError: a text of the bank that was not studied yet is not what was sealed.
        """
        traces = await asyncio.to_thread(self._trace, card)
        if traces is None:
            return (CardHit(CardRule.TOO_MANY_READINGS, ""),)
        return await self._judge(traces)

    async def admit(self, card: CardText) -> tuple[CardHit, ...]:
        """Do as :meth:`examine` does, and remember a card that may be published: later ones are judged with it.

        Raises:
            IntegrityError: a text of the bank that was not studied yet is not what was sealed.
        """
        async with self._admitting:  # two cards that give something away together must not pass side by side
            traces = await asyncio.to_thread(self._trace, card)
            if traces is None:
                return (CardHit(CardRule.TOO_MANY_READINGS, ""),)
            hits = await self._judge(traces)
            if not hits:
                kept = array("Q", sorted(frozenset().union(*(traces[kind] for kind in _OVER_CARDS)))).tobytes()
                await self._database.write(
                    lambda connection: connection.execute(
                        "INSERT INTO gated (traces) SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM gated WHERE traces = ?1)",
                        (kept,),
                    )
                )
            return hits

    def _trace(self, card: CardText) -> Traces | None:
        text = "\n".join((card.title, card.mechanism, *card.references, card.mitigation))
        try:
            return join(map(self._tracer.trace, read_all(text)))
        except TooManyReadings:
            return None

    async def _judge(self, card: Traces) -> tuple[CardHit, ...]:
        await self._studies.catch_up()
        admitted = await self._database.read(_admitted)
        own = frozenset().union(*card)
        wanted = own | admitted
        evidence = _Evidence(own)
        last = 0
        while True:
            blocks, last = await self._database.read(partial(_blocks, after=last))
            if not blocks:
                break
            await asyncio.to_thread(evidence.add, blocks, wanted)
        found = await asyncio.to_thread(evidence.decide)
        return await self._database.read(
            lambda connection: tuple(
                CardHit(rule, find_handle(connection, prompt)) for prompt, rule in found[:MAX_HITS]
            )
        )


class _Evidence:
    """Gather which prompts have traces of a card, and decide when all are seen."""

    def __init__(self, own: frozenset[int]) -> None:
        self._own = own
        self._prompts = 0
        self._sharers: Counter[int] = Counter()  # prompts that have a trace
        self._found: list[Found] = []

    def add(self, blocks: Iterable[TraceBlock], wanted: frozenset[int]) -> None:
        for block in blocks:
            self._prompts += len(block)
            for found in block.find(wanted):
                self._sharers.update(found.numbers)
                self._found.append(found)

    def decide(self) -> list[tuple[int, CardRule]]:
        """Return the prompts that are given away, those first of which most is; each by the first rule that says so."""
        hits: dict[int, CardRule] = {}
        given: dict[int, float] = defaultdict(float)
        for found in self._found:  # by prompt and kind, as the blocks are
            rule, bounds = BOUNDS[Kind(found.kind)]
            allowed = max(COMMON_LEAST, self._prompts / COMMON[Kind(found.kind)])
            weights = {number: min(1.0, allowed / self._sharers[number]) for number in found.numbers}
            share, weight, count = len(found.numbers) / found.size, sum(weights.values()), len(found.numbers)
            if any(
                share >= bound.share and weight >= bound.weight and count >= bound.least for bound in bounds
            ) and self._adds(found, weights):
                hits.setdefault(found.prompt, rule)
                given[found.prompt] += weight
        return [(prompt, hits[prompt]) for prompt in sorted(hits, key=lambda prompt: (-given[prompt], prompt))]

    def _adds(self, found: Found, weights: Mapping[int, float]) -> bool:
        """Say whether this card has a part in it: of what is gathered over cards, something rare must be its own."""
        return found.kind not in _OVER_CARDS or any(
            weights[number] == 1 and number in self._own for number in found.numbers
        )


def _admitted(connection: Connection) -> frozenset[int]:
    return frozenset(
        number for (traces,) in connection.execute("SELECT traces FROM gated") for number in array("Q", traces)
    )


def _blocks(connection: Connection, *, after: int) -> tuple[list[TraceBlock], int]:
    rows = connection.execute(
        "SELECT number, first_prompt, trace_sizes, traces FROM shard WHERE number > ? AND trace_sizes <> x''"
        " ORDER BY number LIMIT ?",
        (after, BLOCK_SHARDS),
    ).fetchall()
    return [TraceBlock(*row[1:]) for row in rows], rows[-1][0] if rows else after
