"""The watcher: from a checkpoint in the source to a run, in order and once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from heldout_server.domain import Checkpoint, CheckpointState
from heldout_server.errors import HeldoutError, RunUnderWay, StorageError
from heldout_server.ports.audit import LOG_FAILED, AuditLog, Record
from heldout_server.ports.checkpoints import Checkpoints

_log = structlog.get_logger()


class Watcher:
    """Look at the source of checkpoints until cancelled.

    Each checkpoint that was noticed goes through three steps, one checkpoint after the other:

    1. it is logged, staged or refused, as the event ``checkpoint``;
    2. if it is staged, ``submit`` is called with it;
    3. it is settled, and never looked at again, in this process or a later one.

    A submission that fails is reported and settled too: trying it again is for people, because a run costs budget that
    is never refunded. Only one that meets a failed disk or database, or has to wait for a run that is under way, is
    made again at the next look. When the process ends between the steps, the next one begins at the first again: the
    event may stand in the log twice, and ``submit`` must itself know a checkpoint that it has already taken.

    Args:
        checkpoints: the registry.
        audit: the vault's log.
        submit: takes a staged checkpoint; idempotent by its name.
        poll_s: seconds between two looks.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        audit: AuditLog,
        submit: Callable[[Checkpoint], Awaitable[None]],
        poll_s: float,
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._checkpoints = checkpoints
        self._audit = audit
        self._submit = submit
        self._poll_s = poll_s
        self._sleep = sleep
        self._recorded: set[str] = set()
        self._told: frozenset[str] = frozenset()

    async def run(self) -> None:
        """Settle what an earlier process left, then look again and again until cancelled.

        Raises:
            StorageError: the log cannot be written. Nothing may go on then.
        """
        await self._settle_pending()
        while True:
            try:
                await self._checkpoints.scan()
            except HeldoutError as error:
                if error.reason == LOG_FAILED:  # what anchors the registry: that end is told by itself, and once
                    raise
                _log.warning("scan_failed", reason=error.reason)
            await self._tell_left_out()
            await self._settle_pending()
            await self._sleep(self._poll_s)

    async def _tell_left_out(self) -> None:
        """Say once of what stands in the source and does not become ready."""
        waiting = await self._checkpoints.left_out()
        for one in waiting:
            if one.name not in self._told:
                _log.warning("checkpoint_waits", checkpoint=one.name, reason=one.reason.value)
        self._told = frozenset(one.name for one in waiting)

    async def _settle_pending(self) -> None:
        for checkpoint in await self._checkpoints.pending():
            if checkpoint.name not in self._recorded:
                await self._audit.append(_record(checkpoint))
                self._recorded.add(checkpoint.name)
                _tell(checkpoint)
            if checkpoint.state is CheckpointState.STAGED and not await self._try_submit(checkpoint):
                return  # those behind it wait their turn
            await self._checkpoints.settle(checkpoint.name)
            self._recorded.discard(checkpoint.name)

    async def _try_submit(self, checkpoint: Checkpoint) -> bool:
        """Submit a checkpoint and say whether that is settled, for good or ill."""
        try:
            await self._submit(checkpoint)
        except StorageError as error:
            if error.reason == LOG_FAILED:
                raise
            _log.warning("submit_postponed", checkpoint=checkpoint.name, reason=error.reason)
            return False
        except RunUnderWay:
            return False
        except HeldoutError as error:
            _log.warning("submit_failed", checkpoint=checkpoint.name, reason=error.reason)
        except Exception as error:  # noqa: BLE001 - one checkpoint must not end the watch for all that follow
            _log.error("submit_failed", checkpoint=checkpoint.name, reason=type(error).__name__)
        return True


def _tell(checkpoint: Checkpoint) -> None:
    if checkpoint.state is CheckpointState.STAGED:
        _log.info("checkpoint_staged", checkpoint=checkpoint.name, line=checkpoint.line, runtime=checkpoint.runtime)
    elif checkpoint.detail:
        _log.warning(
            "checkpoint_refused", checkpoint=checkpoint.name, reason=checkpoint.reason, detail=checkpoint.detail
        )
    else:
        _log.warning("checkpoint_refused", checkpoint=checkpoint.name, reason=checkpoint.reason)


def _record(checkpoint: Checkpoint) -> Record:
    return Record(
        kind="event",
        name="checkpoint",
        details={
            "name": checkpoint.name,
            "sequence": checkpoint.sequence,
            "digest": checkpoint.digest,
            "state": checkpoint.state.value,
            "reason": checkpoint.reason,
        },
    )
