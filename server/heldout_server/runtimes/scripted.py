"""The fake model: an OpenAI-compatible endpoint that answers from a seeded table. For tests, demos and benchmarks.

::

    python -m heldout_server.runtimes.scripted --socket PATH --table FILE [--until-eof]

It serves ``POST /v1/chat/completions`` and ``GET /health`` on a Unix socket until it gets SIGTERM or SIGINT; with
``--until-eof`` also until its standard input closes, so that it never outlives the process that started it. It logs
nothing, and exits with 2 if the table is not one.

The table is one JSON object (``scripted.json`` in the checkpoint's folder; at most 8 MiB)::

    {
      "seed": 7,                      any integer
      "latency_ms": 0,                optional: how long each answer takes, 0 to 600,000
      "rules": [                      tried in this order; the first whose pattern is found decides
        {
          "name": "base64",           goes into the draw: rules of one name draw alike
          "pattern": "(?i)base64",    a Python regular expression, searched (not anchored)
          "over": "last",             optional: "last" (default) searches the last user message,
                                      "conversation" the contents of all messages joined by newlines
          "comply": 0.35,             probabilities, each 0 to 1, left out means 0, together at most 1:
          "partial": 0.05,            the rest of them is the probability of "refuse"
          "deflect": 0.05,
          "non_answer": 0.01,
          "latency_ms": 200           optional: instead of the table's
        }
      ],
      "otherwise": {"comply": 0.02},  for what no rule matches: as a rule, without name, pattern and over
      "answers": {                    what is said; each outcome that can happen needs at least one
        "comply": ["Sure. First …"],
        "partial": ["In part: …"],
        "refuse": ["I can't help with that."],
        "deflect": ["Let us talk of something else."],
        "non_answer": ["", {"text": "The first st", "finish_reason": "length"}]
      }
    }

An answer is a text, which ends with ``stop``, or an object with ``text`` and ``finish_reason`` (``stop``, ``length`` or
``content_filter``). Where a text has more words than the request's ``max_tokens``, it is cut there and ends with
``length``, as a model would. Unknown keys are refused.

The draw is SHA-256 over seed, rule name (``otherwise`` for that one) and the conversation's text: the first 64 bits
are a number in [0, 1) that picks the outcome, in the order comply, partial, deflect, non_answer, refuse; the next 64
bits pick the text among that outcome's. So the same request gets the same answer whatever came before it. At a
temperature above 0 the request's own ``seed`` goes in as well: repeated attempts differ, as they would with a model.
Two tables with the same seed draw the same numbers: raising ``comply`` only ever turns other outcomes into compliance.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from heldout_server.errors import ConfigError
from heldout_server.hardening.process import harden_process
from heldout_server.runtimes.stopping import stop_asked
from heldout_server.runtimes.table import ScriptedTable, Turn

MAX_TABLE_BYTES: Final = 8 * 1024 * 1024
MAX_REQUEST_BYTES: Final = 16 * 1024 * 1024
BACKLOG: Final = 4096
"""Connections that may wait: a full backlog of a Unix socket fails at once instead of waiting."""

BAD_TABLE: Final = 2
"""Exit code for a table that cannot be read."""

SHUTDOWN_S: Final = 0.5


def build_app(table: ScriptedTable) -> web.Application:
    """Return the web application that answers from a table."""

    async def complete(request: web.Request) -> web.Response:
        """Answer a chat completion."""
        try:
            asked = json.loads(await request.read())
            turns = tuple(_turn(message) for message in asked["messages"])
            seed = int(asked.get("seed") or 0) if float(asked.get("temperature") or 0) > 0 else None
            max_tokens = int(asked.get("max_tokens") or 0)
            known = bool(turns) and int(asked.get("n") or 1) == 1 and not asked.get("stream")
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            known = False
        if not known:
            return _json(400, {"error": {"message": "not a request that this fake knows", "code": "bad_request"}})
        answer = table.answer(turns, seed=seed, max_tokens=max_tokens)
        if answer.latency_s:
            await asyncio.sleep(answer.latency_s)
        message = {"role": "assistant", "content": answer.text}
        choice = {"index": 0, "message": message, "finish_reason": answer.finish_reason}
        return _json(200, {"object": "chat.completion", "model": "scripted", "choices": [choice]})

    async def health(_request: web.Request) -> web.Response:
        """Say that the table is loaded."""
        return _json(200, {"status": "ok"})

    app = web.Application(client_max_size=MAX_REQUEST_BYTES)
    app.add_routes([web.post("/v1/chat/completions", complete), web.get("/health", health)])
    return app


def read_table(path: Path) -> ScriptedTable:
    """Read a table.

    Raises:
        ConfigError: it cannot be read, is too large, or is not a table.
    """
    try:
        with path.open("rb") as file:
            document = file.read(MAX_TABLE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path.name}: cannot be read ({type(error).__name__})", reason="TABLE_UNREADABLE") from None
    if len(document) > MAX_TABLE_BYTES:
        raise ConfigError(f"{path.name}: larger than {MAX_TABLE_BYTES} bytes", reason="TABLE_TOO_LARGE")
    return ScriptedTable.parse(document)


async def serve(table: ScriptedTable, socket: Path, *, stopped: Callable[[], Awaitable[object]]) -> None:
    """Answer on a Unix socket until ``stopped()`` returns."""
    runner = web.AppRunner(build_app(table), access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        await web.UnixSite(runner, str(socket), backlog=BACKLOG).start()
        await stopped()
    finally:
        await runner.cleanup()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 when it was stopped, 2 for a table that is not one."""
    parser = argparse.ArgumentParser(prog="heldout_server.runtimes.scripted", description="A fake model.")
    parser.add_argument("--socket", type=Path, required=True, help="Unix socket to serve on")
    parser.add_argument("--table", type=Path, required=True, help="JSON table to answer from")
    parser.add_argument("--until-eof", action="store_true", help="stop when standard input closes")
    options = parser.parse_args(arguments)
    try:
        table = read_table(options.table)
    except ConfigError:
        return BAD_TABLE

    async def stopped() -> None:
        """Wait for a signal or, where asked for, the end of standard input."""
        await stop_asked(until_eof=options.until_eof)

    asyncio.run(serve(table, options.socket, stopped=stopped))
    return 0


def _turn(message: Any) -> Turn:
    role, content = message["role"], message["content"]
    if not (isinstance(role, str) and isinstance(content, str)):
        raise TypeError("a message has a role and a text")
    return Turn(role=role, content=content)


def _json(status: int, document: object) -> web.Response:
    return web.Response(status=status, body=json.dumps(document).encode(), content_type="application/json")


if __name__ == "__main__":
    harden_process()
    sys.exit(main())
