"""The gRPC servers: the contract over mTLS, and health on a plain port of its own.

Health needs a server of its own, because a second port on one server serves every service, and a cluster's probes do
not speak mTLS. It says SERVING or NOT_SERVING and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from heldout_proto.v1 import (
    audit_pb2_grpc,
    bank_pb2_grpc,
    checkpoint_pb2_grpc,
    evaluation_pb2_grpc,
    findings_pb2_grpc,
)
from heldout_server.api.audit import AuditServicer
from heldout_server.api.bank import BankServicer
from heldout_server.api.checkpoint import CheckpointServicer
from heldout_server.api.contract import Method
from heldout_server.api.edge import Edge
from heldout_server.api.evaluation import EvaluationServicer
from heldout_server.api.findings import FindingsServicer
from heldout_server.domain import Principal, Role
from heldout_server.errors import ConfigError
from heldout_server.ports.identity import Gatekeeper

MAX_MESSAGE_BYTES: Final = 8 << 20
MAX_METADATA_BYTES: Final = 8 << 10
OPTIONS: Final[tuple[tuple[str, Any], ...]] = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_metadata_size", MAX_METADATA_BYTES),
    ("grpc.so_reuseport", 0),  # a second process on the port is an error, not a silent sharing
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """Hold PEM bytes: what the server shows, and whom it lets in."""

    authority: bytes
    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Servicers:
    """Hold the servicers of this process."""

    findings: FindingsServicer
    bank: BankServicer
    evaluation: EvaluationServicer
    checkpoint: CheckpointServicer
    audit: AuditServicer


def verify_rules(contract: Mapping[str, Method], gatekeeper: Gatekeeper, roles: Sequence[Role]) -> None:
    """Check that every method is allowed to somebody: one that no rule names was forgotten.

    Raises:
        ConfigError: a method has no authorization rule.
    """
    for name in contract:
        if not any(gatekeeper.decide(Principal("spiffe://probe", role), name).allowed for role in roles):
            raise ConfigError(f"authorization.cedar: no rule lets anyone call {name}, so nothing is served")


def build_server(edge: Edge, servicers: Servicers) -> grpc.aio.Server:
    """Return the server of the contract, without a port."""
    server = grpc.aio.server(interceptors=(edge,), options=OPTIONS)
    findings_pb2_grpc.add_FindingsServiceServicer_to_server(servicers.findings, server)
    bank_pb2_grpc.add_BankServiceServicer_to_server(servicers.bank, server)
    evaluation_pb2_grpc.add_EvaluationServiceServicer_to_server(servicers.evaluation, server)
    checkpoint_pb2_grpc.add_CheckpointServiceServicer_to_server(servicers.checkpoint, server)
    audit_pb2_grpc.add_AuditServiceServicer_to_server(servicers.audit, server)
    return server


def listen(server: grpc.aio.Server, address: str, certificates: Certificates) -> int:
    """Bind the mTLS port and return its number.

    Raises:
        ConfigError: the address cannot be bound, or the certificates do not load.
    """
    credentials = grpc.ssl_server_credentials(
        [(certificates.key, certificates.certificate)],
        root_certificates=certificates.authority,
        require_client_auth=True,
    )
    try:
        return server.add_secure_port(address, credentials)
    except RuntimeError:
        raise ConfigError(
            f"listen.address: {address} cannot be bound. Is it in use, or do the certificates not load?"
        ) from None


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
            raise ConfigError(f"listen.health_address: {address} cannot be bound. Is it in use?") from None
        await self.set(serving=False)
        await self._server.start()
        return port

    async def set(self, *, serving: bool) -> None:
        """Change what is said."""
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        await self._servicer.set("", status)

    async def stop(self) -> None:
        """Stop at once."""
        await self._server.stop(grace=None)
