"""Serve one GGUF file with llama.cpp as an OpenAI-compatible endpoint on a Unix socket.

::

    python -m heldout_server.runtimes.llamacpp --socket PATH --model FILE [--adapter FILE] [--context N]
        [--parallel N] [--threads N] [--until-eof]

It serves until it gets SIGTERM or SIGINT; with ``--until-eof`` also until its standard input closes, so that it never
outlives the process that started it. It exits with 2 if the file is no model, and with 3 where xllamacpp is missing.

Nothing of one request stays for the next, or one prompt's outcome would depend on another's: the prompt cache, its
copies in memory and context checkpoints are off. The pages that show what is being answered (``/slots``, ``/props``,
the chat page) are off as well. With ``--parallel`` above 1 requests are computed in one batch: floats then round
differently by who else is in it.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from heldout_server.hardening.process import harden_process
from heldout_server.runtimes.stopping import stop_asked

if TYPE_CHECKING:
    import xllamacpp

BAD_MODEL: Final = 2
"""Exit code for a file that llama.cpp does not load."""

NOT_INSTALLED: Final = 3
"""Exit code where the optional package is missing."""

SILENT: Final = -1
"""llama.cpp logs prompts at its higher verbosities: nothing of it is wanted."""


def parameters(options: argparse.Namespace) -> xllamacpp.CommonParams:
    """Return llama.cpp's parameters for the command's options."""
    import xllamacpp  # noqa: PLC0415 - an optional package, loaded in the child alone

    params = xllamacpp.CommonParams()
    params.model.path = str(options.model)
    if options.adapter:
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(options.adapter), 1.0)]
    params.hostnames = [str(options.socket)]
    params.n_parallel = options.parallel
    params.n_ctx = options.context * options.parallel  # llama.cpp divides it among the requests in flight
    if options.threads:
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = options.threads
    params.offline = True
    params.verbosity = SILENT
    params.cache_prompt = params.cache_idle_slots = False
    params.cache_ram_mib = params.n_ctx_checkpoints = 0
    params.slot_prompt_similarity = 0.0
    params.ui = params.endpoint_slots = params.endpoint_props = params.endpoint_metrics = False
    return params


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of a command line."""
    parser = argparse.ArgumentParser(prog="heldout_server.runtimes.llamacpp", description="Serve a GGUF file.")
    parser.add_argument("--socket", type=Path, required=True, help="Unix socket to serve on")
    parser.add_argument("--model", type=Path, required=True, help="GGUF file to serve")
    parser.add_argument("--adapter", type=Path, help="GGUF file of a low-rank adapter of the model, applied whole")
    parser.add_argument("--context", type=int, default=4096, help="tokens of prompt and answer together")
    parser.add_argument("--parallel", type=int, default=1, help="requests answered at the same time")
    parser.add_argument("--threads", type=int, default=0, help="threads to compute with; 0 for one a core")
    parser.add_argument("--until-eof", action="store_true", help="stop when standard input closes")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 when it was stopped, 2 for no model, 3 without xllamacpp."""
    options = parse(arguments)
    try:
        params = parameters(options)
        import xllamacpp  # noqa: PLC0415 - an optional package, loaded in the child alone
    except ImportError:
        return NOT_INSTALLED
    try:
        server = xllamacpp.Server(params)  # answers on threads of its own once it is there
    except (RuntimeError, ValueError, OSError):
        return BAD_MODEL
    asyncio.run(stop_asked(until_eof=options.until_eof))
    del server
    return 0


if __name__ == "__main__":
    harden_process()
    sys.exit(main())
