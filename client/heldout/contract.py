"""What the contract promises of each method, read from its descriptors."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final

from heldout.errors import UnknownAnswer
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

FILES: Final = (findings_pb2, bank_pb2, card_pb2, evaluation_pb2, checkpoint_pb2, audit_pb2, seal_pb2)
HALF_NAMES: Final = {options_pb2.HALF_VAULT: "vault", options_pb2.HALF_WINDOW: "window"}
HALF_NUMBERS: Final = {name: number for number, name in HALF_NAMES.items()}
MILLI: Final = 1000


@dataclass(frozen=True, slots=True)
class Method:
    """Describe an RPC.

    Attributes:
        name: full name as gRPC has it, ``/heldout.v1.BankService/GetStats``.
        deadline_s: seconds after which a call is over.
        half: whose log signs its receipt, ``vault`` or ``window``.
    """

    name: str
    deadline_s: float
    half: str


@functools.cache
def find_method(service: str, name: str) -> Method:
    """Return a method of the contract.

    Args:
        service: its service, such as ``BankService``.
        name: its name, such as ``GetStats``.

    Raises:
        UnknownAnswer: the contract has no such method.
    """
    for file in FILES:
        descriptor = file.DESCRIPTOR.services_by_name.get(service)
        if descriptor is not None and name in descriptor.methods_by_name:
            rpc = descriptor.methods_by_name[name].GetOptions().Extensions[options_pb2.rpc]
            return Method(f"/{descriptor.full_name}/{name}", rpc.deadline_ms / MILLI, HALF_NAMES[rpc.half])
    raise UnknownAnswer(f"the contract has no method {service}.{name}")
