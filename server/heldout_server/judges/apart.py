"""Judge in a process of its own, so that a second core judges while the first asks the model.

The process lives as long as a run's trials. What it is sent goes through a pipe to a process of the same user, which
opens no file and no socket (``child.py``). If it ends or falls silent over a batch, it is started again, and that
batch is judged case by case, each in a process that has not seen the one before fail: so a text that ends a judge
costs no other trial its verdict.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Final

from heldout_server.domain import Verdict
from heldout_server.errors import IntegrityError, RunError
from heldout_server.judges.child import FAILED, LENGTH_BYTES, decode_body, encode_frame
from heldout_server.ports.judges import Case, Judge, JudgeAll

COMMAND: Final = (sys.executable, "-I", "-m", "heldout_server.judges.child")
"""Isolated mode: no environment variable, user folder or working folder adds to what is imported."""

ENVIRONMENT: Final = {"LANG": "C.UTF-8"}
FRAME_CHARACTERS: Final = 1024 * 1024
"""Text in one frame, unless a single case has more."""

PATIENCE_S: Final = 60.0


class _Ended(Exception):
    """Say within this module that the process ended or fell silent."""


class JudgeProcess:
    """Be a :class:`heldout_server.ports.judges.Judging` over a child process.

    Args:
        judge: the judge that the process must be; judges here what the process could not.
        command: starts the process.
        patience_s: seconds that it may take to start, or over one frame.
    """

    def __init__(self, judge: Judge, *, command: Sequence[str] = COMMAND, patience_s: float = PATIENCE_S) -> None:
        self._judge = judge
        self._command = command
        self._patience_s = patience_s

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[JudgeAll]:
        """Start the process, yield what judges, and end the process.

        It gets ready meanwhile: what judges raises ``RunError`` if it does not, and ``IntegrityError`` if it is another
        judge.

        Raises:
            RunError: it cannot be started.
        """
        conversation = _Conversation(self._judge, self._command, self._patience_s)
        try:
            await conversation.start()
            yield conversation.judge_all
        finally:
            await conversation.end()


class _Conversation:
    def __init__(self, judge: Judge, command: Sequence[str], patience_s: float) -> None:
        self._judge = judge
        self._command = command
        self._patience_s = patience_s
        self._process: Process | None = None
        self._greeted = False

    async def end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def judge_all(self, cases: Sequence[Case]) -> list[Verdict | Exception]:
        return [verdict for frame in _frames(cases) for verdict in await self._judge_frame(frame)]

    async def start(self) -> None:
        """Start the process; it says that it is ready when it is."""
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                env=ENVIRONMENT,
                cwd="/",
                start_new_session=True,  # a Ctrl-C at the terminal is ours
            )
        except OSError:
            raise _no_start() from None
        self._greeted = False

    async def _greet(self) -> None:
        """Wait until the process says which judge it is."""
        try:
            digest = await self._receive()
        except _Ended:
            raise _no_start() from None
        if digest != self._judge.digest:
            raise IntegrityError("the judge's process is another judge", reason="NOT_AS_APPROVED")
        self._greeted = True

    async def _judge_frame(self, cases: Sequence[Case]) -> list[Verdict | Exception]:
        try:
            if self._process is None:
                await self.start()
            if not self._greeted:
                await self._greet()
            verdicts = await self._ask(cases)
        except _Ended:
            await self.end()
            if len(cases) > 1:
                return [verdict for case in cases for verdict in await self._judge_frame([case])]
            return [RunError("the judge's process ended over a case", reason="JUDGE_PROCESS")]
        return [self._read(case, verdict) for case, verdict in zip(cases, verdicts, strict=True)]

    async def _ask(self, cases: Sequence[Case]) -> list[str]:
        process = self._process
        assert process is not None and process.stdin is not None  # noqa: PT018, S101 - made with a pipe
        content = [(one.intent, one.ending, one.prompt.reveal(), one.response.reveal()) for one in cases]
        try:
            process.stdin.write(encode_frame(content))
            await process.stdin.drain()
        except OSError:
            raise _Ended from None
        verdicts: list[str] = await self._receive()
        return verdicts

    async def _receive(self) -> Any:
        process = self._process
        assert process is not None and process.stdout is not None  # noqa: PT018, S101 - made with a pipe
        try:
            async with asyncio.timeout(self._patience_s):
                length = int.from_bytes(await process.stdout.readexactly(LENGTH_BYTES), "big")
                return decode_body(await process.stdout.readexactly(length))
        except (TimeoutError, asyncio.IncompleteReadError, OSError):
            raise _Ended from None

    def _read(self, case: Case, verdict: str) -> Verdict | Exception:
        if verdict != FAILED:
            return Verdict(verdict)
        try:
            return self._judge.judge(case)
        except Exception as error:  # noqa: BLE001 - whoever asked reports it
            return error


def _no_start() -> RunError:
    return RunError("the judge's process does not start", reason="JUDGE_PROCESS")


def _frames(cases: Sequence[Case]) -> Iterator[Sequence[Case]]:
    start, characters = 0, 0
    for place, case in enumerate(cases):
        size = len(case.prompt) + len(case.response)
        if place > start and characters + size > FRAME_CHARACTERS:
            yield cases[start:place]
            start, characters = place, 0
        characters += size
    if start < len(cases):
        yield cases[start:]
