"""The release desk: the only place where something becomes public.

**Taking a slot**, before a run starts and anybody has seen an outcome, in one transaction (:mod:`.slots`): the next
number of the epoch, the tables of that release with their widths, the debit of every unit, and the draft of the
document. Either all of it is durable, or the run does not start.

**Publishing**, when the run is complete and its slot has come: before that nothing is published. No transaction spans
two SQLite files in WAL mode, so each step is durable before the next, and a crash anywhere is carried on from the step
that was reached:

1.  Aggregate the outcomes, draw the noise once, and store the exact bytes of the document (``pending``). Of a run
    that was cancelled, or whose epoch a restore closed, no outcome is read and no noise drawn: its document has no
    table, and says ``cancelled``. What was restored may have been released already, with other noise.
2.  Append a leaf with their digest to the vault's log, under a signed tree head, and store its proof (``logged``).
3.  Insert document and proof into ``published.db``, by release id. Where policy asks for a witness, only once a head
    over that leaf was cosigned lately, and with the proof that leads to it; until then the release waits here.
4.  Refresh the standing budget, move the run to ``published``, then the slot.

After a crash between the log's write and ours in step 2 the leaf is found in the log, behind the newest anchor of
``releases.db``, and not appended again. A crash in step 1 before the bytes are stored draws noise anew; what was drawn
before was stored nowhere and seen by nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import structlog

from heldout_policy.atoms import Gap, find_gaps
from heldout_policy.mechanism import Side
from heldout_policy.release_policy import ReleasePolicy
from heldout_proto.v1 import findings_pb2
from heldout_server.anchored_database import AnchoredDatabase
from heldout_server.anchoring import Anchor
from heldout_server.domain import PLAIN, Intent, Run, RunState
from heldout_server.errors import ConfigError, InvalidRequest, NotFound, WrongState
from heldout_server.ports.audit import AuditLog, Logged, Record
from heldout_server.ports.bank import Memberships
from heldout_server.ports.environment import Clock, Ids, Noise
from heldout_server.ports.keys import KeyRing
from heldout_server.ports.outcomes import OutcomeCounts
from heldout_server.ports.release import BudgetState, EpochGate
from heldout_server.ports.window import Publisher
from heldout_server.release import ledger
from heldout_server.release.aggregation import aggregate
from heldout_server.release.atoms import released_before
from heldout_server.release.budget import standing_budget
from heldout_server.release.document import budget_document, finish_cancelled, finish_release
from heldout_server.release.grants import count_taken
from heldout_server.release.ledger import Slot, SlotState
from heldout_server.release.logged import find_release, release_record
from heldout_server.release.slots import take_slot

BUDGET_STATE = "budget"

_log = structlog.get_logger("release")


class SqlReleaseDesk:
    """Take slots, debit the ledger and publish, with all of it in ``releases.db``."""

    def __init__(
        self,
        database: AnchoredDatabase,
        *,
        clock: Clock,
        ids: Ids,
        noise: Noise,
        policy: ReleasePolicy,
        policy_digest: str,
        memberships: Memberships,
        outcomes: OutcomeCounts,
        audit: AuditLog,
        publisher: Publisher,
    ) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._noise = noise
        self._policy = policy
        self._policy_digest = policy_digest
        self._memberships = memberships
        self._outcomes = outcomes
        self._audit = audit
        self._publisher = publisher
        self._publishing = asyncio.Lock()  # so that two calls about one release do not both draw noise
        self._refreshing = asyncio.Lock()

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        keys: KeyRing,
        clock: Clock,
        ids: Ids,
        noise: Noise,
        policy: ReleasePolicy,
        policy_digest: str,
        memberships: Memberships,
        outcomes: OutcomeCounts,
        audit: AuditLog,
        publisher: Publisher,
        anchor: Anchor | None = None,
    ) -> SqlReleaseDesk:
        """Open the room's database, or create it.

        Args:
            path: ``releases.db``; its folder must exist.
            keys: for the key of the database ``releases``.
            clock: tells when a release is published.
            ids: names releases.
            noise: drawn from once a published table.
            policy: the policy in force.
            policy_digest: hex SHA-256 of its document; a run whose manifest names another gets no slot.
            memberships: who is in an epoch.
            outcomes: what came of a run, counted.
            audit: the vault's log.
            publisher: where releases appear.
            anchor: holds the database to the vault's log.

        Raises:
            StorageError: the file cannot be opened, or not with this key.
            IntegrityError: it was written by a newer version, or is not what the log says.
        """
        return cls(
            AnchoredDatabase.open(
                path, keys.database_key("releases"), ledger.MIGRATIONS, content=ledger.CONTENT, anchor=anchor
            ),
            clock=clock,
            ids=ids,
            noise=noise,
            policy=policy,
            policy_digest=policy_digest,
            memberships=memberships,
            outcomes=outcomes,
            audit=audit,
            publisher=publisher,
        )

    def close(self) -> None:
        """Close the room's database, after what was begun."""
        self._database.close()

    async def adopt_policy(self) -> None:
        """Hold the appliance to the policy that it was opened with, once and for all: no earlier one comes back.

        Raises:
            ConfigError: a later policy, or another of the same version, was in force. Nothing was changed.
            StorageError: the database or the log cannot be written.
        """
        version, digest = self._policy.version, self._policy_digest
        details = {"version": version, "profile": self._policy.profile.value, "digest": digest}
        try:
            changed = await self._database.write(
                lambda connection: ledger.adopt_policy(connection, version=version, digest=digest)
            )
        except ConfigError as error:
            refusal = {**details, "reason": error.reason}
            await self._audit.append(Record(kind="event", name="policy_refused", details=refusal))
            raise
        if changed:
            await self._audit.append(Record(kind="event", name="policy", details=details))

    async def reserve(self, run: Run) -> int:
        """Debit every unit of the run's epoch for one release and return its 1-based number. Idempotent by run.

        Raises:
            BudgetExhausted: a unit, the epoch, the line or the reserve has too little left; nothing is debited then.
            WrongState: the run is past its start, its manifest was written under another policy, its line is granted
                no release, or it is an anchor that ties nothing.
            InvalidRequest: its plan lacks the plain cell, in which benign prompts are tried.
            NotFound: there is no such epoch.
        """
        number = await self._take(run)
        # Now, and not when it is published, hours later: whoever asks for the next run sees what is left.
        await self.refresh_budget()
        return number

    async def _take(self, run: Run) -> int:
        taken = await self._find(run.run_id)
        if taken is not None:
            await self._database.anchor()  # a caller that went away may have left it out of the log
            return taken.number
        if run.state is not RunState.PROPOSED:
            raise WrongState(f"{run.run_id} is {run.state}: a slot is taken before the start", reason="NOT_PROPOSED")
        if run.manifest.policy_digest != self._policy_digest:
            raise WrongState(f"{run.run_id} was proposed under another policy", reason="POLICY_CHANGED")
        if PLAIN not in run.manifest.techniques:
            raise InvalidRequest(f"{run.run_id} has no plain cell", reason="PLAIN_MISSING")
        numbers = {epoch.epoch_id: epoch.number for epoch in await self._memberships.epochs()}
        if run.manifest.epoch_id not in numbers:
            raise NotFound("no such epoch")
        epochs = {epoch_id for epoch_id, _ in await self._database.read(ledger.list_drafts)} | {run.manifest.epoch_id}
        members = {epoch_id: await self._memberships.members(epoch_id) for epoch_id in sorted(epochs)}
        release_id = self._ids.new("release")
        return await self._database.write(
            lambda connection: take_slot(
                connection,
                run=run,
                release_id=release_id,
                epoch_number=numbers[run.manifest.epoch_id],
                policy=self._policy,
                members=members,
            )
        )

    async def epoch_gate(self) -> EpochGate:
        """Return what decides, by memberships alone, whether an epoch is far enough from all that was released.

        Raises:
            StorageError: the ledger cannot be read.
        """
        drafts = await self._database.read(ledger.list_drafts)
        members = {epoch_id: await self._memberships.members(epoch_id) for epoch_id in {one for one, _ in drafts}}
        before = released_before((draft for _, draft in drafts), members)

        def gate(units: Mapping[Intent, frozenset[str]]) -> tuple[Gap, ...]:
            offered = {Side(intent): names for intent, names in units.items()}
            return find_gaps(before, offered, minimum=self._policy.minimum_units_per_cell)

        return gate

    async def has_slot(self, run_id: str) -> bool:
        """Say whether a run took a slot."""
        return await self._find(run_id) is not None

    async def publish(self, run_id: str) -> None:
        """Publish a complete run in the four steps above. Idempotent; noise is drawn once.

        Raises:
            NotFound: there is no such run.
            WrongState: the run is not complete or not due, or it has no slot.
            StorageError: a step could not be made durable; :meth:`carry_on` goes on from there.
        """
        async with self._publishing:
            run = await self._outcomes.get(run_id)
            slot = await self._find(run_id)
            if slot is None:
                raise WrongState(f"{run_id} has no slot", reason="NO_SLOT")
            if slot.state is SlotState.RESERVED and run.state is not RunState.COMPLETE:
                raise WrongState(f"{run_id} is {run.state}", reason="NOT_COMPLETE")
            if self._policy.schedule.is_planned and self._clock.now_s() < run.publishes_s:
                raise WrongState(f"{run_id} is not due before its slot", reason="NOT_DUE")
            await self._go_on(run, slot, since=self._database.position.leaf)

    async def carry_on(self) -> None:
        """Finish what a crash interrupted: every release that is pending. Then refresh the standing budget.

        One whose run is gone, since an older copy of the outcomes was accepted, stays as it is.
        """
        async with self._publishing:
            since = self._database.position.leaf
            for slot in await self._database.read(ledger.unfinished_slots):
                try:
                    run = await self._outcomes.get(slot.run_id)
                except NotFound:
                    _log.error("release_without_run", release_id=slot.release_id, run_id=slot.run_id)
                    continue
                await self._go_on(run, slot, since=since)
            await self.refresh_budget()

    async def budget(self, epoch_id: str) -> BudgetState:
        """Say what is left, from policy and membership alone.

        Raises:
            NotFound: there is no such epoch.
        """
        units = ledger.units_by_side(await self._memberships.members(epoch_id))
        drafts, spent, closed = await self._database.read(
            lambda connection: (
                [draft for _, draft in ledger.list_drafts(connection)],
                ledger.spent_by_unit(connection),
                ledger.is_closed(connection, epoch_id),
            )
        )
        return standing_budget(
            self._policy,
            epoch_id=epoch_id,
            units=units,
            spent=spent,
            taken=count_taken(drafts, epoch_id=epoch_id),
            closed=closed,
        )

    async def refresh_budget(self) -> None:
        """Publish what the newest epoch has left, known from policy and membership alone; nothing before the first."""
        async with self._refreshing:  # what was read earlier is not published later
            epochs = await self._memberships.epochs()
            if epochs:
                state = await self.budget(epochs[-1].epoch_id)
                document = budget_document(state, policy_digest=self._policy_digest)
                await self._publisher.put_state(BUDGET_STATE, document)

    async def _find(self, run_id: str) -> Slot | None:
        return await self._database.read(lambda connection: ledger.find_slot(connection, run_id))

    async def _go_on(self, run: Run, slot: Slot, *, since: int) -> None:
        """Take a release from the step it has reached to the last.

        Args:
            run: what is released.
            slot: of the run.
            since: leaf of the newest anchor of ``releases.db``; what a crash cut off in step 2 stands behind it.
        """
        logged = None
        if slot.state is SlotState.PENDING:
            logged = await find_release(self._audit, slot, start=max(0, since))
        # (1) aggregate, draw the noise once, store the exact bytes
        if slot.state is SlotState.RESERVED:
            slot = await self._sample(run, slot)
        # (2) the vault's log
        if slot.state is SlotState.PENDING:
            slot = await self._keep_receipt(slot, logged or await self._audit.append(release_record(slot, run)))
        # (3) the window
        if slot.state is SlotState.LOGGED:
            receipt = await self._witnessed(slot)
            if receipt is None:
                return  # until a witness has cosigned its leaf: carry_on goes on from here
            await self._publisher.insert(slot.release_id, slot.document, receipt)
            # (4) the standing budget and the run first: the slot is what is carried on from
            await self.refresh_budget()
            if run.state is RunState.COMPLETE:
                await self._outcomes.move(run.run_id, expected=RunState.COMPLETE, state=RunState.PUBLISHED)
            await self._database.write(lambda connection: ledger.store_published(connection, slot.release_id))

    async def _sample(self, run: Run, slot: Slot) -> Slot:
        closed = await self._database.read(lambda connection: ledger.is_closed(connection, slot.epoch_id))
        document = await (self._say_cancelled(slot) if run.cancelled or closed else self._say_figures(run, slot))
        return await self._database.write(
            lambda connection: ledger.store_document(connection, slot.release_id, document)
        )

    async def _say_cancelled(self, slot: Slot) -> bytes:
        """Return a document without figures: no outcome is read, and no noise drawn."""
        return finish_cancelled(slot.draft, published_s=self._published_s())

    async def _say_figures(self, run: Run, slot: Slot) -> bytes:
        members = await self._memberships.members(slot.epoch_id)
        counts = await self._outcomes.counts(run.run_id)
        published_s = self._published_s()

        def finish() -> bytes:
            sums = aggregate(counts, members=members, manifest=run.manifest)
            return finish_release(slot.draft, sums=sums, noise=self._noise, published_s=published_s)

        return await asyncio.to_thread(finish)  # a second for a million counts: others are answered meanwhile

    def _published_s(self) -> int:
        return self._policy.schedule.last_slot(self._clock.now_s())

    async def _keep_receipt(self, slot: Slot, logged: Logged) -> Slot:
        receipt = findings_pb2.Receipt(entry=logged.entry, proof=logged.proof).SerializeToString(deterministic=True)
        return await self._database.write(lambda connection: ledger.store_receipt(connection, slot.release_id, receipt))

    async def _witnessed(self, slot: Slot) -> bytes | None:
        """Return the receipt to publish; where policy asks for a witness, under a head that one cosigned lately."""
        if self._policy.witness is None:
            return slot.receipt
        receipt = findings_pb2.Receipt.FromString(slot.receipt)
        index = int(receipt.proof.split("\n", 2)[1].removeprefix("index "))  # c2sp.org/tlog-proof: the second line
        proof = await self._audit.cosigned_proof(index)
        if proof is None:
            _log.info("release_waits_for_witness", release_id=slot.release_id)
            return None
        receipt.proof = proof
        return receipt.SerializeToString(deterministic=True)
