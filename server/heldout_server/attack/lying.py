"""Stand between the clients and the appliance, with the appliance's own certificate, and change what it says.

The door has what an operator has, the network and the TLS key, and not the keys that sign the logs.
"""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Final, Self

import grpc

from heldout_proto.v1 import findings_pb2
from heldout_server.attack.attack import Finding
from heldout_server.attack.caller import RECEIPT, Told
from heldout_server.attack.commands import Ended, run_client
from heldout_server.attack.stage import Stage
from heldout_server.errors import ConfigError

COMMAND: Final = ("--json", "budget")
ROLE: Final = "trainer"


@dataclass(frozen=True, slots=True)
class Answer:
    """Hold what a client is told: the message, and the receipt in the trailing metadata."""

    body: bytes
    receipt: bytes

    def with_receipt(self, **parts: Any) -> Answer:
        """Return the answer with parts of its receipt exchanged."""
        receipt = findings_pb2.Receipt.FromString(self.receipt)
        for name, value in parts.items():
            setattr(receipt, name, value)
        return replace(self, receipt=receipt.SerializeToString())

    @property
    def proof(self) -> str:
        """Return the text of the proof in the receipt."""
        return findings_pb2.Receipt.FromString(self.receipt).proof


Lie = Callable[[Answer], Answer]


def honest(answer: Answer) -> Answer:
    """Tell the truth."""
    return answer


class LyingDoor:
    """Answer trainers on a port of its own: with what the appliance says, changed.

    Attributes:
        address: where, as ``host:port``.
        heard: every answer of the appliance, before it was changed.
    """

    def __init__(self, stage: Stage, *, source: Callable[[str, bytes], Awaitable[Told]] | None = None) -> None:
        """Listen nowhere yet.

        Args:
            stage: whose appliance it stands before.
            source: asks for the true answer; that appliance by default.
        """
        self._stage = stage
        self._source = source or (lambda method, request: stage.ask(ROLE, method, request))
        self._server = grpc.aio.server()
        self.lie: Lie = honest
        self.heard: list[Answer] = []
        self.address = ""

    async def __aenter__(self) -> Self:
        """Listen."""
        tls = self._stage.own_folder / "pki"
        credentials = grpc.ssl_server_credentials(
            [((tls / "server.key").read_bytes(), (tls / "server.pem").read_bytes())],
            (tls / "ca.pem").read_bytes(),
            require_client_auth=True,
        )
        door = self

        class Handler(grpc.GenericRpcHandler):
            """Answer every method alike."""

            def service(self, details: Any) -> Any:
                """Return what answers a call."""

                async def answer(request: bytes, context: Any) -> bytes:
                    return await door.answer(details.method, request, context)

                return grpc.unary_unary_rpc_method_handler(answer)

        self._server.add_generic_rpc_handlers((Handler(),))
        self.address = f"127.0.0.1:{self._server.add_secure_port('127.0.0.1:0', credentials)}"
        await self._server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening."""
        await self._server.stop(None)

    async def answer(self, method: str, request: bytes, context: Any) -> bytes:
        """Ask the appliance, keep what it says, and answer with the lie."""
        told = await self._source(method, request)
        self.heard.append(Answer(told.body, told.receipt))
        lied = self.lie(self.heard[-1])
        if lied.receipt:
            context.set_trailing_metadata(((RECEIPT, lied.receipt),))
        return lied.body

    async def tell(self, lie: Lie, *, memory: str) -> Ended:
        """Let a client of its own process ask for the budget, and lie to it."""
        self.lie = lie
        return await run_client(self._stage, ROLE, *COMMAND, address=self.address, memory=memory)

    async def tell_all(self, lies: Iterable[tuple[str, Lie]], *, memory: str, tried: str) -> Finding:
        """Tell lies, one process each, after the truth, and say which were believed.

        Args:
            lies: each with what it is.
            memory: names the folder in which these clients remember.
            tried: what was tried, in a few words.

        Raises:
            ConfigError: not even the truth was believed, so that refusals would show nothing.
        """
        truth = await self.tell(honest, memory=memory)
        if truth.code:
            raise ConfigError(f"the client does not believe the truth: {truth.err.strip()}")
        told = {}
        for number, (name, lie) in enumerate(lies):
            # A client that saw one lie believes nothing any more: each gets one that knows the truth alone.
            own = f"{memory}-{number}"
            shutil.copytree(self._stage.own_folder / memory, self._stage.own_folder / own)
            told[name] = await self.tell(lie, memory=own)
        believed = [name for name, ended in told.items() if not ended.refused]
        return Finding(
            tried=f"{tried}: {', '.join(told)}",
            learned=f"the shipped client believed {', '.join(believed)}"
            if believed
            else "the shipped client refused each, and showed no figure",
            held=not believed,
        )
