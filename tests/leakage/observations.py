"""What can be seen of a call, and how two such sights differ."""

import dataclasses

from recorded_channel import Told


@dataclasses.dataclass(frozen=True, kw_only=True)
class Observed:
    """Hold all that a call shows: to its caller, in the log of the process, and in the metrics.

    Attributes:
        told: everything that came back.
        lines: log lines that were written since the last call.
        figures: every metric series as it stands after the call.
    """

    told: Told
    lines: tuple[str, ...]
    figures: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Difference:
    """Say where two sights differ, and what each shows there."""

    channel: str
    first: object
    second: object


def differences(first, second):
    """Return where two sights differ, each channel once: no byte may, and so no size."""
    one, other = first.told, second.told
    channels = {
        "status": (one.status, other.status),
        "details": (one.details, other.details),
        "number of messages": (len(one.bodies), len(other.bodies)),
        "size of a body": (tuple(map(len, one.bodies)), tuple(map(len, other.bodies))),
        "body": (one.bodies, other.bodies),
        "initial metadata": (one.initial, other.initial),
        "trailing metadata": (one.trailing, other.trailing),
        "log lines": (first.lines, second.lines),
        "metric series": (first.figures, second.figures),
    }
    return [Difference(name, *pair) for name, pair in channels.items() if pair[0] != pair[1]]


def describe(found):
    """Return one line a difference, of what stands on one side alone."""
    return "\n".join(
        f"  {one.channel}: {_only(one.first, one.second)} / {_only(one.second, one.first)}" for one in found
    )


def _only(mine, others):
    if isinstance(mine, tuple) and isinstance(others, tuple):
        return [one for one in mine if one not in others][:3]
    return mine
