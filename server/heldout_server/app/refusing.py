"""A policy that does not hold: nothing is started, nothing leaves, and the log says why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from heldout_policy.errors import PolicyError
from heldout_server.app.logs import log_files, open_log
from heldout_server.app.policies import Policies, load_policies
from heldout_server.app.tools import Tools
from heldout_server.config import AnyConfig
from heldout_server.errors import ConfigError
from heldout_server.ports.audit import Record

POLICY_REFUSED: Final = "policy_refused"


async def load_policies_or_record(config: AnyConfig, tools: Tools, *, halves: Sequence[str]) -> Policies:
    """Return the policy documents in force; where they do not hold, record that first, if there is a log.

    Args:
        config: what the operator decided.
        tools: keys and clock of the log.
        halves: that this process serves; the log of each says so.

    Raises:
        ConfigError: a document is missing or not signed by the bank tester, or no rule names a method.
        PolicyError: a document does not parse.
        StorageError: likewise, and the log cannot be written either.
    """
    try:
        return load_policies(config)
    except (ConfigError, PolicyError) as error:
        for half in halves:
            if log_files(config, half)["first"].exists():  # else nothing was ever started here: none is begun for this
                log = await open_log(config, tools, None, half=half)
                try:
                    await log.append(Record(kind="event", name=POLICY_REFUSED, details=refusal_details(error)))
                finally:
                    await log.close()
        raise


def refusal_details(error: ConfigError | PolicyError) -> dict[str, str | int]:
    """Return what the log says of a policy that does not hold: codes, lines and keys, no word of the document."""
    if isinstance(error, ConfigError):
        return {"reason": error.reason}
    details: dict[str, str | int] = {"reason": "POLICY_MALFORMED", "document": error.document}
    if error.line is not None:
        details["line"] = error.line
    return details
