"""The offline check of everything that an exported log claims.

``heldout audit export`` writes a log into a folder from what the server lists; ``heldout audit verify`` reads it and
believes nothing but the log's verifier key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from heldout.errors import VerificationError
from heldout.verification.entry import RELEASE, REPAIR, Entry
from heldout.verification.history import History, join_histories
from heldout.verification.leaf_fields import Call
from heldout.verification.log_folder import read_checkpoint, read_tile
from heldout.verification.note import Checkpoint, VerifierKey, open_checkpoint
from heldout.verification.segment import Segment, other_call_message
from heldout.verification.tiles import TILE_WIDTH, Tile, UpperTiles
from heldout.verification.workers import check_segments


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """Say what a log holds that was found to be whole.

    Attributes:
        origin: the log's name.
        size: entries.
        root: hex root of the tree that was signed.
        intents, outcomes, events: entries of each kind; they sum to ``size``.
        open_intents: indices of the intents that no outcome names: calls under way, or cut off.
        counters: number of the last intent of each identity; there is no gap below it.
        releases: the publications, in order.
        earlier_heads: how many earlier heads this log was found to continue.
        damaged: indices of the entries whose bytes are lost; a repair that the log records names each by its hash.
        history: what happened in it.
    """

    origin: str
    size: int
    root: str
    intents: int
    outcomes: int
    events: int
    open_intents: tuple[int, ...]
    counters: Mapping[str, int]
    releases: tuple[Entry, ...]
    earlier_heads: int
    damaged: tuple[int, ...] = ()
    history: History = field(default_factory=History)


def verify_export(
    folder: Path, vkey: str, *, earlier: Sequence[str] = (), processes: int | None = None
) -> ExportReport:
    """Check an exported log from its leaves up.

    1. The checkpoint, and each earlier one, is signed by the log.
    2. The leaves hash to the signed root, and at each earlier size to the earlier root: nothing was changed since.
    3. The hash tiles are those of the leaves.
    4. Each leaf is an entry in canonical form.
    5. The intents of each identity are numbered from 1 without a gap.
    6. Each outcome names an earlier intent of the same call and identity, and no two name one.
    7. Where the bytes of a leaf are lost, the log itself says so later, by its hash; what is then missing under (5) and
       (6) is no more than that leaf explains.

    Args:
        folder: where it was exported to.
        vkey: the log's verifier key.
        earlier: signed checkpoints that the log gave out before, of any size up to that of the export.
        processes: how many share the work; as many as the log is worth and there are processors for if None.

    Raises:
        VerificationError: one of these does not hold; the message names the first entry or file where.
    """
    # (1) The heads.
    key = VerifierKey.parse(vkey)
    head = open_checkpoint(read_checkpoint(folder), key)
    heads = [open_checkpoint(note, key) for note in earlier]
    roots: dict[int, set[bytes]] = {}
    for each in (head, *heads):
        if each.size > head.size:
            raise VerificationError(f"the log has shrunk: {head.size} entries, and {each.size} were signed before")
        roots.setdefault(each.size, set()).add(each.root)
    # (2) to (7), as far as each segment tells by itself; then joined.
    tree, calls = _Tree(folder, roots), _Calls()
    segments = check_segments(folder, size=head.size, sizes=frozenset(roots), processes=processes)
    for segment in segments:
        tree.add(segment)
        calls.add(segment)
    tree.finish()
    history = join_histories(segment.history for segment in segments)
    calls.finish(history)
    return calls.report(head, earlier_heads=len(heads), history=history)


class _Tree:
    """Follow the tree through the segments: its roots, and its tiles above level 0."""

    def __init__(self, folder: Path, roots: Mapping[int, set[bytes]]) -> None:
        self._folder = folder
        self._roots = roots
        self._upper = UpperTiles()
        self._check_root(0, ())

    def add(self, segment: Segment) -> None:
        """Take the next segment, and check the roots of the trees that end in it."""
        sizes = sorted(segment.peaks)
        for root in segment.tiles:
            size = self._upper.count * TILE_WIDTH
            while sizes and sizes[0] < size + TILE_WIDTH:
                self._check_root(sizes[0], segment.peaks[sizes.pop(0)])
            for tile in self._upper.add(root):
                self._check_tile(tile)
            self._check_root(size + TILE_WIDTH, ())
        for size in sizes:
            self._check_root(size, segment.peaks[size])

    def finish(self) -> None:
        """Check the partial tiles of the whole tree."""
        for tile in self._upper.rest():
            self._check_tile(tile)

    def _check_root(self, size: int, rest: Sequence[bytes]) -> None:
        signed = self._roots.get(size)
        if signed is not None and signed != {self._upper.root(rest)}:
            raise VerificationError(f"the first {size} entries do not hash to the root that was signed")

    def _check_tile(self, tile: Tile) -> None:
        if read_tile(self._folder, tile.path, size_bytes=len(tile.content)) != tile.content:
            raise VerificationError(f"{tile.path} is not of these entries")


class _Calls:
    """Follow the calls through the segments: what was begun, how it ended, and what is damaged."""

    def __init__(self) -> None:
        self._open: dict[int, Call] = {}
        self._last: dict[str, tuple[int, int]] = {}  # index and number of the last intent, by identity
        self._damaged: dict[int, bytes] = {}
        self._unaccounted: set[int] = set()  # damaged leaves that explain no missing number yet
        self._unended: set[int] = set()  # damaged leaves that no outcome names yet
        self._intents = self._outcomes = 0

    def add(self, segment: Segment) -> None:
        """Take the next segment.

        Raises:
            VerificationError: something in it does not hold, or does not follow from those before it.
        """
        self._damaged |= segment.damaged
        self._unaccounted |= segment.damaged.keys()
        self._unended |= segment.damaged.keys()
        faults = [segment.fault] if segment.fault else []
        faults += [*self._counted(segment), *self._ended(segment)]
        if faults:
            raise VerificationError(min(faults)[1])
        self._open |= segment.open
        self._intents += segment.intents
        self._outcomes += segment.outcomes

    def finish(self, history: History) -> None:
        """Check that each damaged leaf is one that the log itself names as such, later, and by its hash.

        Raises:
            VerificationError: one is not.
        """
        named = {
            (event.details.get("leaf"), event.details.get("leaf_hash"))
            for event in history.named(REPAIR)
            if event.details.get("damage") == "entry" and event.index > _number(event.details.get("leaf"))
        }
        for index, leaf_hash in self._damaged.items():
            if (index, leaf_hash.hex()) not in named:
                raise VerificationError(f"entry {index} is empty, and no repair that the log records names it")

    def report(self, head: Checkpoint, *, earlier_heads: int, history: History) -> ExportReport:
        """Say what was found."""
        return ExportReport(
            origin=head.origin,
            size=head.size,
            root=head.root.hex(),
            intents=self._intents,
            outcomes=self._outcomes,
            events=len(history.events),
            open_intents=tuple(self._open),
            counters={identity: number for identity, (_, number) in self._last.items()},
            releases=history.named(RELEASE),
            earlier_heads=earlier_heads,
            damaged=tuple(self._damaged),
            history=history,
        )

    def _counted(self, segment: Segment) -> list[tuple[int, str]]:
        """Go on counting, and return what does not follow."""
        gaps = list(segment.gaps)
        for identity, (index, first, last_index, last) in segment.counters.items():
            before, number = self._last.get(identity, (-1, 0))
            if first != number + 1:
                gaps.append((index, before, first, number + 1))
            self._last[identity] = (last_index, last)
        return [
            (index, f"entry {index} is intent {number} of its identity, and {expected} comes next")
            for index, before, number, expected in sorted(gaps)
            if not self._explain(number - expected, after=before, before=index)
        ]

    def _explain(self, missing: int, *, after: int, before: int) -> bool:
        """Say whether so many numbers are missing because intents in between are damaged; each explains one."""
        between = [index for index in sorted(self._unaccounted) if after < index < before]
        if not 0 < missing <= len(between):
            return False
        self._unaccounted.difference_update(between[:missing])
        return True

    def _ended(self, segment: Segment) -> list[tuple[int, str]]:
        """End the calls of earlier segments, and return the outcomes that end none."""
        faults = []
        for index, named, call in segment.strays:
            if named in self._unended and named < index:
                self._unended.remove(named)
                continue
            intent = None if named is None else self._open.pop(named, None)
            if intent is None:
                faults.append((index, f"entry {index} names no open intent before it"))
            elif not intent.is_ended_by(call):
                faults.append((index, other_call_message(index)))
        return faults


def _number(value: object) -> int:
    return value if isinstance(value, int) else -1
