"""What is published: releases, cards, the budget, and the training team's own scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from heldout.calls import Caller
from heldout.errors import VerificationError
from heldout.findings.documents import SCORE_KIND_NUMBERS, budget_from, card_from, release_from, score_from
from heldout.findings.model import Budget, Card, Release, Score, ScoreKind
from heldout.services.audit import SignedHead
from heldout.services.paging import PAGE_SIZE, read_pages
from heldout.verification import VerifierKey, open_checkpoint, verify_release_receipt
from heldout.verification.receipt import parse_proof
from heldout_proto.v1 import findings_pb2 as pb

SERVICE: Final = "FindingsService"


class AsyncFindings:
    """Read published findings. Every release is checked against the vault's log before it is returned."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def releases(self) -> tuple[Release, ...]:
        """Return every release in the order of publication.

        Raises:
            CallError: there is no answer.
            VerificationError: an answer or a release is not what the logs say.
        """
        return tuple(release_from(one.release) for one in await self.receipted_releases())

    async def receipted_releases(self) -> tuple[pb.ReleaseWithReceipt, ...]:
        """Return every release as it was published, with its receipt, which was checked.

        Raises:
            CallError: there is no answer.
            VerificationError: an answer or a release is not what the logs say.
        """

        async def fetch(token: str) -> tuple[Sequence[pb.ReleaseWithReceipt], str]:
            request = pb.ListReleasesRequest(page_size=PAGE_SIZE, page_token=token)
            answer = await self._caller.unary(SERVICE, "ListReleases", request, pb.ListReleasesResponse)
            return answer.releases, answer.next_page_token

        found = tuple(await read_pages(fetch))
        for one in found:
            self._verified(one)
        return found

    async def release(self, release_id: str) -> Release:
        """Return one release.

        Raises:
            CallError: there is no such release, or no answer.
            VerificationError: the answer or the release is not what the logs say.
        """
        request = pb.GetReleaseRequest(release_id=release_id)
        answer = await self._caller.unary(SERVICE, "GetRelease", request, pb.GetReleaseResponse)
        release = self._verified(answer.release)
        if release.release_id != release_id:
            raise VerificationError("the answer is about another release: do not trust it")
        return release

    async def cards(self) -> tuple[Card, ...]:
        """Return the technique cards.

        Raises:
            CallError: there is no answer.
            VerificationError: the answer is not what the log says.
        """

        async def fetch(token: str) -> tuple[Sequence[pb.Card], str]:
            request = pb.ListCardsRequest(page_size=PAGE_SIZE, page_token=token)
            answer = await self._caller.unary(SERVICE, "ListCards", request, pb.ListCardsResponse)
            return answer.cards, answer.next_page_token

        return tuple(card_from(card) for card in await read_pages(fetch))

    async def budget(self) -> Budget:
        """Return what the ledger has left for the open epoch.

        Raises:
            CallError: no epoch has a budget yet, or there is no answer.
            VerificationError: the answer is not what the log says.
        """
        answer = await self._caller.unary(SERVICE, "GetBudget", pb.GetBudgetRequest(), pb.GetBudgetResponse)
        return budget_from(answer.budget)

    async def record_score(self, checkpoint: str, *, benchmark: str, value_milli: int, kind: ScoreKind) -> None:
        """Record a score of the training team's own; it takes the place of an earlier one.

        Args:
            checkpoint: the checkpoint's name.
            benchmark: an identifier such as ``swe-bench``.
            value_milli: thousandths of a point.
            kind: what it measures.

        Raises:
            CallError: it was not recorded.
            VerificationError: the answer is not what the log says.
        """
        score = pb.Score(
            checkpoint=checkpoint, kind=SCORE_KIND_NUMBERS[kind], benchmark=benchmark, value_milli=value_milli
        )
        request = pb.RecordScoreRequest(score=score)
        await self._caller.unary(SERVICE, "RecordScore", request, pb.RecordScoreResponse)

    async def remove_score(self, checkpoint: str, *, benchmark: str, kind: ScoreKind) -> None:
        """Take a score back; nothing is done if there is none.

        Raises:
            CallError: it was not removed.
            VerificationError: the answer is not what the log says.
        """
        score = pb.Score(checkpoint=checkpoint, kind=SCORE_KIND_NUMBERS[kind], benchmark=benchmark)
        request = pb.RecordScoreRequest(score=score, remove=True)
        await self._caller.unary(SERVICE, "RecordScore", request, pb.RecordScoreResponse)

    async def scores(self) -> tuple[Score, ...]:
        """Return recorded scores, oldest first.

        Raises:
            CallError: there is no answer.
            VerificationError: the answer is not what the log says.
        """

        async def fetch(token: str) -> tuple[Sequence[pb.Score], str]:
            request = pb.ListScoresRequest(page_size=PAGE_SIZE, page_token=token)
            answer = await self._caller.unary(SERVICE, "ListScores", request, pb.ListScoresResponse)
            return answer.scores, answer.next_page_token

        return tuple(score_from(score) for score in await read_pages(fetch))

    async def receipt_head(self) -> SignedHead | None:
        """Return the head of the window's log that the newest answer's receipt was under; None before any answer.

        Whoever compares it with the head that an auditor saw knows whether both are shown one log. Nothing is asked.
        """
        note = self._caller.receipt_note("window")
        if note is None:
            return None
        return SignedHead(note, open_checkpoint(note, VerifierKey.parse(self._caller.vkey("window"))))

    def _verified(self, one: pb.ReleaseWithReceipt) -> Release:
        # The fields make the round trip, unknown ones too: these are the bytes that were logged.
        document = one.release.SerializeToString(deterministic=True)
        verify_release_receipt(document, one.receipt, self._caller.vkey("vault"))
        self._caller.memory.keep("vault", parse_proof(one.receipt.proof).checkpoint)
        return release_from(one.release)
