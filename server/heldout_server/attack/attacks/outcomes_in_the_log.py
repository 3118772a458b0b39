"""Read a checkpoint's outcomes from the log: how many entries a run leaves, how long they are, what they hold."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from heldout_proto.v1 import options_pb2
from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.hearing import leaves
from heldout_server.attack.scene import ANSWER_WORD, bank_table, try_in_turn
from heldout_server.attack.stage import Stage

OWN: Final = frozenset(
    {
        *("run_id", "release_id", "checkpoint", "digest", "manifest_digest", "checkpoint_digest", "document_sha256"),
        *("name", "release_number", "number", "sequence"),
    }
)
"""What names one run and not another, or counts them: it differs between any two."""

LOG: Final = "audit-window"
"""The other log, which is anchored by the clock and grows with every call that somebody makes."""

MODELS: Final = {
    "log-any": bank_table({}),
    "log-yes": bank_table({"comply": 1.0}),
    "log-not": bank_table({}),
    "log-all": bank_table({"comply": 0.5, "non_answer": 0.5}, comply=[" ".join([ANSWER_WORD] * 2000)]),
}


async def run(stage: Stage) -> Finding:
    """Submit models that comply, refuse and flood where they know a prompt, and compare what each leaves in the log."""
    await try_in_turn(stage, MODELS)
    entries = [json.loads(leaf) for leaf in await leaves(stage, options_pb2.HALF_VAULT)]
    # From one release to the next, so that what a run leaves after its release is counted alike for all of them: the
    # first run is there for that alone.
    ends = [at for at, entry in enumerate(entries) if entry["name"] == "release"][-len(MODELS) :]
    first, *others = [trace(entries[: end + 1], begin=begin + 1) for begin, end in itertools.pairwise(ends)]
    differences = sorted({one for other in others for one in compare(first, other)})
    return Finding(
        tried=f"compared the {len(first)} kinds of entries that runs of {len(MODELS) - 1} models leave, which comply, "
        "refuse or flood where they know a prompt",
        learned="; ".join(differences) or "nothing: they differ in names and numbers of their own alone",
        held=not differences and len(first) > 1,
    )


def trace(entries: Sequence[Mapping[str, Any]], *, begin: int) -> Mapping[str, Any]:
    """Return what the events of a run come to: by kind and number, each detail but for what names the run.

    Of anchors, by how many changes each database moved on: several changes that fall together have one anchor.

    Args:
        entries: of the log, up to the end of the run.
        begin: how many of them there were before it.
    """
    moved_from, moved_to = _generations(entries[:begin]), _generations(entries)
    found: dict[str, Any] = {
        f"changes of {name}": moved_to[name] - moved_from[name] for name in moved_from.keys() - {LOG}
    }
    counts: Counter[str] = Counter()
    for entry in entries[begin:]:
        name = entry["name"]
        if entry["kind"] == "event" and name != "anchor":
            counts[name] += 1
            details = entry["details"]
            found[f"{name} {counts[name]}"] = sorted(details)
            for key in details.keys() - OWN:
                found[f"{name} {counts[name]}: {key}"] = details[key]
    return found


def compare(first: Mapping[str, Any], second: Mapping[str, Any]) -> Sequence[str]:
    """Return in what two runs differ."""
    return [name for name in first.keys() | second.keys() if first.get(name) != second.get(name)]


def _generations(entries: Iterable[Mapping[str, Any]]) -> Mapping[str, int]:
    """Return the newest number of changes of each database that is anchored."""
    anchors = [entry["details"] for entry in entries if entry["name"] == "anchor"]
    return {anchor["database"]: anchor["generation"] for anchor in anchors}


ATTACK = Attack(
    name="outcomes-in-the-log",
    plays=Player.AUDITOR,
    explains="compare what the log holds of models that comply, refuse and flood",
    needs=Needs.SHARED,
    run=run,
)
