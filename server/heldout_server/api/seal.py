"""SealService: whether the appliance is sealed, and what opens and closes it."""

from __future__ import annotations

from typing import Final

from heldout_proto.v1 import seal_pb2 as pb
from heldout_proto.v1 import seal_pb2_grpc
from heldout_server.api.edge import Call
from heldout_server.ports.seal import Seal, SealStatus

PROVIDERS: Final = {"file": pb.KEY_PROVIDER_FILE, "shamir": pb.KEY_PROVIDER_SHAMIR}


class SealServicer(seal_pb2_grpc.SealServiceServicer):
    """Translate between the contract and the seal. A share goes in and never comes out."""

    def __init__(self, seal: Seal) -> None:
        self._seal = seal

    async def GetSealStatus(self, _request: pb.GetSealStatusRequest, _call: Call) -> pb.GetSealStatusResponse:  # noqa: N802 - the contract's name
        """Say whether the appliance is sealed."""
        return pb.GetSealStatusResponse(status=_status(self._seal.status()))

    async def GiveShare(self, request: pb.GiveShareRequest, call: Call) -> pb.GiveShareResponse:  # noqa: N802 - the contract's name
        """Take a share of the root key."""
        status = self._seal.give_share(
            call.principal.identity, share_set=request.share_set, number=request.number, value=request.share
        )
        return pb.GiveShareResponse(status=_status(status))

    async def Seal(self, _request: pb.SealRequest, call: Call) -> pb.SealResponse:  # noqa: N802 - the contract's name
        """Have everything closed."""
        return pb.SealResponse(status=_status(await self._seal.seal(call.principal.identity)))


def _status(status: SealStatus) -> pb.SealStatus:
    return pb.SealStatus(
        state=pb.SEAL_STATE_SEALED if status.sealed else pb.SEAL_STATE_OPEN,
        provider=PROVIDERS[status.provider],
        share_set=status.share_set,
        shares=status.shares,
        threshold=status.threshold,
        given_by=status.given_by,
    )
