"""Read ``[limits]`` of ``config.toml``: how often one identity may call one method, by its role.

::

    [limits]
    trainer = { per_s = 20.0, burst = 1000 }
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from heldout_server.config.reader import Reader

MOST_PER_S: Final = 100_000
MOST_BURST: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Say how often something may happen.

    Attributes:
        per_s: times a second, over a long time.
        burst: times at once, after a rest.
    """

    per_s: float
    burst: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """``[limits]``: calls of one identity to one method, by its role.

    Who watches a run asks about it again and again, and who audits reads page after page; nobody else is in a hurry.
    """

    trainer: Rate = Rate(per_s=20, burst=1000)
    bank_tester: Rate = Rate(per_s=100, burst=2000)
    run_tester: Rate = Rate(per_s=20, burst=1000)
    auditor: Rate = Rate(per_s=100, burst=2000)
    operator: Rate = Rate(per_s=20, burst=1000)
    key_holder: Rate = Rate(per_s=1, burst=20)


def read_limits(reader: Reader) -> Limits:
    """Read ``[limits]``.

    Raises:
        ConfigError: a rate has an unknown key, is malformed or out of range.
    """
    default = Limits()
    return Limits(**{one.name: _rate(reader, one.name, getattr(default, one.name)) for one in fields(Limits)})


def _rate(reader: Reader, role: str, default: Rate) -> Rate:
    table = reader.subtable("limits", role)
    section = f"limits.{role}"
    table.refuse_unknown({section: {field.name for field in fields(Rate)}})
    return Rate(
        per_s=table.number(section, "per_s", low=0.001, high=MOST_PER_S, default=default.per_s),
        burst=table.integer(section, "burst", low=1, high=MOST_BURST, default=default.burst),
    )
