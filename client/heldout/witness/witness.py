"""The one decision of a witness: whether a head continues what it signed before."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from heldout.errors import HeldoutClientError, VerificationError
from heldout.verification.cosignature import WitnessSigner
from heldout.verification.merkle import EMPTY_ROOT, verify_consistency
from heldout.verification.note import Checkpoint, VerifierKey, open_checkpoint
from heldout.witness.head_store import HeadStore

Prove = Callable[[int, int], Sequence[bytes]]
"""Takes the sizes of an older and a newer tree and returns the proof that one continues the other."""


class Witness:
    """Cosign the heads of one log.

    Args:
        signer: the witness's own key.
        store: the head that was signed last.
        vkey: the log's verifier key.
        begin: whether there may be no such head yet. Whoever lost it must not begin anew without knowing: the next head
            could be of a fork.
    """

    def __init__(self, signer: WitnessSigner, store: HeadStore, *, vkey: str, begin: bool = False) -> None:
        self._signer = signer
        self._store = store
        self._key = VerifierKey.parse(vkey)
        self._begin = begin

    def cosign(self, note: str, *, prove: Prove, now_s: float) -> str:
        """Sign a head, if it continues the one that was signed last.

        1. The log signed it.
        2. It is not smaller than the last one, not another of the same size, and proved to continue it.
        3. It is noted, durably.
        4. It is signed.

        Args:
            note: a checkpoint of the log.
            prove: asks for a consistency proof.
            now_s: Unix seconds.

        Raises:
            VerificationError: it does not hold; nothing is signed, and what contradicts the last head is kept.
            HeldoutClientError: there is no last head, or another process of this witness is at work.
        """
        with self._store.locked():
            head = open_checkpoint(note, self._key)  # (1)
            self._verify(head, note, prove)  # (2)
            self._store.write(note)  # (3)
            self._begin = False
            return self._signer.cosign(note, time_s=int(now_s))  # (4)

    def _known(self) -> Checkpoint | None:
        note = self._store.read()
        if note is None:
            return None
        try:
            return open_checkpoint(note, self._key)
        except VerificationError:
            raise HeldoutClientError(f"{self._store.file}: is damaged; nothing is signed without it") from None

    def _verify(self, head: Checkpoint, note: str, prove: Prove) -> None:
        known = self._known()
        if known is None:
            if not self._begin:
                raise HeldoutClientError(
                    f"{self._store.file}: no head was signed yet; if that is so, begin with --begin"
                )
            known = Checkpoint(head.origin, 0, EMPTY_ROOT)
        try:
            _verify_continues(head, known, prove)
        except VerificationError as error:
            file = self._store.keep_evidence(note)
            raise VerificationError(f"{error}. Not cosigned; kept as evidence: {file}") from None


def _verify_continues(head: Checkpoint, known: Checkpoint, prove: Prove) -> None:
    if head.size < known.size:
        raise VerificationError(f"the log has shrunk: {head.size} entries, and {known.size} were cosigned")
    if known.size == 0:
        if head.size == 0 and head.root != EMPTY_ROOT:
            raise VerificationError("an empty log has another root than one has")
        return  # every tree continues the empty one, and no proof shows it
    proof = () if head.size == known.size else tuple(prove(known.size, head.size))
    verify_consistency(old=known.size, new=head.size, old_root=known.root, new_root=head.root, proof=proof)
