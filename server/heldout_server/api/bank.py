"""BankService: the bank, for bank testers alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final

from google.protobuf.message import DecodeError

from heldout_policy.atoms import Gap
from heldout_policy.shortage import EpochSizes, Shortage
from heldout_proto.v1 import bank_pb2 as pb
from heldout_proto.v1 import bank_pb2_grpc
from heldout_server.api.edge import Call
from heldout_server.api.paging import next_token, page_size
from heldout_server.domain import Epoch, Intent, PromptDraft, SecretText
from heldout_server.errors import InvalidRequest, WrongState
from heldout_server.ports.bank import Bank, CategoriesTell, DraftRow, EpochOffer, PackReader, Packs
from heldout_server.ports.cards import CardHit, CardRule, CardsGate, CardText
from heldout_server.ports.release import EpochGate

INTENTS: Final = {pb.INTENT_HARMFUL: Intent.HARMFUL, pb.INTENT_BENIGN: Intent.BENIGN}
CARD_RULES: Final = {
    CardRule.WORD_RUNS: pb.CARD_RULE_WORD_RUNS,
    CardRule.CHARACTER_RUNS: pb.CARD_RULE_CHARACTER_RUNS,
    CardRule.PAIRS_OVER_CARDS: pb.CARD_RULE_PAIRS_OVER_CARDS,
    CardRule.WORDS_OVER_CARDS: pb.CARD_RULE_WORDS_OVER_CARDS,
    CardRule.RARE_TOKENS: pb.CARD_RULE_RARE_TOKENS,
    CardRule.TOO_MANY_READINGS: pb.CARD_RULE_TOO_MANY_READINGS,
}
GAP_CHANGES: Final = {
    "new": pb.GAP_CHANGE_NEW,
    "stay": pb.GAP_CHANGE_STAY,
    "go": pb.GAP_CHANGE_GO,
}
INTENT_NUMBERS: Final = {intent: number for number, intent in INTENTS.items()}


class BankServicer(bank_pb2_grpc.BankServiceServicer):
    """Translate between the contract and the bank.

    Args:
        gate: compares the texts of cards with the bank.
        packs: opens what bank testers sealed to the appliance.
        gate_epoch: returns what decides whether an epoch may be opened.
        find_shortage: says which rows about an epoch would be withheld for too few units.
        on_epoch: called once an epoch is open, so that its commitment stands in the log and its budget in the window.
    """

    def __init__(
        self,
        *,
        bank: Bank,
        gate: CardsGate,
        packs: Packs,
        gate_epoch: Callable[[], Awaitable[EpochGate]],
        find_shortage: Callable[[EpochSizes], Shortage],
        on_epoch: Callable[[], Awaitable[None]],
    ) -> None:
        self._bank = bank
        self._gate = gate
        self._packs = packs
        self._gate_epoch = gate_epoch
        self._find_shortage = find_shortage
        self._on_epoch = on_epoch

    async def ImportPrompts(  # noqa: N802 - the contract's name
        self, requests: AsyncIterator[pb.ImportPromptsRequest], _call: Call
    ) -> pb.ImportPromptsResponse:
        """Import a stream of prompts, all or none."""
        first = await anext(requests, None)
        if first is None or not first.HasField("options"):
            raise InvalidRequest("the first message of an import holds its options")
        report = await self._bank.import_prompts(self._rows(first, requests), skip_bad=first.options.skip_bad)
        # The rows are in, whatever comes now; the search begins where it was if it is broken off.
        near = await self._bank.near_rows(report)
        gaps: list[pb.EpochGap] = []
        shortage: pb.Shortage | None = None
        if report.imported:
            offer, gate = await self._bank.offer(), await self._gate_epoch()
            gaps = [_gap(gap) for gap in gate(offer.units)]
            shortage = _shortage(self._find_shortage(offer.sizes))
        return pb.ImportPromptsResponse(
            imported=report.imported,
            bad=[pb.BadRow(line=row.line, reason=row.reason) for row in report.bad],
            duplicates=report.duplicates,
            near=[
                pb.NearRow(
                    line=row.line,
                    handle=row.handle,
                    similarity_percent=round(row.similarity * 100),
                    other_line=row.other_line,
                )
                for row in near.rows
            ],
            near_total=near.total,
            spent_before=report.spent_before,
            gaps=gaps,
            shortage=shortage,
        )

    async def ListDuplicates(self, _request: pb.ListDuplicatesRequest, _call: Call) -> pb.ListDuplicatesResponse:  # noqa: N802 - the contract's name
        """List pairs of live prompts that say nearly the same."""
        found = await self._bank.near_duplicates()
        return pb.ListDuplicatesResponse(
            pairs=[
                pb.NearPair(first=pair.first, second=pair.second, similarity_percent=round(pair.similarity * 100))
                for pair in found.pairs
            ],
            total=found.total,
        )

    async def GetPackKey(self, _request: pb.GetPackKeyRequest, _call: Call) -> pb.GetPackKeyResponse:  # noqa: N802 - the contract's name
        """Return the public key to which packs of prompts are sealed."""
        return pb.GetPackKeyResponse(public_key=self._packs.public_key)

    async def GetPrompt(self, request: pb.GetPromptRequest, _call: Call) -> pb.GetPromptResponse:  # noqa: N802 - the contract's name
        """Return one prompt, text included."""
        stored = await self._bank.get(request.handle)
        draft = stored.draft
        return pb.GetPromptResponse(
            handle=stored.handle,
            prompt=pb.Prompt(
                text=draft.text.reveal(),  # to a bank tester: no field of this message can reach anyone else
                intent=INTENT_NUMBERS[draft.intent],
                category=draft.category,
                language=draft.language,
                tags=draft.tags,
                family=draft.family,
            ),
            retired=stored.retired,
            burnt=stored.burnt,
        )

    async def ListPrompts(self, request: pb.ListPromptsRequest, _call: Call) -> pb.ListPromptsResponse:  # noqa: N802 - the contract's name
        """List handles in order."""
        size = page_size(request.page_size)
        handles = await self._bank.handles(after=request.page_token, limit=size, category=request.category)
        return pb.ListPromptsResponse(handles=handles, next_page_token=next_token(handles, size, str))

    async def GetStats(self, _request: pb.GetStatsRequest, _call: Call) -> pb.GetStatsResponse:  # noqa: N802 - the contract's name
        """Count what is in the bank."""
        stats = await self._bank.stats()
        return pb.GetStatsResponse(
            live=stats.live,
            retired=stats.retired,
            waiting=stats.waiting,
            burnt=stats.burnt,
            counts=[
                pb.BankCount(
                    intent=INTENT_NUMBERS[count.intent],
                    category=count.category,
                    prompts=count.prompts,
                    units=count.units,
                )
                for count in stats.counts
            ],
            epoch=None if stats.epoch is None else _epoch(stats.epoch),
            shortage=_shortage(self._find_shortage(stats.sizes)),
        )

    async def RetirePrompts(self, request: pb.RetirePromptsRequest, _call: Call) -> pb.RetirePromptsResponse:  # noqa: N802 - the contract's name
        """Take prompts out of every later epoch."""
        return pb.RetirePromptsResponse(retired=await self._bank.retire(tuple(request.handles)))

    async def OpenEpoch(self, request: pb.OpenEpochRequest, _call: Call) -> pb.OpenEpochResponse:  # noqa: N802 - the contract's name
        """Freeze all live prompts into a new epoch, and put its commitment into the log; or say what it lacks."""
        gate = await self._gate_epoch()
        lacks = pb.OpenEpochResponse()

        def admit(offer: EpochOffer) -> None:
            shortage = self._find_shortage(offer.sizes)
            lacks.shortage.CopyFrom(_shortage(shortage))
            lacks.gaps.extend(_gap(gap) for gap in gate(offer.units))
            if lacks.gaps:
                raise WrongState("the epoch is too close to earlier ones", reason="EPOCH_TOO_CLOSE")
            if request.only_if_shown and shortage.shows_nothing:
                raise WrongState("every row about the epoch would be withheld", reason="EPOCH_SHOWS_NOTHING")

        try:
            epoch = await self._bank.open_epoch(admit=admit)
        except CategoriesTell as error:
            told = [pb.CategoryHit(category=name, hits=card_hits(hits)) for name, hits in error.hits.items()]
            return pb.OpenEpochResponse(categories=told)
        except WrongState as error:
            if error.reason not in {"EPOCH_TOO_CLOSE", "EPOCH_SHOWS_NOTHING"}:
                raise
            return lacks
        await self._on_epoch()
        return pb.OpenEpochResponse(epoch=_epoch(epoch), shortage=lacks.shortage)

    async def ExamineCard(self, request: pb.ExamineCardRequest, _call: Call) -> pb.ExamineCardResponse:  # noqa: N802 - the contract's name
        """Say which prompts the text of a card would give away."""
        text = CardText(
            title=request.title,
            mechanism=request.mechanism,
            references=tuple(request.references),
            mitigation=request.mitigation,
        )
        (hits,) = await self._gate.examine([text])
        return pb.ExamineCardResponse(hits=card_hits(hits))

    async def _rows(
        self, first: pb.ImportPromptsRequest, rest: AsyncIterator[pb.ImportPromptsRequest]
    ) -> AsyncIterator[list[DraftRow]]:
        yield [_draft(row) for row in first.rows]
        whole = first.last
        pack: PackReader | None = None
        async for request in rest:
            yield [_draft(row) for row in request.rows]
            if request.sealed:
                pack = pack or self._packs.reader()
                yield [_draft(row) for row in _opened(pack, request.sealed)]
            whole = request.last
        if not whole:
            # gRPC ends the iterator of a cancelled or broken call first, and cancels its servicer after.
            raise InvalidRequest("the import was cut off", reason="IMPORT_CUT_OFF")
        if pack is not None and not pack.finished:
            raise InvalidRequest("the pack was cut off", reason="PACK_CUT_OFF")


def card_hits(hits: Sequence[CardHit]) -> list[pb.CardHit]:
    """Return what the gate found as the contract has it."""
    return [pb.CardHit(rule=CARD_RULES[hit.rule], handle=hit.handle) for hit in hits]


def _opened(pack: PackReader, frame: bytes) -> Sequence[pb.ImportRow]:
    """Return the rows in a frame of a pack: it holds a message of rows, as they would have come in the open."""
    try:
        rows = pb.ImportPromptsRequest.FromString(pack.open(frame)).rows
    except DecodeError:
        raise InvalidRequest("a frame of the pack holds no rows", reason="PACK_BROKEN") from None
    if any(row.line < 1 for row in rows):
        raise InvalidRequest("a row of the pack has no line", reason="PACK_BROKEN")
    return rows


def _draft(row: pb.ImportRow) -> DraftRow:
    prompt = row.prompt
    intent = INTENTS.get(prompt.intent)
    if intent is None:
        # The client names such a row by its line before it sends anything: only a foreign client gets here.
        raise InvalidRequest("a row has no intent", reason="INTENT_MISSING")
    return DraftRow(
        row.line,
        PromptDraft(
            text=SecretText(prompt.text),
            intent=intent,
            category=prompt.category,
            language=prompt.language or "en",
            tags=tuple(prompt.tags),
            family=prompt.family,
        ),
    )


def _gap(gap: Gap) -> pb.EpochGap:
    return pb.EpochGap(
        intent=INTENT_NUMBERS[Intent(gap.side)],
        category=gap.category,
        change=GAP_CHANGES[gap.change],
        units=gap.units,
        short=gap.short,
    )


def _shortage(found: Shortage) -> pb.Shortage:
    return pb.Shortage(
        minimum_units=found.minimum_units,
        groups=[
            pb.SmallGroup(
                intent=INTENT_NUMBERS[Intent(group.side)],
                category=group.category,
                units=group.units,
                short=group.short,
                rest=group.rest,
            )
            for group in found.groups
        ],
        shows_nothing=found.shows_nothing,
    )


def _epoch(epoch: Epoch) -> pb.Epoch:
    return pb.Epoch(
        epoch_id=epoch.epoch_id,
        number=epoch.number,
        commitment=epoch.commitment,
        prompts=epoch.prompts,
        units=epoch.units,
    )
