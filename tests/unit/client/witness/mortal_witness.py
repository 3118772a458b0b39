"""A witness in a process of its own that kills itself at the n-th file operation: python mortal_witness.py …

Arguments: folder, honest or forked, size of the head, step (0 for none). It prints size and root of what it signed.
"""

import os
import signal
import sys
from pathlib import Path

from client_fakes import FakeLog

from heldout.errors import HeldoutClientError
from heldout.verification.note import VerifierKey, open_checkpoint
from heldout.witness import HeadStore, Witness, read_signer


def die_at(step):
    """Have the process killed right before the n-th write, fsync or rename from now on."""
    left = [step]

    def mortal(operation):
        def call(*args, **kwargs):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return operation(*args, **kwargs)

        return call

    for name in ("write", "fsync", "rename", "replace", "open"):
        setattr(os, name, mortal(getattr(os, name)))


def main():
    folder, history, size, step = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    log = FakeLog("lab/vault", b"v")
    for number in range(9):
        log.add("event", "start", number=number)
    if history == "forked":
        log.leaves[0] = log.leaves[0].replace(b"1795572840", b"1795572900")
    store = HeadStore(folder / "state", vkey=log.vkey)
    witness = Witness(read_signer(folder / "witness.key"), store, vkey=log.vkey, begin=not store.file.exists())
    if step:
        die_at(step)
    try:
        note = witness.cosign(log.checkpoint(size), prove=log.proof, now_s=1_795_600_000)
    except HeldoutClientError:
        return 1
    head = open_checkpoint(note, VerifierKey.parse(log.vkey))
    sys.stdout.write(f"{head.size} {head.root.hex()}\n")
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
