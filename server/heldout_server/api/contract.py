"""What the ``.proto`` files promise of each method, read from their descriptors."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from google.protobuf.descriptor import Descriptor

from heldout_proto.v1 import (
    audit_pb2,
    bank_pb2,
    card_pb2,
    checkpoint_pb2,
    evaluation_pb2,
    findings_pb2,
    options_pb2,
    seal_pb2,
)
from heldout_server.errors import ConfigError

FILES: Final = (
    findings_pb2.DESCRIPTOR,
    bank_pb2.DESCRIPTOR,
    card_pb2.DESCRIPTOR,
    evaluation_pb2.DESCRIPTOR,
    checkpoint_pb2.DESCRIPTOR,
    audit_pb2.DESCRIPTOR,
    seal_pb2.DESCRIPTOR,
)

AUDIT_PREFIX: Final = f"/{audit_pb2.DESCRIPTOR.services_by_name['AuditService'].full_name}/"
HALVES: Final[dict[int, str]] = {options_pb2.HALF_VAULT: "vault", options_pb2.HALF_WINDOW: "window"}


@dataclass(frozen=True, slots=True)
class Method:
    """Describe an RPC.

    Attributes:
        name: full name as gRPC has it, ``/heldout.v1.BankService/GetStats``.
        deadline_s: seconds after which a call is over, whatever the client asked for.
        half: whose log records it, ``vault`` or ``window``.
        shape: of the call as gRPC names it: ``unary_unary``, ``stream_unary``, ``unary_stream`` or ``stream_stream``.
    """

    name: str
    request: Descriptor
    response: Descriptor
    deadline_s: float
    half: str
    shape: str


def served(contract: Mapping[str, Method], halves: Collection[str]) -> dict[str, Method]:
    """Return the methods that a process serves.

    The logs are read from the half that holds them, so it is there that such a call is recorded.

    Args:
        contract: every method by its full name.
        halves: those whose logs the process holds.
    """
    found: dict[str, Method] = {}
    for name, method in contract.items():
        if method.half in halves:
            found[name] = method
        elif name.startswith(AUDIT_PREFIX):
            found[name] = replace(method, half=next(iter(halves)))
    return found


def methods() -> dict[str, Method]:
    """Return every method of the contract by its full name.

    Raises:
        ConfigError: a method promises no deadline or no half.
    """
    found: dict[str, Method] = {}
    extension: Any = options_pb2.rpc  # the generated stub is less exact than the type of an index
    for file in FILES:
        for service in file.services_by_name.values():
            for descriptor in service.methods:
                rpc: options_pb2.Rpc = descriptor.GetOptions().Extensions[extension]
                name = f"/{service.full_name}/{descriptor.name}"
                half = HALVES.get(rpc.half)
                if rpc.deadline_ms <= 0 or half is None:
                    raise ConfigError(f"{name}: the contract gives it no deadline or no half, so nothing is served")
                sends = "stream" if descriptor.client_streaming else "unary"
                gets = "stream" if descriptor.server_streaming else "unary"
                found[name] = Method(
                    name=name,
                    request=descriptor.input_type,
                    response=descriptor.output_type,
                    deadline_s=rpc.deadline_ms / 1000,
                    half=half,
                    shape=f"{sends}_{gets}",
                )
    return found
