"""Sign other release policies, as the bank tester can, and put them in place."""

from __future__ import annotations

import re
from pathlib import Path

from heldout_server.attack.stage import Stage
from heldout_server.keys import sign_policy


def policy_of(stage: Stage) -> Path:
    """Return where the release policy lies."""
    return stage.own_folder / "policy" / "release.toml"


def put_signed(stage: Stage, *, bits: int) -> None:
    """Put the next version of the policy in place, with other bits for each prompt, signed by the bank tester."""
    policy = policy_of(stage)
    document = re.sub(rb"(?m)^bits_per_prompt = \d+$", b"bits_per_prompt = %d" % bits, policy.read_bytes())
    document = re.sub(rb"(?m)^version = (\d+)$", lambda found: b"version = %d" % (int(found[1]) + 1), document)
    key = (stage.own_folder / "pki" / "policy_signer.key").read_bytes()
    policy.write_bytes(document)
    policy.with_name("release.toml.sig").write_bytes(sign_policy(document, key))
