"""A policy that does not hold: nothing is started, nothing leaves, and the log says why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from heldout_policy.errors import PolicyError
from heldout_server.app.logs import log_files, open_log
from heldout_server.app.policies import Policies, load_policies
from heldout_server.app.tools import Tools
from heldout_server.config import AnyConfig
from heldout_server.errors import ConfigError
from heldout_server.ports.audit import Record

EVENT: Final = "policy_refused"


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
                    await log.append(Record(kind="event", name=EVENT, details=dict(_details(error))))
                finally:
                    await log.close()
        raise


def _details(error: ConfigError | PolicyError) -> Iterator[tuple[str, str | int]]:
    """Yield codes, lines and keys: no word of the document."""
    if isinstance(error, ConfigError):
        yield "reason", error.reason
        return
    yield "reason", "POLICY_MALFORMED"
    yield "document", error.document
    if error.line is not None:
        yield "line", error.line
