"""The door of the outcomes: :class:`heldout_server.ports.outcomes.Outcomes` over one SQLCipher database."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from heldout_server.anchored_database import AnchoredDatabase
from heldout_server.anchoring import Anchor
from heldout_server.database import KEY_BYTES, Connection
from heldout_server.domain import Manifest, Preflight, Run, RunState, SecretText
from heldout_server.errors import InvalidRequest, NotFound, WrongState
from heldout_server.outcomes import runs, standing
from heldout_server.outcomes.counts import VerdictCounts
from heldout_server.outcomes.manifest import encode, manifest_digest
from heldout_server.outcomes.schema import ASIDE_PARTS, CONTENT, MAX_TRIAL, MIGRATIONS, MOVES, VERDICT_CODES
from heldout_server.ports.environment import Clock, Ids
from heldout_server.ports.keys import KeyRing
from heldout_server.ports.outcomes import Aside, JudgedTrial, StandingApproval
from heldout_server.sealing import Sealer, context

ROWS_A_STATEMENT: Final = 256
CACHE_KIB: Final = 4_096
"""Little is read twice here: trials are written once, in order, and read once, for a release."""


class SqlOutcomes:
    """Keep runs and what came of their trials."""

    def __init__(
        self,
        database: AnchoredDatabase,
        *,
        keys: KeyRing,
        ids: Ids,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._database = database
        self._keys = keys
        self._ids = ids
        self._clock = clock
        self._random_bytes = random_bytes
        self._sealers: dict[str, tuple[int, Sealer]] = {}  # by run: its number and its key; on the thread alone

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        keys: KeyRing,
        ids: Ids,
        clock: Clock,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        anchor: Anchor | None = None,
    ) -> SqlOutcomes:
        """Open the outcomes, or create them.

        Args:
            path: the database file; its folder must exist.
            keys: gives the database's key, and wraps the data key of each run.
            ids: invents run ids.
            clock: dates runs.
            random_bytes: draws data keys.
            anchor: holds the database to the vault's log.

        Raises:
            WrongKey: the file is there and this key ring does not open it.
            StorageError: the disk or the file fails.
            IntegrityError: the file was written by a newer version, or is not what the log says.
        """
        key = keys.database_key("outcomes")
        database = AnchoredDatabase.open(path, key, MIGRATIONS, content=CONTENT, anchor=anchor, cache_kib=CACHE_KIB)
        return cls(database, keys=keys, ids=ids, clock=clock, random_bytes=random_bytes)

    def close(self) -> None:
        """Wait for what was begun, then close the file."""
        self._database.close()

    async def create(self, manifest: Manifest, *, planned_trials: int, submitted: bool = False) -> Run:
        """Record a proposed run, with a data key of its own, and return it.

        Args:
            manifest: what is tested.
            planned_trials: trials that the plan holds.
            submitted: the appliance proposes it by itself.

        Raises:
            InvalidRequest: a number in the manifest is not finite.
        """
        run_id = self._ids.new("run")
        wrapped = self._keys.wrap(self._random_bytes(KEY_BYTES), purpose=_purpose(run_id))
        state, created_s = RunState.PROPOSED.value, int(self._clock.now_s())
        digest = manifest_digest(manifest)
        row = (run_id, encode(manifest), digest, state, created_s, planned_trials, wrapped, int(submitted))

        def work(connection: Connection) -> Run:
            connection.execute(
                "INSERT INTO run (run_id, manifest, digest, state, created_s, planned_trials, wrapped_key,"
                " submitted) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )
            return runs.read_run(connection, run_id)

        return await self._database.write(work)

    async def get(self, run_id: str) -> Run:
        """Return a run.

        Raises:
            NotFound: there is no such run.
            IntegrityError: its manifest is not what was stored.
        """
        return await self._database.read(lambda connection: runs.read_run(connection, run_id))

    async def list(self, *, after: str, limit: int, state: RunState | None = None) -> tuple[Run, ...]:
        """Return up to ``limit`` runs in the order of their creation, those past run ``after`` (all for '').

        Raises:
            InvalidRequest: ``after`` names no run.
        """
        return await self._database.read(
            lambda connection: runs.list_runs(connection, after=after, limit=limit, state=state)
        )

    async def approve(self, run_id: str, *, identity: str, digest: str, template: str = "") -> Run:
        """Record that an identity approves this digest, by a standing approval if ``template`` names one.

        Raises:
            NotFound: there is no such run.
            WrongState: the run is not proposed, or its digest is another.
        """
        return await self._database.write(
            lambda connection: runs.approve_run(connection, run_id, identity=identity, digest=digest, template=template)
        )

    async def put_standing(self, approval: StandingApproval) -> None:
        """Record a standing approval; once, however often it is said."""
        await self._database.write(lambda connection: standing.put_standing(connection, approval))

    async def standing(self) -> tuple[StandingApproval, ...]:
        """Return all standing approvals, oldest first."""
        return await self._database.read(standing.list_standing)

    async def drop_standing(self, template: str) -> None:
        """Take the standing approvals of a template back, and what runs have by them that did not start.

        Raises:
            NotFound: there is none.
        """
        await self._database.write(lambda connection: standing.drop_standing(connection, template))

    async def start(self, run_id: str, *, release_number: int, publishes_s: int = 0) -> Run:
        """Move a proposed run to running; ``publishes_s`` is its slot, or 0 if it publishes on completion.

        Raises:
            NotFound: there is no such run.
            WrongState: it is not proposed.
        """
        started_s = int(self._clock.now_s())
        return await self._database.write(
            lambda connection: runs.start_run(
                connection, run_id, release_number=release_number, started_s=started_s, publishes_s=publishes_s
            )
        )

    async def latest_slot(self) -> int:
        """Return the latest slot that any run was given, in Unix seconds; 0 if none was."""
        return await self._database.read(runs.latest_slot)

    async def move(self, run_id: str, *, expected: RunState, state: RunState) -> Run:
        """Move a run from one state to another: proposed to cancelled, running to complete, complete to published.

        Raises:
            NotFound: there is no such run.
            WrongState: it is not in ``expected``, or there is no such move.
        """
        if (expected, state) not in MOVES:
            raise WrongState(f"no run moves from {expected.value} to {state.value}", reason="NO_SUCH_MOVE")
        return await self._database.write(
            lambda connection: runs.move_run(connection, run_id, expected=expected, state=state)
        )

    async def cancel(self, run_id: str) -> Run:
        """Mark a running run as cancelled, for good; it stays running.

        Raises:
            NotFound: there is no such run.
            WrongState: it is not running.
        """
        return await self._database.write(lambda connection: runs.cancel_run(connection, run_id))

    async def note_preflight(self, run_id: str, report: Preflight) -> None:
        """Keep what came of the harmless questions before a start, in the place of an earlier attempt's.

        Raises:
            NotFound: there is no such run.
        """
        await self._database.write(lambda connection: runs.write_preflight(connection, run_id, report))

    async def preflight(self, run_id: str) -> Preflight | None:
        """Return what came of the harmless questions at the newest attempt to start a run; None if none were asked.

        Raises:
            NotFound: there is no such run.
        """
        return await self._database.read(lambda connection: runs.read_preflight(connection, run_id))

    async def record(self, run_id: str, trials: Sequence[JudgedTrial]) -> None:
        """Seal the responses and store the verdicts, all durable on return. A trial already there is left as it is.

        Raises:
            NotFound: there is no such run.
            WrongState: the run is not running.
            InvalidRequest: the number of a trial is out of range.
        """

        def work(connection: Connection) -> None:
            number, sealer = self._find(connection, run_id)
            state = connection.execute("SELECT state FROM run WHERE number = ?", (number,)).fetchone()[0]
            if state != RunState.RUNNING.value:
                raise WrongState(f"{run_id} is {state}, not running", reason="RUN_STATE")
            once = list({judged.outcome.trial: judged for judged in reversed(trials)}.values())  # the first of each
            places = [_place(number, judged.outcome.trial) for judged in once]
            sealed = sealer.seal_all([(judged.response, _where(run_id, judged.outcome.trial)) for judged in once])
            asides = [
                row
                for judged, place in zip(once, places, strict=True)
                if len(judged.aside.reasoning) or len(judged.aside.tool_calls)
                for row in _seal_aside(judged, sealer, run_id, place)
            ]
            _insert(
                connection,
                "INSERT INTO trial (run, trial, position, cell, verdict) VALUES {} ON CONFLICT (run, trial) DO NOTHING",
                [
                    (number, outcome.trial, outcome.position, outcome.cell, VERDICT_CODES[outcome.verdict])
                    for outcome in (judged.outcome for judged in once)
                ],
            )
            # Before the responses: a trial whose response is there keeps what it had, and had not.
            connection.executemany(
                "INSERT INTO aside (place, part, sealed) SELECT ?1, ?2, ?3"
                " WHERE NOT EXISTS (SELECT 1 FROM response WHERE place = ?1)",
                asides,
            )
            _insert(
                connection,
                "INSERT INTO response (place, sealed) VALUES {} ON CONFLICT (place) DO NOTHING",
                list(zip(places, sealed, strict=True)),
            )

        await self._database.write_aside(work)  # a run's verdicts are anchored as a whole, when it is complete

    async def finished(self, run_id: str) -> frozenset[int]:
        """Return the numbers of the trials that have a verdict.

        Raises:
            NotFound: there is no such run.
        """

        def work(connection: Connection) -> frozenset[int]:
            number, _ = self._find(connection, run_id)
            rows = connection.execute("SELECT trial FROM trial WHERE run = ?", (number,))
            return frozenset(trial for (trial,) in rows)

        return await self._database.read(work)

    async def counts(self, run_id: str) -> VerdictCounts:
        """Return the verdicts counted by prompt and cell, ordered by both.

        Raises:
            NotFound: there is no such run.
            IntegrityError: the run is complete, and they are not those it was completed with.
        """
        return await self._database.read(lambda connection: runs.count_verdicts(connection, run_id))

    async def response(self, run_id: str, trial: int) -> SecretText:
        """Return one response.

        Raises:
            NotFound: there is no such run, or that trial has no verdict.
            IntegrityError: it is not what was sealed.
        """

        def work(connection: Connection) -> SecretText:
            number, sealer = self._find(connection, run_id)
            row = None
            if 0 <= trial <= MAX_TRIAL:
                place = _place(number, trial)
                row = connection.execute("SELECT sealed FROM response WHERE place = ?", (place,)).fetchone()
            if row is None:
                raise NotFound("that trial has no verdict")
            return sealer.open(row[0], _where(run_id, trial))

        return await self._database.read(work)

    async def aside(self, run_id: str, trial: int) -> Aside:
        """Return what came beside the text of a response.

        Raises:
            NotFound: there is no such run, or that trial has no verdict.
            IntegrityError: it is not what was sealed.
        """

        def work(connection: Connection) -> Aside:
            number, sealer = self._find(connection, run_id)
            place = _place(number, trial)
            if connection.execute("SELECT 1 FROM response WHERE place = ?", (place,)).fetchone() is None:
                raise NotFound("that trial has no verdict")
            rows = dict(connection.execute("SELECT part, sealed FROM aside WHERE place = ?", (place,)).fetchall())
            return Aside(
                **{
                    part: sealer.open(rows[number_of_part], _where(run_id, trial, part))
                    for part, number_of_part in ASIDE_PARTS.items()
                    if number_of_part in rows
                }
            )

        return await self._database.read(work)

    def _find(self, connection: Connection, run_id: str) -> tuple[int, Sealer]:
        """Return the number of a run and what seals its responses."""
        found = self._sealers.get(run_id)
        if found is None:
            row = connection.execute("SELECT number, wrapped_key FROM run WHERE run_id = ?", (run_id,)).fetchone()
            if row is None:
                raise NotFound("there is no such run")
            found = (row[0], Sealer(self._keys.unwrap(row[1], purpose=_purpose(run_id))))
            self._sealers[run_id] = found
        return found


def _insert(connection: Connection, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
    """Insert many rows by one statement each :data:`ROWS_A_STATEMENT`, with ``{}`` where its values stand.

    Each step of a statement lets go of the interpreter and waits to have it back: a step a row would hold up this
    thread and the event loop's by turns.
    """
    for start in range(0, len(rows), ROWS_A_STATEMENT):
        part = rows[start : start + ROWS_A_STATEMENT]
        values = ", ".join([f"({', '.join('?' * len(part[0]))})"] * len(part))
        connection.execute(statement.format(values), [value for row in part for value in row])


def _purpose(run_id: str) -> str:
    return f"outcomes-{run_id}"


def _where(run_id: str, trial: int, *part: str) -> bytes:
    return context("outcomes", run_id, trial, *part)


def _seal_aside(judged: JudgedTrial, sealer: Sealer, run_id: str, place: int) -> list[tuple[int, int, bytes]]:
    texts: dict[str, SecretText] = {part: getattr(judged.aside, part) for part in ASIDE_PARTS}
    return [
        (place, ASIDE_PARTS[part], sealer.seal(text, _where(run_id, judged.outcome.trial, part)))
        for part, text in texts.items()
        if len(text)
    ]


def _place(number: int, trial: int) -> int:
    if not 0 <= trial <= MAX_TRIAL:
        raise InvalidRequest("the number of a trial is out of range", reason="TRIAL_RANGE")
    return number * (MAX_TRIAL + 1) + trial
