"""The policy documents in force: read, their signature checked, parsed; before anything is opened."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final

from heldout_policy.authorization import Authorization
from heldout_policy.principals import Principals, parse_principals
from heldout_policy.release_policy import ReleasePolicy, parse_release_policy, policy_digest
from heldout_server.api.audit import PolicyDocuments
from heldout_server.api.contract import methods
from heldout_server.api.server import verify_rules
from heldout_server.app.documents import decode_document, read_document
from heldout_server.config import AnyConfig
from heldout_server.domain import Role
from heldout_server.identity import CertificateGatekeeper
from heldout_server.keys import verify_policy_signature

PRINCIPALS: Final = "principals.toml"


@dataclass(slots=True, kw_only=True)
class Policies:
    """Hold the policy documents in force. Who has which role may change while the appliance runs; the rest may not."""

    release: ReleasePolicy
    documents: PolicyDocuments
    gatekeeper: CertificateGatekeeper

    def take_principals(self, content: bytes, principals: Principals) -> None:
        """Put another ``principals.toml`` in force at once, for every call that is decided after this."""
        self.gatekeeper.replace(principals)
        self.documents = dataclasses.replace(self.documents, principals_toml=content)


def load_policies(config: AnyConfig) -> Policies:
    """Read the policy documents, check the signature of the release policy, and parse them.

    Raises:
        ConfigError: a document is missing or not signed by the bank tester, or no rule names a method. Nothing leaves.
        PolicyError: a document does not parse.
    """
    folder = config.policy.folder
    release_toml = read_document(folder / "release.toml")
    signature = read_document(folder / "release.toml.sig")
    verify_policy_signature(release_toml, signature, read_document(config.policy.signer))
    authorization_cedar = read_document(folder / "authorization.cedar")
    principals_toml = read_document(folder / PRINCIPALS)
    gatekeeper = CertificateGatekeeper(
        parse_principals(decode_document(principals_toml, PRINCIPALS)),
        Authorization.parse(decode_document(authorization_cedar, "authorization.cedar")),
    )
    verify_rules(methods(), gatekeeper, tuple(Role))
    return Policies(
        release=parse_release_policy(decode_document(release_toml, "release.toml")),
        documents=PolicyDocuments(
            release_toml=release_toml,
            authorization_cedar=authorization_cedar,
            principals_toml=principals_toml,
            digest=policy_digest(release_toml),
        ),
        gatekeeper=gatekeeper,
    )
