"""Sealing and unsealing: shares of the root key go in, nothing comes out but how things stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from heldout.calls import Caller
from heldout.errors import InvalidRequest, WrongState
from heldout.findings.documents import known
from heldout.key_share import KeyShare
from heldout_proto.v1 import seal_pb2 as pb

SERVICE: Final = "SealService"


class KeyProvider(StrEnum):
    """Say where the root key comes from."""

    FILE = "file"
    SHAMIR = "shamir"


PROVIDERS: Final[Mapping[int, KeyProvider]] = {
    pb.KEY_PROVIDER_FILE: KeyProvider.FILE,
    pb.KEY_PROVIDER_SHAMIR: KeyProvider.SHAMIR,
}
SEALED: Final[Mapping[int, bool]] = {pb.SEAL_STATE_SEALED: True, pb.SEAL_STATE_OPEN: False}


@dataclass(frozen=True, slots=True, kw_only=True)
class SealStatus:
    """Say whether the appliance is sealed.

    Attributes:
        sealed: it has no keys at hand, and no database open.
        provider: where the root key comes from.
        share_set: which set of shares opens it; empty without shares.
        shares: how many there are; 0 without.
        threshold: how many of them, each from another key holder, open it; 0 without.
        given_by: identities of those who have given one since it was sealed.
    """

    sealed: bool
    provider: KeyProvider
    share_set: str
    shares: int
    threshold: int
    given_by: tuple[str, ...]


class AsyncSeal:
    """Seal and unseal.

    A sealed appliance signs nothing, for its log is closed too: what it says of itself then has no receipt. That it is
    open is believed only with one.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def status(self) -> SealStatus:
        """Return how things stand.

        Raises:
            CallError: there is no answer.
            VerificationError: it claims to be open, and cannot prove that this call is in its log.
        """
        answer = await self._caller.unary(
            SERVICE, "GetSealStatus", pb.GetSealStatusRequest(), pb.GetSealStatusResponse, unproven=_says_sealed
        )
        return _status(answer.status)

    async def give_share(self, share: KeyShare) -> SealStatus:
        """Give a share. The answer to the last one that is needed comes once the appliance is open.

        Raises:
            CallError: it was not taken, or there is no answer.
            VerificationError: it claims to be open, and cannot prove that this call is in its log.
        """
        request = pb.GiveShareRequest(share_set=share.share_set, number=share.number, share=share.value)
        try:
            answer = await self._caller.unary(
                SERVICE, "GiveShare", request, pb.GiveShareResponse, unproven=_says_sealed
            )
        except InvalidRequest as error:
            raise InvalidRequest("that is no share of this appliance's root key", reason=error.reason) from None
        except WrongState as error:
            told = "not taken: it is open, or you have given a share, or somebody has given this very one"
            raise WrongState(told, reason=error.reason) from None
        return _status(answer.status)

    async def seal(self) -> SealStatus:
        """Have the appliance closed; return how things stood when it answered.

        Raises:
            CallError: there is no answer, or it cannot be sealed.
            VerificationError: it cannot prove that this call is in its log.
        """
        try:
            answer = await self._caller.unary(SERVICE, "Seal", pb.SealRequest(), pb.SealResponse)
        except WrongState as error:
            told = "nothing was sealed: it is sealed already, or its root key lies in a file and would open it again"
            raise WrongState(told, reason=error.reason) from None
        return _status(answer.status)


def _says_sealed(answer: pb.GetSealStatusResponse | pb.GiveShareResponse) -> bool:
    return bool(answer.status.state == pb.SEAL_STATE_SEALED)


def _status(status: pb.SealStatus) -> SealStatus:
    return SealStatus(
        sealed=known(SEALED, status.state, "seal state"),
        provider=known(PROVIDERS, status.provider, "key provider"),
        share_set=status.share_set,
        shares=status.shares,
        threshold=status.threshold,
        given_by=tuple(status.given_by),
    )
