"""FindingsService: what is published, and the scores that trainers record. It can reach nothing else."""

from __future__ import annotations

from typing import Final

from heldout_proto.v1 import findings_pb2 as pb
from heldout_proto.v1 import findings_pb2_grpc
from heldout_server.api.edge import Call
from heldout_server.api.gate import ApprovedTexts, Fixed
from heldout_server.api.paging import after_sequence, next_token, page_size
from heldout_server.errors import NotFound
from heldout_server.ports.environment import Clock
from heldout_server.ports.window import Publications, Published, Score, Scores

KIND_NAMES: Final = {pb.SCORE_KIND_CAPABILITY: "capability", pb.SCORE_KIND_INTERNAL_SAFETY: "internal_safety"}
KIND_NUMBERS: Final = {name: number for number, name in KIND_NAMES.items()}


class FindingsServicer(findings_pb2_grpc.FindingsServiceServicer):
    """Answer from published documents.

    Args:
        publications: the published documents.
        scores: what trainers record.
        clock: tells when.
        approved: is told of the cards that are published: all that may leave as text.
    """

    def __init__(self, *, publications: Publications, scores: Scores, clock: Clock, approved: ApprovedTexts) -> None:
        self._publications = publications
        self._approved = approved
        self._scores = scores
        self._clock = clock

    async def ListReleases(self, request: pb.ListReleasesRequest, _call: Call) -> Fixed:  # noqa: N802 - the contract's name
        """List releases in the order of publication."""
        size = page_size(request.page_size)
        found = await self._publications.releases(after=after_sequence(request.page_token), limit=size)
        token = next_token(found, size, lambda one: one.sequence)
        return Fixed(
            (found, token),
            lambda: pb.ListReleasesResponse(releases=[_release(one) for one in found], next_page_token=token),
        )

    async def GetRelease(self, request: pb.GetReleaseRequest, _call: Call) -> Fixed:  # noqa: N802 - the contract's name
        """Return one release."""
        published = await self._publications.release(request.release_id)
        return Fixed(published, lambda: pb.GetReleaseResponse(release=_release(published)))

    async def ListCards(self, request: pb.ListCardsRequest, _call: Call) -> Fixed:  # noqa: N802 - the contract's name
        """List the cards of all techniques."""
        document = await self._publications.state("cards") or b""
        start, size = after_sequence(request.page_token), page_size(request.page_size)

        def page() -> pb.ListCardsResponse:
            published = pb.CardSet.FromString(document)
            self._approved.publish(published)
            more = start + size < len(published.cards)
            return pb.ListCardsResponse(
                cards=published.cards[start : start + size], next_page_token=str(start + size) if more else ""
            )

        return Fixed(("cards", document, start, size), page)

    async def GetBudget(self, _request: pb.GetBudgetRequest, _call: Call) -> pb.GetBudgetResponse:  # noqa: N802 - the contract's name
        """Say what the budget of the open epoch has left."""
        document = await self._publications.state("budget")
        if document is None:
            raise NotFound("no epoch has a budget yet")
        return pb.GetBudgetResponse(budget=pb.Budget.FromString(document))

    async def RecordScore(self, request: pb.RecordScoreRequest, call: Call) -> pb.RecordScoreResponse:  # noqa: N802 - the contract's name
        """Record a score of the caller's own, or take one back."""
        score = request.score
        if request.remove:
            kind = KIND_NAMES[score.kind]
            await self._scores.remove(checkpoint=score.checkpoint, kind=kind, benchmark=score.benchmark)
            return pb.RecordScoreResponse()
        await self._scores.record(
            Score(
                checkpoint=score.checkpoint,
                kind=KIND_NAMES[score.kind],
                benchmark=score.benchmark,
                value_milli=score.value_milli,
                recorded_by=call.principal.identity,
                recorded_s=int(self._clock.now_s()),
            )
        )
        return pb.RecordScoreResponse()

    async def ListScores(self, request: pb.ListScoresRequest, _call: Call) -> pb.ListScoresResponse:  # noqa: N802 - the contract's name
        """List recorded scores, oldest first."""
        size = page_size(request.page_size)
        found = await self._scores.list(after=after_sequence(request.page_token), limit=size)
        return pb.ListScoresResponse(
            scores=[
                pb.Score(
                    checkpoint=one.checkpoint,
                    kind=KIND_NUMBERS[one.kind],
                    benchmark=one.benchmark,
                    value_milli=one.value_milli,
                )
                for _, one in found
            ],
            next_page_token=next_token(found, size, lambda pair: pair[0]),
        )


def _release(published: Published) -> pb.ReleaseWithReceipt:
    return pb.ReleaseWithReceipt(
        release=pb.Release.FromString(published.document), receipt=pb.Receipt.FromString(published.receipt)
    )
