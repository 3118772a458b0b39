"""Weaknesses of what is recorded and of who checks it: log, receipts, anchors, keys, and a client that believes."""

from __future__ import annotations

from planting import Weakness

JOURNAL = "server/heldout_server/api/journal.py"
RECEIPT = "client/heldout/verification/receipt.py"
MERKLE = "client/heldout/verification/merkle.py"
CLIENT = "tests/unit/client"
AUDIT = "tests/unit/server/audit"

WEAKNESSES = (
    Weakness(
        name="answer-before-log",
        says="a call is answered while its outcome is still on its way into the log",
        file=JOURNAL,
        old="        except StorageError:\n            raise self._fail() from None\n\n    def _fail",
        new="        except StorageError:\n            return await asyncio.sleep(0, None)\n\n    def _fail",
        tests=("tests/unit/server/api/test_edge.py",),
    ),
    Weakness(
        name="goes-on-unlogged",
        says="after its log failed the appliance goes on answering",
        file=JOURNAL,
        old="        self._unlogged = True\n",
        new="        self._unlogged = False\n",
        tests=("tests/unit/server/api/test_edge.py",),
    ),
    Weakness(
        name="deleted-log-file",
        says="the log goes on in a file that was deleted or replaced",
        file="server/heldout_server/audit/device.py",
        old="            if now[:2] != before[:2]:\n",
        new="            if now[:2] == before[:1]:\n",
        tests=(f"{AUDIT}/test_audit_log.py",),
    ),
    Weakness(
        name="gap-in-counters",
        says="two calls of an identity get one number",
        file="server/heldout_server/audit/log.py",
        old="            self._counters[record.identity] = counter\n        self._next_leaf = index + 1\n",
        new="            self._counters[record.identity] = counter // 2 * 2\n        self._next_leaf = index + 1\n",
        tests=(f"{AUDIT}/test_audit_log.py",),
    ),
    Weakness(
        name="same-mac-for-same-request",
        says="equal requests look equal in the log, so that a guess can be confirmed",
        file="server/heldout_server/audit/log.py",
        old="        salt = self._random_bytes(SALT_BYTES)\n        mac = self._mac.copy()\n",
        new="        salt = bytes(SALT_BYTES)\n        mac = self._mac.copy()\n",
        tests=(f"{AUDIT}/test_audit_log.py",),
    ),
    Weakness(
        name="old-page-unseen",
        says="a database with an old page or an exchanged row is opened",
        file="server/heldout_server/anchored_database.py",
        old="    if not whole or _digest(connection, rows, salt=salt) != digest:\n",
        new="    if not whole:\n",
        tests=("tests/unit/server/test_anchored_database.py",),
    ),
    Weakness(
        name="forged-inclusion",
        says="the client believes any inclusion proof",
        file=MERKLE,
        old="    if hashed != root:\n",
        new="    if len(hashed) != len(root):\n",
        tests=(f"{CLIENT}/verification/test_merkle_checks.py", f"{CLIENT}/verification/test_receipts.py"),
    ),
    Weakness(
        name="forked-log",
        says="the client believes that any larger tree continues the one it saw",
        file=MERKLE,
        old="    if old_hash != old_root or new_hash != new_root:\n",
        new="    if new_hash != new_root:\n",
        tests=(f"{CLIENT}/verification/test_merkle_checks.py",),
    ),
    Weakness(
        name="receipt-of-another-answer",
        says="a receipt is not compared with the answer it came with",
        file=RECEIPT,
        old='    _check_digest(entry, "response_sha256", (receipt.salt, response_bytes))\n',
        new="",
        tests=(f"{CLIENT}/verification/test_receipts.py",),
    ),
    Weakness(
        name="movable-salt",
        says="bytes can be moved between the salt and the answer",
        file=RECEIPT,
        old="    if len(receipt.salt) != SALT_BYTES:\n",
        new="    if len(receipt.salt) > 1 << 20:\n",
        tests=(f"{CLIENT}/verification/test_receipts.py",),
    ),
    Weakness(
        name="unknown-signer",
        says="the client takes a head that the pinned key did not sign",
        file="client/heldout/verification/note.py",
        old="    if not signers:\n",
        new="    if not lines:\n",
        tests=(f"{CLIENT}/verification/test_signed_notes.py",),
    ),
    Weakness(
        name="calls-left-out",
        says="the client does not miss calls that the appliance leaves out",
        file="client/heldout/call_numbers.py",
        old="            if number > self.number + 1:\n",
        new="            if number > self.number + 1_000:\n",
        tests=(f"{CLIENT}/test_client_memory.py",),
    ),
    Weakness(
        name="numbers-again",
        says="the client takes a call number that it was answered before, as after an old copy was put back",
        file="client/heldout/calls.py",
        old="    if 0 < number <= known.number:\n",
        new="    if 0 < number <= known.number - 1_000:\n",
        tests=(f"{CLIENT}/test_setbacks.py",),
    ),
    Weakness(
        name="setback-forgotten",
        says="the client asks on after the appliance went back",
        file="client/heldout/memory.py",
        old="        if self.setback is not None:\n            self._under_way[half] -= 1\n",
        new="        if self._setbacks:\n            self._under_way[half] -= 1\n",
        tests=(f"{CLIENT}/test_setbacks.py",),
    ),
    Weakness(
        name="old-cosignature",
        says="a release leaves on a cosignature of any age",
        file="server/heldout_server/audit/witnessed.py",
        old=" and now_s - one.time_s <= self._maximum_age_s]",
        new=" and now_s >= one.time_s]",
        tests=(f"{AUDIT}/test_cosignatures.py",),
    ),
    Weakness(
        name="swapped-weights",
        says="a checkpoint whose files changed after staging is tested",
        file="server/heldout_server/checkpoints/registry.py",
        old="        if digest != recorded.digest:\n",
        new="        if not digest:\n",
        tests=("tests/unit/server/checkpoints/test_checkpoint_registry.py",),
    ),
)
