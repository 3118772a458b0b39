"""The runtime of GGUF checkpoints: llama.cpp in a process of its own, without a network."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, Literal

from heldout_server.config.runtimes import Isolation, LlamaCpp
from heldout_server.domain import Checkpoint
from heldout_server.errors import EndpointError
from heldout_server.ports.environment import Ids
from heldout_server.runtimes.process import Patience, RuntimeProcess
from heldout_server.runtimes.steady import IMPATIENT, Circuit, SteadyClient

MODULE: Final = "heldout_server.runtimes.llamacpp"
PACKAGE: Final = "xllamacpp"
POLL_S: Final = 0.1
SUFFIX: Final = ".gguf"
FIRST_PART: Final = "-00001-of-"
"""What the name of the first file holds where a model is split; llama.cpp finds the others by it."""


def llamacpp_version() -> str:
    """Return the version of the installed llama.cpp package, or empty."""
    try:
        return version(PACKAGE)
    except PackageNotFoundError:
        return ""


class LlamaCppRuntime:
    """Serve checkpoints that are a GGUF file, or a GGUF adapter of one, as contained as config and kernel allow."""

    engine = "llamacpp"
    dialect: Literal["llamacpp"] = "llamacpp"
    filters: tuple[str, ...] = ()

    def __init__(
        self,
        run_folder: Path,
        *,
        isolation: Isolation,
        ids: Ids,
        options: LlamaCpp,
        circuit: Circuit | None = None,
    ) -> None:
        self.version = llamacpp_version()
        self.width = options.parallel
        self.start_s = options.start_s
        self._options = options
        self._circuit = circuit
        self._processes = RuntimeProcess(
            run_folder, isolation=isolation, ids=ids, patience=Patience(start_s=options.start_s, poll_s=POLL_S)
        )
        self.trust = self._processes.trust

    @contextlib.asynccontextmanager
    async def serve(self, checkpoint: Checkpoint, *, patient: bool = True) -> AsyncIterator[SteadyClient]:
        """Start it, wait until it answers, yield a client, and stop it at the end.

        Raises:
            EndpointError: ``NO_MODEL``, or it does not come up (see :meth:`RuntimeProcess.serve`).
        """
        model = find_model(checkpoint.base or checkpoint)
        adapter = find_model(checkpoint) if checkpoint.base else None
        options = self._options

        def command(socket: Path) -> tuple[str, ...]:
            """Return what the interpreter is started with."""
            counts = {"--context": options.context, "--parallel": options.parallel, "--threads": options.threads}
            words = (word for name, count in counts.items() for word in (name, str(count)))
            adapting = ("--adapter", str(adapter)) if adapter else ()
            return ("-m", MODULE, "--socket", str(socket), "--model", str(model), *adapting, *words, "--until-eof")

        async with self._processes.serve(
            command,
            model=checkpoint.name,
            dialect=self.dialect,
            reads=(model.parent, *([adapter.parent] if adapter else [])),
        ) as child:
            circuit = self._circuit if patient else IMPATIENT
            yield SteadyClient(child.client, most=options.parallel, circuit=circuit, on_stall=child.end)


def find_model(checkpoint: Checkpoint) -> Path:
    """Return the one model file of a staged checkpoint, or the first of the parts that it comes in.

    Raises:
        EndpointError: ``NO_MODEL``: there is none, or more than one.
    """
    folder = Path(checkpoint.path).absolute()
    files = sorted(path for path in folder.iterdir() if path.suffix == SUFFIX) if checkpoint.path else []
    firsts = [path for path in files if FIRST_PART in path.name]
    if len(firsts) == 1 and all("-of-" in path.name for path in files):
        return firsts[0]
    if len(files) != 1:
        raise EndpointError("the staged checkpoint holds no single GGUF model", reason="NO_MODEL")
    return files[0]
