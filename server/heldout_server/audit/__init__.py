"""The audit log of a half: records in, signed tree heads and proofs out.

A record becomes a canonical JSON leaf of an RFC 6962 tree, stored in a SQLCipher database; every commit signs the new
tree head (c2sp.org/tlog-checkpoint) before any of its records is acknowledged. The log fails closed: after one failed
commit it takes nothing any more. It refuses text: a detail is an identifier, a digest, a URI or a number, and nothing
with a space in it. It never verifies proofs; that is the client's room, and neither imports the other.
"""

from heldout_server.audit.anchors import AnchorBook, decide_log_discrepancy
from heldout_server.audit.deadline import DISK_HANGS, run_on_disk
from heldout_server.audit.device import lock_file
from heldout_server.audit.kept import KEPT_FILE, UNSEAL, KeptFile, Recorded, begin_kept_key
from heldout_server.audit.log import DAMAGED, DEVICE_LOST, SqlAuditLog
from heldout_server.audit.note import CheckpointSigner
from heldout_server.audit.repair import RepairReport, repair_log
from heldout_server.audit.sweep import Pace

__all__ = [
    "DAMAGED",
    "DEVICE_LOST",
    "DISK_HANGS",
    "KEPT_FILE",
    "UNSEAL",
    "AnchorBook",
    "CheckpointSigner",
    "KeptFile",
    "Pace",
    "Recorded",
    "RepairReport",
    "SqlAuditLog",
    "begin_kept_key",
    "decide_log_discrepancy",
    "lock_file",
    "repair_log",
    "run_on_disk",
]
