"""The two clients: one for asyncio, and a thin one that runs it on an event loop of its own."""

from __future__ import annotations

import asyncio
import functools
import os
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from concurrent.futures import CancelledError, Future
from concurrent.futures import wait as wait_for_futures
from functools import partial
from types import TracebackType
from typing import Any, Concatenate, Final, Generic, ParamSpec, Self, TypeVar

from heldout.calls import Caller
from heldout.memory import ClientMemory
from heldout.profile import Profile, read_profile
from heldout.services.audit import AsyncAudit
from heldout.services.bank import AsyncBank
from heldout.services.cards import AsyncCards
from heldout.services.checkpoints import AsyncCheckpoints
from heldout.services.findings import AsyncFindings
from heldout.services.runs import AsyncRuns
from heldout.services.seal import AsyncSeal
from heldout.transport import GrpcTransport, Transport

P = ParamSpec("P")
R = TypeVar("R")
G = TypeVar("G")

LET_GO_S: Final = 5.0
"""Seconds that an interrupted call gets to let go of what it used."""


class AsyncClient:
    """Call an appliance from asyncio; build it in the event loop that will use it.

    ::

        async with AsyncClient.from_profile("trainer.toml") as client:
            releases = await client.findings.releases()

    Attributes:
        findings, bank, cards, runs, checkpoints, audit, seal: the calls, one group an audience.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        identity: str,
        vkeys: dict[str, str],
        memory: ClientMemory | None = None,
        window: Transport | None = None,
    ) -> None:
        self._caller = Caller(transport, identity=identity, vkeys=vkeys, memory=memory, window=window)
        self.findings = AsyncFindings(self._caller)
        self.bank = AsyncBank(self._caller)
        self.cards = AsyncCards(self._caller)
        self.runs = AsyncRuns(self._caller)
        self.checkpoints = AsyncCheckpoints(self._caller)
        self.audit = AsyncAudit(self._caller)
        self.seal = AsyncSeal(self._caller)

    @classmethod
    def from_profile(cls, profile: Profile | str | os.PathLike[str]) -> Self:
        """Build a client over mTLS.

        Args:
            profile: a profile, or the path of one.

        Raises:
            ProfileError: something in it is missing or malformed.
        """
        known = profile if isinstance(profile, Profile) else read_profile(profile)
        window = GrpcTransport(known, to_window=True) if known.window_address else None
        return cls(
            GrpcTransport(known),
            identity=known.identity,
            vkeys=dict(known.vkeys),
            memory=ClientMemory.of(known),
            window=window,
        )

    @property
    def memory(self) -> ClientMemory:
        """What is remembered from one process to the next; its ``gaps`` name calls that were not made from here."""
        return self._caller.memory

    async def close(self) -> None:
        """Give up the connection."""
        await self._caller.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class _Loop:
    """Run coroutines on a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="heldout-client", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, R]) -> R:
        """Return what a coroutine returns. An interrupt while waiting cancels it, and goes on once it has let go.

        Who closes what the coroutine used, a generator or the connection, must not find it at work.
        """
        result: Future[R] = Future()
        tasks: list[asyncio.Task[R]] = []

        def begin() -> None:
            task = self._loop.create_task(coroutine)
            task.add_done_callback(partial(_hand_over, result))
            tasks.append(task)

        def cancel() -> None:
            tasks[0].cancel()  # it has begun: the loop calls in order

        self._loop.call_soon_threadsafe(begin)
        try:
            return result.result()
        except BaseException:
            if not result.done():
                self._loop.call_soon_threadsafe(cancel)
                wait_for_futures([result], timeout=LET_GO_S)
            raise

    @property
    def stopped(self) -> bool:
        """Say whether the thread has ended."""
        return self._loop.is_closed()

    def stop(self) -> None:
        """End the thread. Of no effect the second time."""
        if self.stopped:
            return
        self.run(self._loop.shutdown_asyncgens())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def _hand_over(result: Future[R], task: asyncio.Task[R]) -> None:
    """Give what came of a task to the thread that waits for it."""
    if task.cancelled():
        result.set_exception(CancelledError())
    elif (error := task.exception()) is not None:
        result.set_exception(error)
    else:
        result.set_result(task.result())


class _Blocking(Generic[G]):
    """Hold a group of asynchronous calls and the loop that runs them."""

    def __init__(self, group: G, loop: _Loop) -> None:
        self._group = group
        self._loop = loop


def _blocking(
    method: Callable[Concatenate[G, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[_Blocking[G], P], R]:
    """Return a method that waits for the asynchronous one."""

    @functools.wraps(method)
    def call(self: _Blocking[G], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._loop.run(method(self._group, *args, **kwargs))

    return call


def _iterating(
    method: Callable[Concatenate[G, P], AsyncGenerator[R, None]],
) -> Callable[Concatenate[_Blocking[G], P], Iterator[R]]:
    """Return a method that yields what the asynchronous one yields."""

    @functools.wraps(method)
    def call(self: _Blocking[G], /, *args: P.args, **kwargs: P.kwargs) -> Iterator[R]:
        items = method(self._group, *args, **kwargs)

        async def step() -> tuple[R, ...]:
            try:
                return (await anext(items),)
            except StopAsyncIteration:  # cannot cross a future
                return ()

        try:
            while found := self._loop.run(step()):
                yield found[0]
        finally:
            self._loop.run(items.aclose())

    return call


class Findings(_Blocking[AsyncFindings]):
    """Read published findings; see :class:`heldout.services.findings.AsyncFindings`."""

    releases = _blocking(AsyncFindings.releases)
    receipted_releases = _blocking(AsyncFindings.receipted_releases)
    release = _blocking(AsyncFindings.release)
    cards = _blocking(AsyncFindings.cards)
    budget = _blocking(AsyncFindings.budget)
    record_score = _blocking(AsyncFindings.record_score)
    remove_score = _blocking(AsyncFindings.remove_score)
    scores = _blocking(AsyncFindings.scores)
    receipt_head = _blocking(AsyncFindings.receipt_head)


class Bank(_Blocking[AsyncBank]):
    """Run the bank; see :class:`heldout.services.bank.AsyncBank`."""

    import_prompts = _blocking(AsyncBank.import_prompts)
    import_pack = _blocking(AsyncBank.import_pack)
    pack_key = _blocking(AsyncBank.pack_key)
    duplicates = _blocking(AsyncBank.duplicates)
    examine_card = _blocking(AsyncBank.examine_card)
    prompt = _blocking(AsyncBank.prompt)
    handles = _blocking(AsyncBank.handles)
    stats = _blocking(AsyncBank.stats)
    retire = _blocking(AsyncBank.retire)
    open_epoch = _blocking(AsyncBank.open_epoch)


class Cards(_Blocking[AsyncCards]):
    """Propose and decide technique cards; see :class:`heldout.services.cards.AsyncCards`."""

    propose = _blocking(AsyncCards.propose)
    list = _blocking(AsyncCards.list)
    get = _blocking(AsyncCards.get)
    approve = _blocking(AsyncCards.approve)
    refuse = _blocking(AsyncCards.refuse)
    withdraw = _blocking(AsyncCards.withdraw)


class Runs(_Blocking[AsyncRuns]):
    """Run evaluations; see :class:`heldout.services.runs.AsyncRuns`."""

    propose = _blocking(AsyncRuns.propose)
    approve = _blocking(AsyncRuns.approve)
    standing_approvals = _blocking(AsyncRuns.standing_approvals)
    revoke_standing_approval = _blocking(AsyncRuns.revoke_standing_approval)
    preflight = _blocking(AsyncRuns.preflight)
    start = _blocking(AsyncRuns.start)
    cancel = _blocking(AsyncRuns.cancel)
    get = _blocking(AsyncRuns.get)
    list = _blocking(AsyncRuns.list)
    watch = _iterating(AsyncRuns.watch)
    results = _blocking(AsyncRuns.results)


class Checkpoints(_Blocking[AsyncCheckpoints]):
    """List checkpoints; see :class:`heldout.services.checkpoints.AsyncCheckpoints`."""

    list = _blocking(AsyncCheckpoints.list)


class Audit(_Blocking[AsyncAudit]):
    """Read the logs; see :class:`heldout.services.audit.AsyncAudit`."""

    head = _blocking(AsyncAudit.head)
    entries = _iterating(AsyncAudit.entries)
    inclusion_proof = _blocking(AsyncAudit.inclusion_proof)
    consistency_proof = _blocking(AsyncAudit.consistency_proof)
    policy = _blocking(AsyncAudit.policy)
    add_cosignature = _blocking(AsyncAudit.add_cosignature)

    def vkey(self, half: str) -> str:
        """Return the verifier key of a half's log that the profile pins."""
        return self._group.vkey(half)


class Seal(_Blocking[AsyncSeal]):
    """Seal and unseal; see :class:`heldout.services.seal.AsyncSeal`."""

    status = _blocking(AsyncSeal.status)
    give_share = _blocking(AsyncSeal.give_share)
    seal = _blocking(AsyncSeal.seal)


class Client:
    """Call an appliance from plain code: the asynchronous client, on an event loop and thread of its own.

    ::

        with Client.from_profile("trainer.toml") as client:
            releases = client.findings.releases()

    Args:
        build: builds the asynchronous client, in the loop's thread.

    Attributes:
        findings, bank, cards, runs, checkpoints, audit, seal: the calls, one group an audience.
    """

    def __init__(self, build: Callable[[], AsyncClient]) -> None:
        self._loop = _Loop()

        async def built() -> AsyncClient:
            return build()

        try:
            self._client = self._loop.run(built())
        except BaseException:
            self._loop.stop()
            raise
        self.findings = Findings(self._client.findings, self._loop)
        self.bank = Bank(self._client.bank, self._loop)
        self.cards = Cards(self._client.cards, self._loop)
        self.runs = Runs(self._client.runs, self._loop)
        self.checkpoints = Checkpoints(self._client.checkpoints, self._loop)
        self.audit = Audit(self._client.audit, self._loop)
        self.seal = Seal(self._client.seal, self._loop)

    @classmethod
    def from_profile(cls, profile: Profile | str | os.PathLike[str]) -> Self:
        """Build a client over mTLS.

        Args:
            profile: a profile, or the path of one.

        Raises:
            ProfileError: something in it is missing or malformed.
        """
        known = profile if isinstance(profile, Profile) else read_profile(profile)
        return cls(lambda: AsyncClient.from_profile(known))

    @property
    def memory(self) -> ClientMemory:
        """What is remembered from one process to the next; its ``gaps`` name calls that were not made from here."""
        return self._client.memory

    def close(self) -> None:
        """Give up the connection and end the thread. Of no effect the second time."""
        if self._loop.stopped:
            return
        try:
            self._loop.run(self._client.close())
        finally:
            self._loop.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
