"""The runtime of scripted checkpoints: it serves the fake model of :mod:`heldout_server.runtimes.scripted`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from heldout_server.config.runtimes import Isolation
from heldout_server.domain import Checkpoint
from heldout_server.errors import EndpointError
from heldout_server.ports.environment import Ids
from heldout_server.runtimes.process import Patience, RuntimeProcess
from heldout_server.runtimes.steady import Circuit, SteadyClient

MODULE: Final = "heldout_server.runtimes.scripted"
TABLE: Final = "scripted.json"
"""The file in the checkpoint's folder that holds its table."""

MOST: Final = 2000
"""Requests at once, at most: as many as an appliance may have in flight."""

STALL_S: Final = 5.0
"""Seconds that an idle child may take for a harmless question, which takes it a millisecond."""


class ScriptedRuntime:
    """Serve checkpoints that are scripted tables, in a process that is as contained as config and kernel allow.

    Args:
        run_folder: where its socket lies.
        isolation: how its network is taken away.
        ids: names sockets.
        patience: how long its start and its end may take.
        stall_s: seconds after which a child that has nothing else to do and does not answer is ended.
    """

    engine = "scripted"
    version = ""
    dialect = "openai"
    filters: tuple[str, ...] = ()

    def __init__(
        self,
        run_folder: Path,
        *,
        isolation: Isolation,
        ids: Ids,
        patience: Patience | None = None,
        stall_s: float = STALL_S,
    ) -> None:
        self.width = MOST
        self.start_s = (patience or Patience()).start_s
        self._circuit = Circuit(patience_s=0.0, probe_s=stall_s)
        self._processes = RuntimeProcess(run_folder, isolation=isolation, ids=ids, patience=patience)
        self.trust = self._processes.trust

    @contextlib.asynccontextmanager
    async def serve(
        self,
        checkpoint: Checkpoint,
        *,
        patient: bool = True,  # noqa: ARG002 - nothing here is waited for: the process is up, or it has ended
    ) -> AsyncIterator[SteadyClient]:
        """Start it, wait until it answers, yield a client, and stop it at the end.

        Raises:
            EndpointError: ``NO_TABLE``, or it does not come up (see :meth:`RuntimeProcess.serve`).
        """
        table = _table(checkpoint)

        def command(socket: Path) -> tuple[str, ...]:
            """Return what the interpreter is started with."""
            return ("-m", MODULE, "--socket", str(socket), "--table", str(table), "--until-eof")

        async with self._processes.serve(command, model=checkpoint.name, reads=(table,)) as child:
            yield SteadyClient(child.client, most=MOST, circuit=self._circuit, on_stall=child.end)


def _table(checkpoint: Checkpoint) -> Path:
    table = Path(checkpoint.path).absolute() / TABLE
    if not checkpoint.path or not table.is_file():
        raise EndpointError(f"the staged checkpoint holds no {TABLE}", reason="NO_TABLE")
    return table
