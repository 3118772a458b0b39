"""Check what an appliance says without trusting it: receipts, signed checkpoints, proofs, and a whole exported log.

A check raises :class:`heldout.errors.VerificationError`; none returns a bool. Nothing here talks to a server, and
the server, which builds the proofs, and the client never import each other.
"""

from heldout.verification.entry import Entry
from heldout.verification.export import ExportReport, verify_export
from heldout.verification.log_folder import LogExport
from heldout.verification.note import Checkpoint, VerifierKey, open_checkpoint
from heldout.verification.receipt import verify_call_receipt, verify_release_receipt

__all__ = [
    "Checkpoint",
    "Entry",
    "ExportReport",
    "LogExport",
    "VerifierKey",
    "open_checkpoint",
    "verify_call_receipt",
    "verify_export",
    "verify_release_receipt",
]
