"""The bank, for bank testers alone. Prompts pass through here; they are never in a ``repr`` or an error."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from heldout.bank_model import (
    BadRow,
    BankCount,
    BankStats,
    CardHit,
    CardRule,
    Epoch,
    ImportReport,
    Intent,
    NearPair,
    NearPairs,
    NearRow,
    Prompt,
    PromptRow,
    Shortage,
    SmallGroup,
    StoredPrompt,
)
from heldout.calls import Caller
from heldout.errors import VerificationError, WrongState
from heldout.findings.documents import known
from heldout.services.batches import batch_rows
from heldout.services.paging import read_pages
from heldout_proto.v1 import bank_pb2 as pb

SERVICE: Final = "BankService"
TOO_CLOSE: Final = "too few units would tell it from earlier epochs"
LIST_PAGE_SIZE: Final = 1000
INTENTS: Final[Mapping[int, Intent]] = {pb.INTENT_HARMFUL: Intent.HARMFUL, pb.INTENT_BENIGN: Intent.BENIGN}
CARD_RULES: Final[Mapping[int, CardRule]] = {
    pb.CARD_RULE_WORD_RUNS: CardRule.WORD_RUNS,
    pb.CARD_RULE_CHARACTER_RUNS: CardRule.CHARACTER_RUNS,
    pb.CARD_RULE_PAIRS_OVER_CARDS: CardRule.PAIRS_OVER_CARDS,
    pb.CARD_RULE_WORDS_OVER_CARDS: CardRule.WORDS_OVER_CARDS,
    pb.CARD_RULE_RARE_TOKENS: CardRule.RARE_TOKENS,
    pb.CARD_RULE_TOO_MANY_READINGS: CardRule.TOO_MANY_READINGS,
}


class AsyncBank:
    """Run the bank. Each call raises ``CallError`` if it was not done, ``VerificationError`` if the log differs."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def import_prompts(
        self,
        rows: Iterable[PromptRow],
        *,
        skip_bad: bool = False,
        on_sent: Callable[[int], None] | None = None,
    ) -> ImportReport:
        """Import prompts, all or none. If ``rows`` raises, the call is cancelled and nothing is imported.

        Args:
            rows: read as they are sent.
            skip_bad: leave bad rows out and report them, instead of importing nothing.
            on_sent: told how many rows went out with each message.
        """

        async def requests() -> AsyncIterator[pb.ImportPromptsRequest]:
            yield pb.ImportPromptsRequest(options=pb.ImportOptions(skip_bad=skip_bad))
            for batch in batch_rows(rows):
                yield pb.ImportPromptsRequest(rows=batch)
                if on_sent is not None:
                    on_sent(len(batch))
            # To the appliance a cancelled stream can look like one that ended: this says that it did.
            yield pb.ImportPromptsRequest(last=True)

        return await self._import(requests())

    async def import_pack(
        self,
        frames: Iterable[bytes],
        *,
        skip_bad: bool = False,
        on_sent: Callable[[int], None] | None = None,
    ) -> ImportReport:
        """Import a sealed pack, all or none: it is opened inside the vault, and nowhere on the way.

        Args:
            frames: read as they are sent (see :func:`heldout.packs.read_frames`).
            skip_bad: leave bad rows out and report them, instead of importing nothing.
            on_sent: told how many bytes went out with each message.
        """

        async def requests() -> AsyncIterator[pb.ImportPromptsRequest]:
            yield pb.ImportPromptsRequest(options=pb.ImportOptions(skip_bad=skip_bad))
            for frame in frames:
                yield pb.ImportPromptsRequest(sealed=frame)
                if on_sent is not None:
                    on_sent(len(frame))
            yield pb.ImportPromptsRequest(last=True)

        return await self._import(requests())

    async def _import(self, requests: AsyncIterator[pb.ImportPromptsRequest]) -> ImportReport:
        answer = await self._caller.send_stream(SERVICE, "ImportPrompts", requests, pb.ImportPromptsResponse)
        return ImportReport(
            imported=answer.imported,
            bad=tuple(BadRow(row.line, row.reason) for row in answer.bad),
            duplicates=tuple(answer.duplicates),
            near=tuple(
                NearRow(
                    line=row.line,
                    handle=row.handle,
                    similarity_percent=row.similarity_percent,
                    other_line=row.other_line,
                )
                for row in answer.near
            ),
            near_total=answer.near_total,
            spent_before=answer.spent_before,
            gaps=describe_gaps(answer.gaps),
            shortage=_shortage(answer.shortage) if answer.HasField("shortage") else None,
        )

    async def pack_key(self) -> bytes:
        """Return the public key to which packs are sealed, 32 bytes; compare it with the one that the profile pins."""
        answer = await self._caller.unary(SERVICE, "GetPackKey", pb.GetPackKeyRequest(), pb.GetPackKeyResponse)
        return answer.public_key

    async def duplicates(self) -> NearPairs:
        """Find pairs of live prompts that say nearly the same."""
        answer = await self._caller.unary(
            SERVICE, "ListDuplicates", pb.ListDuplicatesRequest(), pb.ListDuplicatesResponse
        )
        return NearPairs(
            pairs=tuple(
                NearPair(first=pair.first, second=pair.second, similarity_percent=pair.similarity_percent)
                for pair in answer.pairs
            ),
            total=answer.total,
        )

    async def examine_card(
        self, *, title: str, mechanism: str, references: Sequence[str], mitigation: str
    ) -> tuple[CardHit, ...]:
        """Find the prompts that the text of a technique card would give away; none are found of a paraphrase."""
        request = pb.ExamineCardRequest(title=title, mechanism=mechanism, references=references, mitigation=mitigation)
        answer = await self._caller.unary(SERVICE, "ExamineCard", request, pb.ExamineCardResponse)
        return card_hits(answer.hits)

    async def prompt(self, handle: str) -> StoredPrompt:
        """Return one prompt, text included."""
        answer = await self._caller.unary(
            SERVICE, "GetPrompt", pb.GetPromptRequest(handle=handle), pb.GetPromptResponse
        )
        if answer.handle != handle:
            raise VerificationError("the answer is about another prompt: do not trust it")
        prompt = answer.prompt
        return StoredPrompt(
            handle=answer.handle,
            prompt=Prompt(
                text=prompt.text,
                intent=known(INTENTS, prompt.intent, "intent"),
                category=prompt.category,
                language=prompt.language,
                tags=tuple(prompt.tags),
                family=prompt.family,
            ),
            retired=answer.retired,
            burnt=answer.burnt,
        )

    async def handles(self, *, category: str = "") -> tuple[str, ...]:
        """Return the handles of all prompts, in order, or of those of one category."""

        async def fetch(token: str) -> tuple[Sequence[str], str]:
            request = pb.ListPromptsRequest(page_size=LIST_PAGE_SIZE, page_token=token, category=category)
            answer = await self._caller.unary(SERVICE, "ListPrompts", request, pb.ListPromptsResponse)
            return answer.handles, answer.next_page_token

        return tuple(await read_pages(fetch))

    async def stats(self) -> BankStats:
        """Count what is in the bank."""
        answer = await self._caller.unary(SERVICE, "GetStats", pb.GetStatsRequest(), pb.GetStatsResponse)
        return BankStats(
            live=answer.live,
            retired=answer.retired,
            waiting=answer.waiting,
            burnt=answer.burnt,
            counts=tuple(
                BankCount(
                    intent=known(INTENTS, count.intent, "intent"),
                    category=count.category,
                    prompts=count.prompts,
                    units=count.units,
                )
                for count in answer.counts
            ),
            epoch=_epoch(answer.epoch) if answer.HasField("epoch") else None,
            shortage=_shortage(answer.shortage) if answer.HasField("shortage") else None,
        )

    async def retire(self, handles: Sequence[str]) -> int:
        """Take prompts out of every later epoch, all or none, and return how many were live."""
        request = pb.RetirePromptsRequest(handles=handles)
        answer = await self._caller.unary(SERVICE, "RetirePrompts", request, pb.RetirePromptsResponse)
        return answer.retired

    async def open_epoch(self, *, only_if_shown: bool = False) -> Epoch:
        """Freeze all live prompts into a new epoch.

        Args:
            only_if_shown: open nothing if every row about it would be withheld for too few units.

        Raises:
            WrongState: there is nothing to freeze, nothing changed, or it would differ from what was released by so
                few units that they could be told apart; then the message says how many to import or to retire. Or a
                category is named after a prompt: then the message says which.
        """
        request = pb.OpenEpochRequest(only_if_shown=only_if_shown)
        answer = await self._caller.unary(SERVICE, "OpenEpoch", request, pb.OpenEpochResponse)
        if answer.gaps:
            raise WrongState(
                f"not opened, {TOO_CLOSE}: {'; '.join(describe_gaps(answer.gaps))}", reason="EPOCH_TOO_CLOSE"
            )
        if answer.categories:
            raise WrongState(describe_categories(answer.categories), reason="CATEGORY_TELLS")
        shortage = _shortage(answer.shortage) if answer.HasField("shortage") else None
        if shortage is not None and not answer.HasField("epoch"):
            raise WrongState(describe_shortage(shortage), reason="EPOCH_SHOWS_NOTHING")
        return replace(_epoch(answer.epoch), shortage=shortage)


def describe_gaps(gaps: Iterable[pb.EpochGap]) -> tuple[str, ...]:
    """Say what keeps an epoch from being opened, and how many units to import or to retire."""
    said = []
    for gap in gaps:
        what = f"{gap.units} {known(INTENTS, gap.intent, 'intent')} units" + (
            f" of {gap.category}" if gap.category else ""
        )
        if gap.change == pb.GAP_CHANGE_NEW:
            said.append(f"{what} are new: import {gap.short} more, or retire them")
        elif gap.change == pb.GAP_CHANGE_STAY:
            said.append(f"{what} would stay alone: retire them too")
        else:
            said.append(f"{what} would go alone: retire {gap.short} more with them")
    return tuple(said)


def describe_shortage(shortage: Shortage) -> str:
    """Say why an epoch would show nothing, and how many units to import."""
    said = "; ".join(
        f"{group.units} {group.intent.value} units{f' of {group.category}' if group.category else ''}"
        f" (import {group.short} more)"
        for group in shortage.groups
    )
    return (
        f"not opened, every row about it would be withheld, as the policy asks for {shortage.minimum_units} units"
        f" in each: {said or 'it publishes no table'}"
    )


def describe_categories(found: Iterable[pb.CategoryHit]) -> str:
    """Say which categories keep an epoch from being opened, and which prompts could be read from their names."""
    said = "; ".join(
        f"{one.category} ({', '.join(hit.handle or known(CARD_RULES, hit.rule, 'rule').value for hit in one.hits[:3])}"
        f"{f' and {len(one.hits) - 3} more' if len(one.hits) > 3 else ''})"  # noqa: PLR2004 - as many as are named
        for one in found
    )
    return (
        "not opened, the names of categories are published and these give prompts away: "
        f"{said}; retire the prompts of such a category (heldout bank list --category)"
        " and import them under another name"
    )


def _shortage(found: pb.Shortage) -> Shortage:
    return Shortage(
        minimum_units=found.minimum_units,
        groups=tuple(
            SmallGroup(
                intent=known(INTENTS, group.intent, "intent"),
                category=group.category,
                units=group.units,
                short=group.short,
                rest=group.rest,
            )
            for group in found.groups
        ),
        shows_nothing=found.shows_nothing,
    )


def _epoch(epoch: pb.Epoch) -> Epoch:
    return Epoch(
        epoch_id=epoch.epoch_id,
        number=epoch.number,
        commitment=epoch.commitment,
        prompts=epoch.prompts,
        units=epoch.units,
    )


def card_hits(hits: Iterable[pb.CardHit]) -> tuple[CardHit, ...]:
    """Return what was found in a card as values.

    Raises:
        UnknownAnswer: this version does not know a rule.
    """
    return tuple(CardHit(rule=known(CARD_RULES, hit.rule, "rule"), handle=hit.handle) for hit in hits)
