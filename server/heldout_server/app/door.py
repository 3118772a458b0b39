"""The door: the edge, and the certificates that it shows and takes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from heldout_server.api.contract import methods, served
from heldout_server.api.denials import Denials
from heldout_server.api.edge import Edge
from heldout_server.api.gate import ApprovedTexts, Gate
from heldout_server.api.journal import Journal
from heldout_server.api.server import Certificates
from heldout_server.app.documents import read_document
from heldout_server.app.policies import Policies
from heldout_server.app.tools import Tools
from heldout_server.config import AnyConfig
from heldout_server.domain import Role
from heldout_server.identity import verify_server_certificate
from heldout_server.keys.private_files import read_private
from heldout_server.ports.audit import AuditLog
from heldout_server.telemetry import Metrics


def build_edge(
    config: AnyConfig,
    tools: Tools,
    *,
    policies: Policies,
    denials: Denials,
    logs: Mapping[str, AuditLog],
    approved: ApprovedTexts,
    metrics: Metrics,
    log_failed: asyncio.Event,
) -> Edge:
    """Return the chain that every call goes through."""
    return Edge(
        contract=served(methods(), logs),
        gatekeeper=policies.gatekeeper,
        rates={role: getattr(config.limits, role) for role in Role},
        denials=denials,
        journal=Journal(
            logs,
            policy_digest=policies.documents.digest,
            clock=tools.clock,
            metrics=metrics,
            on_failure=log_failed.set,
            random_bytes=tools.random_bytes,
        ),
        gate=Gate(approved),
        clock=tools.clock,
        ids=tools.ids,
        metrics=metrics,
    )


def read_certificates(config: AnyConfig, *, now_s: float) -> Certificates:
    """Return what the server shows, and whom it lets in.

    Raises:
        ConfigError: a file cannot be read, others can read the key, they do not belong together, or the server's
            certificate is not valid now.
    """
    certificates = Certificates(
        authority=read_document(config.tls.ca),
        certificate=read_document(config.tls.certificate),
        key=read_private(config.tls.key),
    )
    verify_server_certificate(
        authority=certificates.authority, certificate=certificates.certificate, key=certificates.key, now_s=now_s
    )
    return certificates
