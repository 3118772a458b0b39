"""Identity: who is behind a certificate, and whether they may make a call.

The room reads no files and keeps no state of calls: it brings the two policy documents to the door. It never guesses:
whoever is not named exactly once, in a document that a person wrote, is nobody.
"""

from heldout_server.identity.gatekeeper import CertificateGatekeeper
from heldout_server.identity.server_certificate import verify_server_certificate

__all__ = ["CertificateGatekeeper", "verify_server_certificate"]
