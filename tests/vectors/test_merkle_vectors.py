"""Public RFC 6962 vectors against the client's checks: each happy path passes, each broken one is refused.

Read from ``HELDOUT_VECTORS`` or from ``../shared/vectors`` beside the checkout (transparency-dev/merkle, Apache-2.0).
Its subtree vectors are of another proposal, which Heldout does not use.
"""

from __future__ import annotations

import json
import os
from base64 import b64decode
from pathlib import Path

import pytest

from heldout.errors import VerificationError
from heldout.verification.merkle import verify_consistency, verify_inclusion

VECTORS = Path(os.environ.get("HELDOUT_VECTORS") or Path(__file__).parents[2].parent / "shared" / "vectors") / "merkle"

pytestmark = pytest.mark.skipif(
    not VECTORS.is_dir(), reason="no public vectors: set HELDOUT_VECTORS or put them in ../shared/vectors"
)


def cases(kind):
    return [
        pytest.param(file, id=f"{file.parent.name}/{file.stem}") for file in sorted((VECTORS / kind).rglob("*.json"))
    ]


def decode(vector, key):
    return b64decode(vector[key] or "", validate=True)


def check(vector, verify):
    if vector["wantErr"]:
        with pytest.raises(VerificationError):
            verify()
    else:
        verify()


@pytest.mark.parametrize("file", cases("inclusion"))
def test_inclusion(file):
    vector = json.loads(file.read_text())
    check(
        vector,
        lambda: verify_inclusion(
            index=vector["leafIdx"],
            size=vector["treeSize"],
            leaf=decode(vector, "leafHash"),
            proof=[b64decode(each) for each in vector["proof"] or ()],
            root=decode(vector, "root"),
        ),
    )


@pytest.mark.parametrize("file", cases("consistency"))
def test_consistency(file):
    vector = json.loads(file.read_text())
    check(
        vector,
        lambda: verify_consistency(
            old=vector["size1"],
            new=vector["size2"],
            old_root=decode(vector, "root1"),
            new_root=decode(vector, "root2"),
            proof=[b64decode(each) for each in vector["proof"] or ()],
        ),
    )


def test_all_vectors_were_found():
    assert (len(cases("inclusion")), len(cases("consistency"))) == (98, 98)
