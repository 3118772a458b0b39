"""What the tests of the runtimes share."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest
from endpoint_fakes import Endpoint


@pytest.fixture
async def endpoint():
    endpoint = Endpoint("")
    server = await asyncio.start_server(endpoint.converse, "127.0.0.1", 0)
    endpoint.origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield endpoint
    server.close()
    await server.wait_closed()


@pytest.fixture
def run_folder():
    with tempfile.TemporaryDirectory(prefix="hr-") as folder:
        yield Path(folder)
