"""One stretch of an exported log, checked by itself: many are checked at once, and joined in order by ``export``."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from heldout.errors import VerificationError
from heldout.verification.entry import Entry, parse_entry
from heldout.verification.history import DECIDED_BY, OK, CallGroup, History
from heldout.verification.leaf_fields import Call, Fields, read_fields
from heldout.verification.log_folder import read_bundle, read_tile
from heldout.verification.merkle import HASH_BYTES, peaks_of, root_of
from heldout.verification.tiles import TILE_WIDTH, tile_path

SEGMENT_LEAVES: Final = 64 * TILE_WIDTH
HOUR_S: Final = 3600
_OK: Final = json.dumps(OK).encode()


@dataclass(slots=True)
class Segment:
    """Hold what the check of one stretch found, and what only its neighbours can decide.

    Attributes:
        fault: the first thing that does not hold: the index of the leaf, and what.
        tiles: roots of the full tiles of level 0.
        peaks: by asked size within the stretch, the peaks of the leaves behind the last full tile before it.
        counters: by identity, index and number of its first intent here, and of its last.
        damaged: by index, the hash of each leaf whose bytes are lost; a later event has to name it.
        gaps: where numbers of an identity are missing: index of the intent, of the one before it, its number, and the
            number that comes next. A damaged intent leaves such a gap.
        open: intents without an outcome here, by index.
        strays: outcomes that name no open intent here: index, the index that they name, and the call.
    """

    start: int
    stop: int
    fault: tuple[int, str] | None = None
    tiles: list[bytes] = field(default_factory=list)
    peaks: dict[int, tuple[bytes, ...]] = field(default_factory=dict)
    counters: dict[str, tuple[int, int, int, int]] = field(default_factory=dict)
    damaged: dict[int, bytes] = field(default_factory=dict)
    gaps: list[tuple[int, int, int, int]] = field(default_factory=list)
    open: dict[int, Call] = field(default_factory=dict)
    strays: list[tuple[int, int | None, Call]] = field(default_factory=list)
    intents: int = 0
    outcomes: int = 0
    history: History = field(default_factory=History)


def check_segment(folder: Path, *, start: int, stop: int, sizes: frozenset[int]) -> Segment:
    """Check the leaves from ``start`` up to ``stop`` as far as they tell by themselves.

    Args:
        folder: of the exported log.
        start: index of the first leaf, a multiple of 256.
        stop: index behind the last: a multiple of 256, or the size of the log.
        sizes: of trees whose roots are to be known.
    """
    segment = Segment(start, stop)
    reader = _Reader(segment)
    first = start
    try:
        for first in range(start, stop, TILE_WIDTH):
            leaves = _check_bundle(folder, segment, first=first, width=min(TILE_WIDTH, stop - first), sizes=sizes)
            reader.add(leaves, first=first)
    except VerificationError as error:
        segment.fault = (reader.index or first, str(error))
    reader.finish()
    return segment


def _check_bundle(folder: Path, segment: Segment, *, first: int, width: int, sizes: frozenset[int]) -> list[bytes]:
    """Hash the leaves of a bundle, hold the tile above them against it, and return them.

    Raises:
        VerificationError: the bundle or the tile is missing or malformed, or they do not belong together.
    """
    leaves = read_bundle(folder, number=first // TILE_WIDTH, width=width)
    hashes = [sha256(b"\x00" + leaf).digest() for leaf in leaves]
    path = tile_path(0, first // TILE_WIDTH, width)
    tile = read_tile(folder, path, size_bytes=width * HASH_BYTES)
    if b"" in leaves:
        segment.damaged |= _put_in(hashes, leaves, tile, first=first)
    if tile != b"".join(hashes):
        same = (one == tile[n * HASH_BYTES : (n + 1) * HASH_BYTES] for n, one in enumerate(hashes))
        wrong = next((n for n, whole in enumerate(same) if not whole), len(hashes))
        raise VerificationError(f"entry {first + wrong} is not what {path} has the hash of")
    if width == TILE_WIDTH:
        segment.tiles.append(root_of(hashes))
    for size in sizes:
        if first < size <= first + width and size % TILE_WIDTH:
            segment.peaks[size] = peaks_of(hashes[: size - first])
    return leaves


def _put_in(hashes: list[bytes], leaves: list[bytes], tile: bytes, *, first: int) -> dict[int, bytes]:
    """Take the hash of each empty leaf from the tile instead, and return those hashes by index."""
    damaged = {}
    for place, leaf in enumerate(leaves):
        if not leaf:
            hashes[place] = tile[place * HASH_BYTES : (place + 1) * HASH_BYTES]
            damaged[first + place] = hashes[place]
    return damaged


class _Reader:
    """Read leaves in order and count what they say."""

    def __init__(self, segment: Segment) -> None:
        self.index = 0
        self._segment = segment
        self._period = -1
        self._counters: dict[bytes, list[int]] = {}
        self._groups: dict[tuple[object, ...], list[int]] = {}
        self._endings: dict[tuple[bytes, bytes, bytes, bytes | None], int] = {}
        self._hours: dict[tuple[int, bool], int] = {}
        self._events: list[Entry] = []

    def add(self, leaves: list[bytes], *, first: int) -> None:
        """Take the leaves of the next bundle.

        Raises:
            VerificationError: one is no entry, or does not follow from those before it.
        """
        for index, leaf in enumerate(leaves, start=first):
            self.index = index
            if not leaf:
                continue  # damaged; see check_segment
            fields = read_fields(leaf, index)
            if fields.kind == b"intent":
                self._begin(fields, index)
            elif fields.kind == b"outcome":
                self._end(fields, index)
            else:
                event = parse_entry(leaf, index=index)
                self._events.append(event)
                if event.name in DECIDED_BY:
                    self._period = index
        self.index = 0

    def finish(self) -> None:
        """Write what was counted into the segment."""
        segment = self._segment
        segment.counters = {_word(raw): (seen[0], seen[1], seen[2], seen[3]) for raw, seen in self._counters.items()}
        hours: dict[int, tuple[int, int]] = {}
        for (hour, well), number in self._hours.items():
            before = hours.get(hour, (0, 0))
            hours[hour] = (before[0] + number, before[1]) if well else (before[0], before[1] + number)
        segment.history = History(
            events=tuple(self._events),
            calls=tuple(_group(key, seen) for key, seen in self._groups.items()),
            endings={(_word(a), _word(b), _word(c), _word(d)): n for (a, b, c, d), n in self._endings.items()},
            hours=hours,
        )

    def _begin(self, fields: Fields, index: int) -> None:
        identity = fields.call.identity
        seen = self._counters.get(identity)
        if seen is None:
            self._counters[identity] = [index, fields.call.counter, index, fields.call.counter]
        else:
            if fields.call.counter != seen[3] + 1:
                self._segment.gaps.append((index, seen[2], fields.call.counter, seen[3] + 1))
            seen[2], seen[3] = index, fields.call.counter
        self._segment.intents += 1
        self._segment.open[index] = fields.call
        key = (self._period, *fields.call[:3], *fields.decided)
        group = self._groups.get(key)
        if group is None:
            self._groups[key] = [1, index, index, fields.time_s, fields.time_s]
        else:
            group[0] += 1
            group[2] = index
            group[4] = fields.time_s

    def _end(self, fields: Fields, index: int) -> None:
        named = fields.intent
        intent = None if named is None else self._segment.open.pop(named, None)
        if intent is None:
            self._segment.strays.append((index, named, fields.call))
        elif not intent.is_ended_by(fields.call):
            raise VerificationError(other_call_message(index))
        self._segment.outcomes += 1
        ending = (fields.call.identity, fields.call.role, fields.call.name, fields.status)
        self._endings[ending] = self._endings.get(ending, 0) + 1
        hour = (fields.time_s // HOUR_S, fields.status == _OK)
        self._hours[hour] = self._hours.get(hour, 0) + 1


def _word(raw: bytes | None) -> str:
    """Return the word that some JSON holds; a number or a list as it is written; nothing for nothing."""
    value = "" if raw is None else json.loads(raw)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _group(key: tuple[Any, ...], seen: list[int]) -> CallGroup:
    period, name, identity, role, decision, rules, policy_digest = key
    named = None if rules is None else json.loads(rules)
    return CallGroup(
        period=period,
        identity=_word(identity),
        role=_word(role),
        name=_word(name),
        decision=_word(decision),
        rules=tuple(named) if isinstance(named, list) else (),
        policy_digest=_word(policy_digest),
        calls=seen[0],
        first=seen[1],
        last=seen[2],
        first_s=seen[3],
        last_s=seen[4],
    )


def other_call_message(index: int) -> str:
    """Say that an outcome is not of the intent that it names."""
    return f"entry {index} ends another call than the intent that it names"
