"""The cards gate: no card leaves that gives a prompt away, alone or together with the cards before it.

A card is read in every way that :mod:`heldout_server.bank.readings` knows. Its traces are compared with those of every
prompt that was ever imported, retired ones too. A trace that many prompts share weighs little: it says something of
how prompts begin, and nothing of one of them.

1.  *Runs of words* and *runs of letters*, of this card alone: enough of them by weight, or most of those of a short
    prompt.
2.  *Pairs*, *words* and *tokens*, of this card and all that were admitted before it, to which this one must add.

The names of categories leave too, as rows of a table, and pass the same gate when an epoch is opened. A name has
no text around it, so five neighbouring words of a prompt stop it, or all words of one, however few.

It cannot see a paraphrase or a translation: for that there is the person who approves.
"""

from __future__ import annotations

import asyncio
import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Final, NamedTuple

from heldout_server.anchored_database import AnchoredDatabase
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

NAME_RUNS: Final = 3
"""Runs of a prompt that a name may not have: so many are in five neighbouring words."""

_SEPARATORS: Final = re.compile(r"[._-]")
"""What stands between the words of a name, where a text has blanks."""

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
            await self._remember(traces for traces, found in zip(traced, hits, strict=True) if not found)
            return hits

    async def admit_names(self, names: Collection[str]) -> Mapping[str, tuple[CardHit, ...]]:
        """Return the names that would give a prompt away, alone or with what was admitted before and each other.

        All are remembered for good if none does, and none otherwise.

        Raises:
            IntegrityError: a text of the bank that was not studied yet is not what was sealed.
        """
        texts = [f"{name}\n{_SEPARATORS.sub(' ', name)}" for name in names]
        async with self._admitting:
            traced = await asyncio.to_thread(lambda: [self._trace(text) for text in texts])
            hits = await self._judge(traced, admitting=True, names=True)
            found = {name: of_name for name, of_name in zip(names, hits, strict=True) if of_name}
            if not found:
                await self._remember(traced)
            return found

    async def _remember(self, admitted: Iterable[Traces | None]) -> None:
        kept = [(array("Q", sorted(_over_cards(traces))).tobytes(),) for traces in admitted if traces is not None]
        if kept:
            await self._database.write(
                lambda connection: connection.executemany(
                    "INSERT INTO gated (traces) SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM gated WHERE traces = ?1)",
                    kept,
                )
            )

    def _trace_all(self, cards: Sequence[CardText]) -> list[Traces | None]:
        return [
            self._trace("\n".join((card.title, card.mechanism, *card.references, card.mitigation))) for card in cards
        ]

    def _trace(self, text: str) -> Traces | None:
        try:
            return join(map(self._tracer.trace, read_all(text)))
        except TooManyReadings:
            return None

    async def _judge(
        self, cards: Sequence[Traces | None], *, admitting: bool, names: bool = False
    ) -> tuple[tuple[CardHit, ...], ...]:
        """Judge texts, in one pass over the bank.

        Args:
            cards: traces of each; nothing of one that has too many readings.
            admitting: each that passes is taken as admitted before the next is judged.
            names: they are names, of which less is let through.
        """
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
            own = frozenset().union(*traces)
            found = await asyncio.to_thread(partial(evidence.decide, own, before, name=names))
            judged.append(await self._database.read(partial(_name, found[:MAX_HITS])))
            if admitting and not found:
                before |= _over_cards(traces)
        return tuple(judged)


class _Evidence:
    """Gather which prompts have traces that are looked for, and decide of each card when all are seen."""

    def __init__(self) -> None:
        self._prompts = 0
        self._sharers: Counter[int] = Counter()  # prompts that have a trace
        self._found: list[Found] = []  # where a bound can be reached: any part of a card's own is less

    def add(self, blocks: Iterable[TraceBlock], wanted: frozenset[int]) -> None:
        for block in blocks:
            self._prompts += len(block)
            numbers, found = block.find(wanted, enough=_may_reach)
            self._sharers.update(numbers)
            self._found += found

    def decide(self, own: frozenset[int], before: frozenset[int], *, name: bool) -> list[tuple[int, CardRule]]:
        """Return the prompts that are given away, those first of which most is; each by the first rule that says so.

        Args:
            own: traces of the card.
            before: those of the cards that were admitted before it.
            name: it is a name, and no card.
        """
        hits: dict[int, CardRule] = {}
        given: dict[int, float] = defaultdict(float)
        for found in self._found:  # by prompt and kind, as the blocks are
            if name and _names(found.kind, found.size, len(own.intersection(found.numbers))):
                hits.setdefault(found.prompt, CardRule.WORD_RUNS)
            numbers = [number for number in found.numbers if number in own or number in before]
            if not _reaches(found.kind, found.size, len(numbers)):
                continue
            allowed = max(COMMON_LEAST, self._prompts / COMMON[Kind(found.kind)])
            weights = {number: min(1.0, allowed / self._sharers[number]) for number in numbers}
            weight = sum(weights.values())
            # Of what is gathered over cards, something rare must be this card's own.
            adds = found.kind not in _OVER_CARDS or any(weights[number] == 1 and number in own for number in numbers)
            if adds and _reaches(found.kind, found.size, len(numbers), weight):
                hits.setdefault(found.prompt, BOUNDS[Kind(found.kind)][0])
                given[found.prompt] += weight
        return [(prompt, hits[prompt]) for prompt in sorted(hits, key=lambda prompt: (-given[prompt], prompt))]


@lru_cache(maxsize=65_536)
def _reaches(kind: int, size: int, count: int, weight: float | None = None) -> bool:
    """Say whether so many of a prompt's ``size`` traces of a kind give it away; without a weight, each weighs 1."""
    weight = count if weight is None else weight
    return any(
        count / size >= bound.share and weight >= bound.weight and count >= bound.least
        for bound in BOUNDS[Kind(kind)][1]
    )


def _names(kind: int, size: int, count: int) -> bool:
    """Say whether so many of a prompt's traces in a name give it away, besides what would in a card."""
    return (kind == Kind.WORDS and count == size) or (kind == Kind.RUNS and count >= NAME_RUNS)


def _may_reach(kind: int, size: int, count: int) -> bool:
    return _names(kind, size, count) or _reaches(kind, size, count)


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
