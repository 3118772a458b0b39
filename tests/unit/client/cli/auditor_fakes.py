"""An appliance in memory as an auditor finds it: policy documents, named by the logs, and calls decided by them."""

import hashlib

from heldout_proto.v1 import audit_pb2

RELEASE_TOML = b"bits_per_prompt = 8\n"
CEDAR = b'@id("everybody") permit (principal, action, resource);\n'
PRINCIPALS = b'[[principal]]\nidentity = "spiffe://heldout.example/trainer"\nrole = "auditor"\n'
HOSTILE = '<script>alert("x")</script>&'


def digest(document):
    return hashlib.sha256(document).hexdigest()


def make_auditable(appliance):
    """Have both logs begin with a start that names the documents, and let the caller be an auditor."""
    appliance.role = "auditor"
    appliance.decided = {"rules": ["everybody"], "policy_digest": digest(RELEASE_TOML)}
    digests = {
        "policy_digest": digest(RELEASE_TOML),
        "authorization_digest": digest(CEDAR),
        "principals_digest": digest(PRINCIPALS),
    }
    for log in appliance.logs.values():
        log.add("event", "start", **digests)
    appliance.answers["GetPolicy"] = audit_pb2.GetPolicyResponse(
        release_toml=RELEASE_TOML,
        authorization_cedar=CEDAR,
        principals_toml=PRINCIPALS,
        policy_digest=digest(RELEASE_TOML),
    )
