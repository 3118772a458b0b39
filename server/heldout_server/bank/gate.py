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
from collections.abc import Iterable, Mapping, Sequence
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

    async def examine(self, cards: Sequence[CardText]) -> tuple[tuple[CardHit, ...], ...]:
        """Return for each card the prompts that it would give away with those admitted before, at most MAX_HITS.

        Raises:
            IntegrityError: a text of the bank that was not studied yet is not what was sealed.
        """
        return await self._judge(await asyncio.to_thread(self._trace_all, cards), admitting=False)

    async def admit(self, cards: Sequence[CardText]) -> tuple[tuple[CardHit, ...], ...]:
        """Do as :meth:`examine` does, one card after the other, and remember for good each that may be published.

        Raises:
            IntegrityError: a text of the bank that was not studied yet is not what was sealed.
        """
        async with self._admitting:  # two cards that give something away together must not pass side by side
            traced = await asyncio.to_thread(self._trace_all, cards)
            hits = await self._judge(traced, admitting=True)
            kept = [
                (array("Q", sorted(_over_cards(traces))).tobytes(),)
                for traces, found in zip(traced, hits, strict=True)
                if traces is not None and not found
            ]
            if kept:
                await self._database.write(
                    lambda connection: connection.executemany(
                        "INSERT INTO gated (traces) SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM gated WHERE traces = ?1)",
                        kept,
                    )
                )
            return hits

    def _trace_all(self, cards: Sequence[CardText]) -> list[Traces | None]:
        return [self._trace(card) for card in cards]

    def _trace(self, card: CardText) -> Traces | None:
        text = "\n".join((card.title, card.mechanism, *card.references, card.mitigation))
        try:
            return join(map(self._tracer.trace, read_all(text)))
        except TooManyReadings:
            return None

    async def _judge(self, cards: Sequence[Traces | None], *, admitting: bool) -> tuple[tuple[CardHit, ...], ...]:
        """Judge cards, in one pass over the bank; ``admitting`` each that passes before the next is judged."""
        await self._studies.catch_up()
        before = await self._database.read(_admitted)
        evidence = _Evidence()
        wanted = before.union(*(kind for traces in cards if traces is not None for kind in traces))
        last = 0
        while True:
            blocks, last = await self._database.read(partial(_blocks, after=last))
            if not blocks:
                break
            await asyncio.to_thread(evidence.add, blocks, wanted)
        judged: list[tuple[CardHit, ...]] = []
        for traces in cards:
            if traces is None:
                judged.append((CardHit(CardRule.TOO_MANY_READINGS, ""),))
                continue
            found = await asyncio.to_thread(evidence.decide, frozenset().union(*traces), before)
            judged.append(await self._database.read(partial(_name, found[:MAX_HITS])))
            if admitting and not found:
                before |= _over_cards(traces)
        return tuple(judged)


class _Evidence:
    """Gather which prompts have traces that are looked for, and decide of each card when all are seen."""

    def __init__(self) -> None:
        self._prompts = 0
        self._sharers: Counter[int] = Counter()  # prompts that have a trace
        self._found: list[Found] = []

    def add(self, blocks: Iterable[TraceBlock], wanted: frozenset[int]) -> None:
        for block in blocks:
            self._prompts += len(block)
            for found in block.find(wanted):
                self._sharers.update(found.numbers)
                self._found.append(found)

    def decide(self, own: frozenset[int], before: frozenset[int]) -> list[tuple[int, CardRule]]:
        """Return the prompts that are given away, those first of which most is; each by the first rule that says so.

        Args:
            own: traces of the card.
            before: those of the cards that were admitted before it.
        """
        hits: dict[int, CardRule] = {}
        given: dict[int, float] = defaultdict(float)
        for found in self._found:  # by prompt and kind, as the blocks are
            numbers = [number for number in found.numbers if number in own or number in before]
            rule, bounds = BOUNDS[Kind(found.kind)]
            allowed = max(COMMON_LEAST, self._prompts / COMMON[Kind(found.kind)])
            weights = {number: min(1.0, allowed / self._sharers[number]) for number in numbers}
            share, weight, count = len(numbers) / found.size, sum(weights.values()), len(numbers)
            # Of what is gathered over cards, something rare must be this card's own.
            adds = found.kind not in _OVER_CARDS or any(weights[number] == 1 and number in own for number in numbers)
            if adds and any(
                share >= bound.share and weight >= bound.weight and count >= bound.least for bound in bounds
            ):
                hits.setdefault(found.prompt, rule)
                given[found.prompt] += weight
        return [(prompt, hits[prompt]) for prompt in sorted(hits, key=lambda prompt: (-given[prompt], prompt))]


def _over_cards(traces: Traces) -> frozenset[int]:
    """Return those traces of a card that count with those of later cards."""
    return frozenset().union(*(traces[kind] for kind in _OVER_CARDS))


def _name(found: Sequence[tuple[int, CardRule]], connection: Connection) -> tuple[CardHit, ...]:
    return tuple(CardHit(rule, find_handle(connection, prompt)) for prompt, rule in found)


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
