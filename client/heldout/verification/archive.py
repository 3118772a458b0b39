"""What ``heldout audit export`` takes away: both logs, the policy documents, and the releases, in one folder.

::

    export/vault/…  export/window/…       the logs, in tlog-tiles layout
    export/policy/<sha256>.<ending>       release.toml, authorization.cedar, principals.toml
    export/releases/<number>-….binpb      each release with its receipt (heldout.v1.ReleaseWithReceipt)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from google.protobuf.message import DecodeError

from heldout.errors import VerificationError
from heldout.verification.entry import Entry
from heldout.verification.receipt import parse_proof, verify_release_receipt
from heldout.verification.replay import by_digest
from heldout_proto.v1 import findings_pb2 as pb

POLICY: Final = "policy"
RELEASES: Final = "releases"
ENDINGS: Final = (".cedar", ".toml")
MOST_BYTES: Final = 1 << 20


def write_documents(folder: Path, documents: Mapping[str, bytes]) -> None:
    """Keep policy documents under their digests.

    Args:
        folder: of the export.
        documents: by name, such as ``authorization.cedar``.
    """
    kept = folder / POLICY
    kept.mkdir(parents=True, exist_ok=True)
    for name, content in documents.items():
        (kept / f"{hashlib.sha256(content).hexdigest()}{Path(name).suffix}").write_bytes(content)


def read_documents(folders: Iterable[Path]) -> dict[str, bytes]:
    """Return the policy documents in some folders by their digests, whatever their names."""
    files = [file for folder in folders if folder.is_dir() for file in sorted(folder.iterdir())]
    return by_digest(
        file.read_bytes() for file in files if file.suffix in ENDINGS and file.stat().st_size <= MOST_BYTES
    )


def write_releases(folder: Path, releases: Iterable[pb.ReleaseWithReceipt]) -> None:
    """Keep releases with their receipts."""
    kept = folder / RELEASES
    kept.mkdir(parents=True, exist_ok=True)
    for number, one in enumerate(releases):
        name = hashlib.sha256(one.release.release_id.encode()).hexdigest()[:16]
        (kept / f"{number:06d}-{name}.binpb").write_bytes(one.SerializeToString(deterministic=True))


def read_releases(folder: Path, vkey: str, *, recorded: Sequence[Entry]) -> tuple[pb.Release, ...]:
    """Return the releases of an export, in the order of the log.

    Args:
        folder: of the export.
        vkey: verifier key of the vault's log.
        recorded: the publications in that log.

    Raises:
        VerificationError: one is malformed, or is not what the log records.
    """
    places = {entry.details.get("document_sha256"): entry.index for entry in recorded}
    found: dict[int, pb.Release] = {}
    for file, one in _read_all(folder):
        document = one.release.SerializeToString(deterministic=True)
        verify_release_receipt(document, one.receipt, vkey)
        place = places.get(hashlib.sha256(document).hexdigest())
        if place is None:
            raise VerificationError(f"{RELEASES}/{file.name} is a release that the log does not record")
        found[place] = one.release
    return tuple(found[place] for place in sorted(found))


def receipt_heads(folder: Path, vkey: str) -> tuple[str, ...]:
    """Return the signed heads of one log that the releases' receipts in an export are under, each once.

    Raises:
        VerificationError: a release is malformed.
    """
    origin = vkey.partition("+")[0]
    notes = (parse_proof(one.receipt.proof).checkpoint for _, one in _read_all(folder))
    return tuple(dict.fromkeys(note for note in notes if note.partition("\n")[0] == origin))


def _read_all(folder: Path) -> Iterator[tuple[Path, pb.ReleaseWithReceipt]]:
    for file in sorted((folder / RELEASES).glob("*.binpb")):
        try:
            yield file, pb.ReleaseWithReceipt.FromString(file.read_bytes())
        except DecodeError:
            raise VerificationError(f"{RELEASES}/{file.name} is not a release") from None
