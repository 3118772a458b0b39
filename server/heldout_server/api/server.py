"""The gRPC servers: the contract over mTLS, and health on a plain port of its own.

Health needs a server of its own, because a second port on one server serves every service, and a cluster's probes do
not speak mTLS. It says SERVING or NOT_SERVING and nothing else.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from heldout_server.api.contract import Method
from heldout_server.domain import Principal, Role
from heldout_server.errors import ConfigError
from heldout_server.ports.identity import Gatekeeper

MAX_MESSAGE_BYTES: Final = 8 << 20
MAX_METADATA_BYTES: Final = 8 << 10
MAX_CALLS_A_CONNECTION: Final = 256
OPTIONS: Final[tuple[tuple[str, Any], ...]] = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_metadata_size", MAX_METADATA_BYTES),
    ("grpc.max_concurrent_streams", MAX_CALLS_A_CONNECTION),
    ("grpc.so_reuseport", 0),  # a second process on the port is an error, not a silent sharing
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """Hold PEM bytes: what the server shows, and whom it lets in."""

    authority: bytes
    certificate: bytes
    key: bytes


def verify_rules(contract: Mapping[str, Method], gatekeeper: Gatekeeper, roles: Sequence[Role]) -> None:
    """Check that every method is allowed to somebody: one that no rule names was forgotten.

    Raises:
        ConfigError: a method has no authorization rule.
    """
    for name in contract:
        if not any(gatekeeper.decide(Principal("spiffe://probe", role), name).allowed for role in roles):
            raise ConfigError(f"authorization.cedar: no rule lets anyone call {name}, so nothing is served")


def build_server(
    edge: grpc.aio.ServerInterceptor, services: Iterable[Callable[[grpc.aio.Server], None]]
) -> grpc.aio.Server:
    """Return the server of the contract, without a port.

    Args:
        edge: the chain that every call goes through.
        services: put the servicers of this process into it.
    """
    # Never compressed: padding holds the length of an answer, and compression would undo it.
    uncompressed = grpc.Compression.NoCompression
    server = grpc.aio.server(interceptors=(edge,), options=OPTIONS, compression=uncompressed)
    for register in services:
        register(server)
    return server


class ShownCertificates:
    """Hold what the server shows and whom it lets in, for every handshake from now on.

    Connections that are open stay open: whoever must not call any more is taken out of ``principals.toml``.
    """

    def __init__(self, certificates: Certificates) -> None:
        self._next = _configuration(certificates)
        self._shown = self._next

    def replace(self, certificates: Certificates) -> None:
        """Show other certificates from the next handshake on. They must belong together: nobody checks them here."""
        self._next = _configuration(certificates)

    def credentials(self) -> grpc.ServerCredentials:
        """Return credentials that ask at each handshake whether there is something new to show."""
        return grpc.dynamic_ssl_server_credentials(
            self._shown,
            self._changed,  # type: ignore[arg-type] # the stub forgets None, which says that nothing changed
            require_client_authentication=True,
        )

    def _changed(self) -> grpc.ServerCertificateConfiguration | None:
        """Return what is new since the last handshake. The core calls this on threads of its own."""
        newest = self._next
        if newest is self._shown:
            return None
        self._shown = newest
        return newest


def _configuration(certificates: Certificates) -> grpc.ServerCertificateConfiguration:
    pairs = [(certificates.key, certificates.certificate)]
    return grpc.ssl_server_certificate_configuration(pairs, root_certificates=certificates.authority)


def listen(server: grpc.aio.Server, address: str, certificates: ShownCertificates) -> int:
    """Bind the mTLS port and return its number.

    Raises:
        ConfigError: the address cannot be bound, or the certificates do not load.
    """
    try:
        return server.add_secure_port(address, certificates.credentials())
    except RuntimeError:
        problem = _explain_unbound(address) or "cannot be served: gRPC does not take the certificates of [tls]"
        remedy = "and address (of a window half window_address) in every client's profile"
        raise ConfigError(
            f"listen.address: {address} {problem}\n  end what has it, or set another port here, {remedy}"
        ) from None


def _explain_unbound(address: str) -> str:
    """Say why an address cannot be bound, by trying it once more without gRPC, which says nothing; empty if it can."""
    host, _, port = address.rpartition(":")
    try:
        for family, kind, protocol, _, place in socket.getaddrinfo(
            host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as gRPC does
                probe.bind(place)
    except OSError as error:
        return "is in use" if error.errno == errno.EADDRINUSE else f"cannot be bound ({error.strerror})"
    return ""


class Health:
    """Say SERVING or NOT_SERVING on a plain port."""

    def __init__(self) -> None:
        self._servicer = health.aio.HealthServicer()
        self._server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, self._server)

    async def start(self, address: str) -> int:
        """Bind, start and return the port. Not serving until told so.

        Raises:
            ConfigError: the address cannot be bound.
        """
        try:
            port = self._server.add_insecure_port(address)
        except RuntimeError:
            problem = _explain_unbound(address) or "cannot be bound"
            remedy = "end what has it, or set another port here, and wherever health is looked for"
            raise ConfigError(f"listen.health_address: {address} {problem}\n  {remedy}") from None
        await self.set(serving=False)
        await self._server.start()
        return port

    async def set(self, *, serving: bool, part: str = "") -> None:
        """Change what is said of the appliance, or of a part of it that has a health service of its own."""
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        await self._servicer.set(part, status)

    async def stop(self) -> None:
        """Stop at once."""
        await self._server.stop(grace=None)
